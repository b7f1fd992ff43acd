/* SPDX-License-Identifier: MIT
 *
 * Words are looked at a cache line at a time: in most lines of a pass nothing is grey. Targets in
 * the same pool are marked at once, so that a list in memory order takes one pass; the words of
 * others wait in a ring while they come into the cache. */
#include "collector/scan.h"

#include "base/os.h"
#include "collector/crew.h"
#include "collector/ephemerons.h"
#include "collector/known.h"
#include "collector/plan.h"
#include "collector/side.h"
#include "collector/trace.h"
#include "collector/universe.h"

enum {
    LINE = NP_CACHE_LINE / sizeof(uint32_t), /* words looked at together */
    FAR = 32,                                /* words on their way into the cache */
    AHEAD = 16,                              /* objects of the spread's queue on their way */
    WIDE = 4,                                /* grey objects per row in use that are worth a pass */
    BUDGET = 16,         /* objects per row in use that a spread visits to get there */
    BIG_LENGTH = 1 << 14 /* elements or slots of an array that all workers share */
};

/* Large objects found in one collection: more than np_universe.large holds, since two workers may
 * find the same one. */
#define LARGE_LIMIT ((size_t)1 << 28)

enum mode { MEMBERS, KNOWN };

/* Marks targets grey. */
struct marker {
    struct np_side_view view;
    uint32_t *own; /* a word of the row at hand, or NULL */
    uint64_t marked, visited;
    unsigned near_count, next;
    uint16_t near[NP_SIDE_ROW]; /* granules of the row at hand that have been marked in this pass */
    uint32_t *far[FAR];
};

struct scanner {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct marker marker;        /* of unusual objects */
    enum mode mode;
    bool ephemerons;  /* there are some: keys and weak maps are visited with care */
    bool first, down; /* the pass at hand: roots are not grey yet; it goes down */
    unsigned index, workers;
    uint64_t marked, visited; /* in the pass at hand */
} __attribute__((aligned(NP_CACHE_LINE)));

static struct scanner scanners[NP_CREW_MOST]; /* (s) one per worker */

/* Marked large objects, in the order in which they were found. */
static struct {
    struct neap_header **found; /* reserved */
    size_t count;               /* (x) relaxed */
    size_t done, end;           /* the pass at hand visits [done, end) */
} large;

/* Targets that a spread has found and not looked at: a ring in reserved memory. */
static struct {
    struct neap_header **targets;
    size_t first, count, limit, room;
} queue;

static uint32_t nobodys_word = NP_SIDE_MARKED; /* in empty places of rings; never marked again */

static size_t queue_bytes(void)
{
    return ((size_t)np_side.row_limit + 1) * WIDE * sizeof *queue.targets;
}

int np_scan_init(void)
{
    large.found = np_os_reserve(LARGE_LIMIT * sizeof *large.found, 1);
    queue.targets = np_os_reserve(queue_bytes(), 1);
    queue.room = queue_bytes() / sizeof *queue.targets;
    if (large.found != NULL && queue.targets != NULL)
        return 0;
    np_scan_fini();
    return -1;
}

void np_scan_fini(void)
{
    if (large.found != NULL)
        np_os_unreserve(large.found, LARGE_LIMIT * sizeof *large.found);
    if (queue.targets != NULL)
        np_os_unreserve(queue.targets, queue.room * sizeof *queue.targets);
    large.found = NULL;
    queue.targets = NULL;
}

/* ---- marking ---- */

/* May the word's object be marked? */
static inline __attribute__((always_inline)) bool is_unmarked(uint32_t state, enum mode mode)
{
    return mode == KNOWN ? !(state & NP_SIDE_MARKED)
                         : (state & (NP_SIDE_MEMBER | NP_SIDE_MARKED)) == NP_SIDE_MEMBER;
}

static inline __attribute__((always_inline)) void mark_grey(struct marker *m, uint32_t *word,
                                                            enum mode mode)
{
    uint32_t state = np_load_relaxed(word); /* relaxed, both: marking twice changes nothing */
    if (!is_unmarked(state, mode))
        return;
    np_store_relaxed(word, state | NP_SIDE_MARKED | NP_SIDE_GREY);
    m->marked++;
}

/* In the row at hand: visited next. Each word of the row is marked once. */
static inline __attribute__((always_inline)) void mark_near(struct marker *m, uint32_t *word,
                                                            enum mode mode)
{
    uint32_t state = np_load_relaxed(word); /* relaxed, both: as in mark_grey */
    if (!is_unmarked(state, mode))
        return;
    np_store_relaxed(word, state | NP_SIDE_MARKED);
    m->marked++;
    m->near[m->near_count++] = (uint16_t)(word - m->own);
}

/* Between uses a ring is empty. */
static inline __attribute__((always_inline)) void begin_far(struct marker *m)
{
    m->next = 0;
    for (unsigned i = 0; i < FAR; i++)
        m->far[i] = &nobodys_word;
}

static inline __attribute__((always_inline)) void end_far(struct marker *m, enum mode mode)
{
    unsigned used = m->next < FAR ? m->next : FAR;
    for (unsigned i = 0; i < used; i++) {
        mark_grey(m, m->far[i], mode);
        m->far[i] = &nobodys_word;
    }
    m->next = 0;
}

static np_noinline void mark_large(struct marker *m, struct neap_header *header, enum mode mode);

static inline __attribute__((always_inline)) void
mark_target(struct marker *m, struct neap_header *header, enum mode mode)
{
    uintptr_t offset = (uintptr_t)header - m->view.base;
    if (np_unlikely(offset >= m->view.bytes)) {
        mark_large(m, header, mode);
        return;
    }
    uint32_t *word = &m->view.words[NP_SIDE_ROW + offset / NP_OBJECT_MIN];
    if (((uintptr_t)word ^ (uintptr_t)m->own) < NP_SIDE_ROW * sizeof *word) {
        mark_near(m, word, mode);
        return;
    }
    __builtin_prefetch(word, 1);
    mark_grey(m, m->far[m->next % FAR], mode);
    m->far[m->next++ % FAR] = word;
}

/* ---- visiting ---- */

static void mark_slot(struct neap_visitor *visitor, void **slot)
{
    struct scanner *s = (struct scanner *)(void *)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    if (child != NULL)
        mark_target(&s->marker, neap_header_of(child), s->mode);
}

/* Any object: worker `index` of `workers` takes its share of the slots. */
static np_noinline void visit_share(struct scanner *s, struct neap_header *header, unsigned index,
                                    unsigned workers)
{
    np_visit_share(header, np_type_at(header->type), &s->visitor, mark_slot, index, workers);
    end_far(&s->marker, s->mode);
}

/* Before anything is counted, whatever is reached goes up one generation, and counting passes over
 * it. */
static inline __attribute__((always_inline)) void age(struct neap_header *header)
{
    uint8_t gc = np_load_relaxed(&header->gc); /* relaxed, both: whoever writes it is stopped */
    if ((gc & NP_GC_GENERATION) < 2)
        np_store_relaxed(&header->gc, (uint8_t)(gc + 1));
}

static np_noinline void mark_large(struct marker *m, struct neap_header *header, enum mode mode)
{
    uint32_t *word = np_side_word_of_large(&m->view, header);
    if (word == NULL || !is_unmarked(np_load_relaxed(word), mode)) /* relaxed: as in mark_grey */
        return;
    size_t place = np_fetch_add_relaxed(&large.count, 1); /* relaxed: read after the pass */
    if (place >= LARGE_LIMIT)
        return; /* before counting only: then it is counted */
    large.found[place] = header;
    np_store_relaxed(word, np_load_relaxed(word) | NP_SIDE_MARKED);
    m->marked++;
}

/* True: it is a weak map, and done. Known to live, it is left to counting; a reference that is
 * found later marks it again, and it is visited again. */
static np_noinline bool visit_ephemerons(struct scanner *s, struct neap_header *header)
{
    if (s->mode == KNOWN) {
        if (!np_is_weak_map(header))
            return false;
        uint32_t *word = np_side_word_in(&s->marker.view, header, true);
        /* relaxed, both: if a mark of another worker is lost, it would have been taken away too */
        np_store_relaxed(word, np_load_relaxed(word) & ~(uint32_t)(NP_SIDE_MARKED | NP_SIDE_GREY));
        return true;
    }
    bool is_map = np_ephemerons_visit_stopped(&s->marker.view, header, &s->visitor, false);
    end_far(&s->marker, s->mode);
    return is_map;
}

/* The plan of the object visited last: of most objects the type is known before it is read. */
struct last {
    uint32_t type;
    struct np_plan plan;
};

static inline __attribute__((always_inline)) void visit(struct scanner *s, struct marker *m,
                                                        struct last *last,
                                                        struct neap_header *header, enum mode mode)
{
    m->visited++;
    if (np_unlikely(s->ephemerons) && visit_ephemerons(s, header))
        return;
    if (mode == KNOWN)
        age(header);
    if (np_unlikely(header->type != last->type)) {
        last->type = header->type;
        last->plan = np_plans[header->type];
        __asm__ volatile("" ::: "memory"); /* a branch, which is predicted */
    }
    if (np_unlikely(!last->plan.simple || (header->flags & NP_FLAG_ARRAY))) {
        visit_share(s, header, 0, 1);
        return;
    }
    for (unsigned i = 0; i < last->plan.count; i++) {
        /* relaxed: whoever writes it is stopped */
        const void *child =
            np_load_relaxed((void **)(void *)((char *)header + last->plan.offset[i]));
        if (child != NULL)
            mark_target(m, neap_header_of(child), mode);
    }
}

/* ---- a pass ---- */

/* Is there anything to look at among the words of a line? first: members held from outside too, and
 * those whose count is wrong. */
static inline __attribute__((always_inline)) bool line_is_empty(const uint32_t *words, bool first)
{
    const uint64_t ones = UINT64_C(0x100000001);
    uint64_t found = 0;
    for (unsigned i = 0; i < LINE; i += 2) {
        /* relaxed: others may be marking */
        uint64_t pair = np_load_relaxed((const np_word *)(const void *)(words + i));
        found |= pair & (ones * NP_SIDE_GREY);
        if (first)
            found |= pair & (ones * ~(uint32_t)NP_SIDE_STATE) &
                     ((pair & (ones * NP_SIDE_MEMBER)) * UINT32_MAX);
    }
    return found == 0;
}

static inline struct neap_header *object_at(const struct np_pool *pool, uint32_t granule)
{
    uint32_t last_byte = granule * NP_OBJECT_MIN + NP_OBJECT_MIN - 1;
    return np_block_at(pool, (uint32_t)(((uint64_t)last_byte * pool->reciprocal) >> 32));
}

/* Blackens the word's object and puts it on the row's list, if it is grey or a root. */
static inline __attribute__((always_inline)) void
take_word(struct marker *m, const struct np_pool *pool, uint32_t granule, bool first)
{
    uint32_t state = np_load_relaxed(&m->own[granule]); /* relaxed, all: as in mark_grey */
    bool root = first && (state & NP_SIDE_MEMBER) && np_side_count(state) != 0;
    if (!(state & NP_SIDE_GREY) && !(root && !(state & NP_SIDE_MARKED)))
        return;
    struct neap_header *header = object_at(pool, granule);
    if (np_unlikely(root && np_side_count(state) < 0))
        np_trace_panic_overcount(header);
    if (!(state & NP_SIDE_GREY))
        m->marked++;
    np_store_relaxed(&m->own[granule], (state | NP_SIDE_MARKED) & ~(uint32_t)NP_SIDE_GREY);
    __builtin_prefetch(header);
    __builtin_prefetch((char *)header + NP_OBJECT_MIN); /* it may straddle two lines */
    m->near[m->near_count++] = (uint16_t)granule;
}

/* First all that is grey is listed, and comes into the cache meanwhile; then it is visited, and
 * what it leads to in the same row. */
static inline __attribute__((always_inline)) void pass_row(struct scanner *s, struct marker *m,
                                                           struct last *last, uint32_t row,
                                                           enum mode mode, bool first)
{
    const struct np_pool *pool = &np_region.pools[np_side.pools[row]];
    m->own = np_side.words + (size_t)row * NP_SIDE_ROW;
    m->near_count = 0;
    for (unsigned line = 0; line < NP_SIDE_ROW; line += LINE)
        if (!line_is_empty(m->own + line, first))
            for (unsigned k = 0; k < LINE; k++)
                take_word(m, pool, line + k, first);
    for (unsigned i = 0; i < m->near_count; i++)
        visit(s, m, last, object_at(pool, m->near[i]), mode);
    if (m->next > 0)
        end_far(m, mode); /* the next row may be among them */
}

static inline __attribute__((always_inline)) void pass_rows(struct scanner *s, enum mode mode,
                                                            bool first)
{
    uint64_t rows = np_side.row_count;
    uint32_t from = (uint32_t)(1 + rows * s->index / s->workers);
    uint32_t to = (uint32_t)(1 + rows * (s->index + 1) / s->workers);
    struct marker marker = s->marker; /* a copy: nobody else has its address */
    struct last last = {0};
    marker.marked = marker.visited = 0;
    begin_far(&marker);
    for (uint32_t i = from; i < to; i++) {
        uint32_t row = s->down ? to - 1 - (i - from) : i;
        pass_row(s, &marker, &last, row, mode, first);
    }
    end_far(&marker, mode);
    s->marked += marker.marked;
    s->visited += marker.visited;
}

static bool is_big(const struct neap_header *header)
{
    return np_object_block_bytes(header) / sizeof(void *) >= BIG_LENGTH;
}

/* Big arrays are shared by all workers, others taken in turn. */
static void pass_large(struct scanner *s)
{
    for (size_t i = large.done; i < large.end; i++) {
        struct neap_header *header = large.found[i];
        bool mine = i % s->workers == s->index;
        if (mine) {
            s->visited++;
            if (s->mode == KNOWN)
                age(header);
            if (np_unlikely(s->ephemerons))
                (void)visit_ephemerons(s, header); /* as a key: weak maps are small */
        }
        if (is_big(header))
            visit_share(s, header, s->index, s->workers);
        else if (mine)
            visit_share(s, header, 0, 1);
    }
}

static void pass_together(unsigned index, void *arg)
{
    struct scanner *s = &scanners[index];
    (void)arg;
    s->marker.marked = s->marked = s->visited = 0;
    pass_large(s);
    if (s->mode == KNOWN)
        pass_rows(s, KNOWN, false);
    else if (s->first)
        pass_rows(s, MEMBERS, true);
    else
        pass_rows(s, MEMBERS, false);
    s->marked += s->marker.marked;
}

/* ---- spreading ---- */

static void enqueue(struct neap_header *header)
{
    size_t place = queue.first + queue.count++;
    queue.targets[place < queue.room ? place : place - queue.room] = header;
}

static struct neap_header *peek_queue(size_t ahead)
{
    size_t place = queue.first + ahead;
    return queue.targets[place < queue.room ? place : place - queue.room];
}

static struct neap_header *dequeue(void)
{
    struct neap_header *header = peek_queue(0);
    queue.first = queue.first + 1 < queue.room ? queue.first + 1 : 0;
    queue.count--;
    return header;
}

/* What does not fit waits as grey. */
static void enqueue_slot(struct neap_visitor *visitor, void **slot)
{
    struct scanner *s = (struct scanner *)(void *)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    if (child == NULL)
        return;
    if (queue.count < queue.limit)
        enqueue(neap_header_of(child));
    else
        mark_target(&s->marker, neap_header_of(child), s->mode);
}

/* All that is grey becomes a target again; returns how many there were. */
static size_t gather(void)
{
    for (uint32_t row = 1; row <= np_side.row_count; row++) {
        const struct np_pool *pool = &np_region.pools[np_side.pools[row]];
        uint32_t *words = np_side.words + (size_t)row * NP_SIDE_ROW;
        for (unsigned line = 0; line < NP_SIDE_ROW; line += LINE) {
            if (line_is_empty(words + line, false))
                continue;
            for (unsigned k = line; k < line + LINE; k++)
                if ((words[k] & NP_SIDE_GREY) && queue.count < queue.limit) {
                    words[k] &= ~(uint32_t)(NP_SIDE_GREY | NP_SIDE_MARKED);
                    enqueue(object_at(pool, k));
                }
        }
    }
    for (; large.done < large.count && queue.count < queue.limit; large.done++) {
        struct neap_header *header = large.found[large.done];
        np_large_of(header)->counter &= ~(uint32_t)NP_SIDE_MARKED;
        enqueue(header);
    }
    return queue.count;
}

static bool mark_black(const struct scanner *s, const struct neap_header *header)
{
    uint32_t *word = np_side_word_in(&s->marker.view, header, true);
    if (word == NULL || !is_unmarked(*word, s->mode))
        return false;
    if (np_unlikely(s->ephemerons) && s->mode == KNOWN && np_is_weak_map(header))
        return false;
    *word |= NP_SIDE_MARKED;
    return true;
}

/* Breadth first until the queue is full, empty, or the budget spent. */
static void spread(struct scanner *s)
{
    size_t budget = (size_t)np_side.row_count * BUDGET;
    while (queue.count > 0 && queue.count < queue.limit && budget > 0) {
        if (queue.count > AHEAD) {
            __builtin_prefetch(np_side_word_in(&s->marker.view, peek_queue(AHEAD), true));
            __builtin_prefetch(peek_queue(AHEAD));
        }
        struct neap_header *header = dequeue();
        budget--;
        if (!mark_black(s, header))
            continue;
        if (s->mode == KNOWN)
            age(header);
        if (np_unlikely(s->ephemerons) && visit_ephemerons(s, header))
            continue;
        np_visit_object(header, np_type_at(header->type), &s->visitor, enqueue_slot);
    }
}

/* left: grey objects, at most. Returns how many there are now, enough for a pass; or 0: what is in
 * the queue is for others. */
static uint64_t widen(struct scanner *s, uint64_t left)
{
    queue.first = queue.count = 0;
    queue.limit = (size_t)np_side.row_count * WIDE;
    s->visitor.slot = enqueue_slot;
    s->marker.marked = 0;
    s->marker.own = NULL;
    left -= gather();
    spread(s);
    bool wide = queue.count >= queue.limit;
    while (wide && queue.count > 0)
        mark_target(&s->marker, dequeue(), s->mode);
    end_far(&s->marker, s->mode);
    s->visitor.slot = mark_slot;
    return left + s->marker.marked;
}

/* ---- the whole ---- */

static void begin(unsigned workers, enum mode mode)
{
    large.count = large.done = 0;
    for (unsigned i = 0; i < workers; i++) {
        struct scanner *s = &scanners[i];
        s->visitor.slot = mark_slot;
        s->marker.view = np_side_view();
        s->marker.own = NULL;
        begin_far(&s->marker);
        s->mode = mode;
        s->ephemerons = np_ephemeron_count() > 0;
        s->first = mode == MEMBERS;
        s->down = false;
        s->index = i;
        s->workers = workers;
    }
}

struct yield {
    uint64_t visited, left; /* by the last pass; still grey */
};

static struct yield pass(unsigned workers, uint64_t left, bool down)
{
    struct yield yield = {0, left};
    large.end = np_load_relaxed(&large.count); /* relaxed, both: nobody adds meanwhile */
    for (unsigned i = 0; i < workers; i++)
        scanners[i].down = down;
    np_crew_run(scanners[0].mode == KNOWN ? NEAP_GC_PHASE_KNOWN : NEAP_GC_PHASE_TRACE, workers,
                pass_together, NULL);
    large.done = large.end;
    for (unsigned i = 0; i < workers; i++) {
        yield.visited += scanners[i].visited;
        yield.left += scanners[i].marked - scanners[i].visited;
        scanners[i].first = false;
    }
    return yield;
}

/* left: grey objects before the first pass. */
static size_t run(unsigned workers, uint64_t left)
{
    uint64_t little = np_side.row_count;
    bool down = false;
    unsigned poor = 0; /* passes in a row that found little */
    for (;;) {
        struct yield yield = pass(workers, left, down);
        left = yield.left;
        if (left == 0 || yield.visited == 0)
            return 0;
        if (yield.visited >= little || left >= little) {
            poor = 0;
            continue;
        }
        down = !down;
        if (++poor < 2)
            continue;
        left = widen(&scanners[0], left);
        if (left == 0 || queue.count > 0)
            return queue.count;
        down = false;
        poor = 0;
    }
}

static void mark_held_large(struct marker *m)
{
    m->marked = 0;
    for (size_t i = 0; i < np_universe.large_count; i++) {
        uint32_t word = np_large_of(np_universe.large[i])->counter;
        if (!(word & NP_SIDE_MEMBER))
            continue;
        if (np_side_count(word) < 0)
            np_trace_panic_overcount(np_universe.large[i]);
        if (np_side_count(word) > 0)
            mark_large(m, np_universe.large[i], MEMBERS);
    }
}

size_t np_scan_members_stopped(unsigned workers)
{
    begin(workers, MEMBERS);
    mark_held_large(&scanners[0].marker);
    return run(workers, scanners[0].marker.marked);
}

size_t np_scan_known_stopped(unsigned workers)
{
    begin(workers, KNOWN);
    struct marker *m = &scanners[0].marker;
    m->marked = 0;
    for (size_t i = 0; i < np_known_count(); i++)
        mark_target(m, np_known_at(i), KNOWN);
    end_far(m, KNOWN);
    return run(workers, m->marked);
}

struct neap_header *np_scan_left(size_t index)
{
    return peek_queue(index);
}
