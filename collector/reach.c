/* SPDX-License-Identifier: MIT
 *
 * Words are MEMBER, then MARKED and GREY, then MARKED: grey ones have been found and not visited.
 * Targets in the row at hand are visited in the same visit of the row, the words of others wait in
 * a ring while they come into the cache.
 *
 * Two threads may share a pass, by rows; each row is one's. Words are then read and written by
 * both, and not by read-modify-write: what one writes may undo what the other has written in
 * between. That does no harm, since nobody writes less than MARKED, and MARKED without GREY only
 * who visits the object afterwards: so whatever is lost, a word that says MARKED alone has been
 * visited or will be, and one that says GREY will be visited again. Counts of what is grey may be
 * too high then, and are corrected when a pass has found nothing (tests/model/marking.pml). */
#include "collector/reach.h"

#include "alloc/pool.h"
#include "base/perturb.h"
#include "collector/partner.h"
#include "collector/side.h"

enum {
    LINE = NP_CACHE_LINE / sizeof(uint32_t), /* words looked at together */
    FAR = 32,                                /* words on their way into the cache */
    AHEAD = 16,                              /* objects on their way */
    FOUND_PER_MEMBER = 4,                    /* references that wait on the stack */
    WORTH = 3,                               /* objects per row that make a pass worth it */
    WIDE = 8,                                /* grey objects per row to begin passes with */
    BUDGET = 16,                             /* objects per row visited to get so many */
    ROWS_AT_ONCE = 32,                       /* of a pass, that one of two threads takes */
    SHARED_ROWS = NP_PERTURB ? 2 : 1024 /* in fewer a pass is over before another thread wakes */
};

/* What a thread has done. */
struct tally {
    uint64_t visited;
    int64_t grey; /* made, less taken */
};

/* The stack holds references as they were found, to be marked in their turn, while the words of
 * those before come into the cache; in its last part, which has room for every member once, marked
 * ones, with bit 0 set. The ring holds references found breadth first. */
static struct {
    uintptr_t *stack; /* reserved, both */
    struct neap_header **ring;
    size_t top, most_found;
    size_t first, count, room; /* of the ring */
    size_t cost;               /* of a pass, in rows */
    struct tally tally;
} reach;

static inline uint32_t read(const uint32_t *word)
{
    return np_load_relaxed(word); /* relaxed: see above */
}

static inline void write(uint32_t *word, uint32_t value)
{
    np_store_relaxed(word, value); /* relaxed: the same */
}

#define MARKED ((uintptr_t)1)

bool np_reach_begin(uint64_t members, uint32_t rows)
{
    reach.top = reach.first = reach.count = 0;
    reach.most_found = members * FOUND_PER_MEMBER;
    /* large objects' words are walked over as rows are */
    reach.cost = rows + np_roster.count / NP_SIDE_ROW + 1;
    reach.room = reach.cost * WIDE;
    reach.stack = np_proposal_memory(reach.most_found + members, sizeof *reach.stack);
    reach.ring = np_proposal_memory(reach.room, sizeof(struct neap_header *));
    return reach.stack != NULL && reach.ring != NULL;
}

void np_reach_drop(void)
{
    reach.stack = NULL;
    reach.ring = NULL;
}

static uint32_t *row_words(uint32_t row)
{
    return np_proposal_table.words + (size_t)row * NP_SIDE_ROW;
}

/* ---- depth first ---- */

struct queue {
    unsigned first, count;
    struct neap_header *targets[AHEAD];
};

static inline void enter(struct queue *queue, struct neap_header *header)
{
    __builtin_prefetch(np_proposal_word_of(header));
    __builtin_prefetch(header);
    queue->targets[(queue->first + queue->count++) % AHEAD] = header;
}

/* The word says that it may be marked. from: the state it has then, to: the state it gets. */
struct marking {
    uint32_t from, to;
};

static const struct marking from_member = {NP_PROPOSAL_MEMBER, NP_PROPOSAL_MARKED};
static const struct marking from_candidate = {NP_PROPOSAL_CANDIDATE, NP_PROPOSAL_MARKED};

static inline bool mark(uint32_t *word, struct marking marking)
{
    if ((*word & (marking.from | marking.to)) != marking.from)
        return false;
    *word = (*word & ~marking.from) | marking.to | NP_PROPOSAL_MEMBER;
    return true;
}

static void visit(struct queue *queue, struct neap_header *header, struct marking marking)
{
    struct np_members_slots slots;
    if (!np_proposal_slots(header, &slots))
        return;
    for (size_t i = 0; i < slots.count; i++) {
        const void *child = np_proposal_read(&slots, i);
        uint32_t *word = child != NULL ? np_proposal_word(child) : NULL;
        if (word == NULL)
            continue;
        if (queue->count < AHEAD)
            enter(queue, neap_header_of(child));
        else if (reach.top < reach.most_found)
            reach.stack[reach.top++] = (uintptr_t)neap_header_of(child);
        else if (mark(word, marking))
            reach.stack[reach.top++] = (uintptr_t)neap_header_of(child) | MARKED;
        if (!np_proposal_poll_slot(i))
            return;
    }
}

/* start is marked. False: it is to end. */
static bool mark_all_from(struct neap_header *start, struct marking marking)
{
    struct queue queue = {0};
    visit(&queue, start, marking);
    for (;;) {
        while (queue.count < AHEAD && reach.top > 0) {
            uintptr_t found = reach.stack[--reach.top];
            if (found & MARKED)
                visit(&queue, (struct neap_header *)(found & ~MARKED), marking);
            else
                enter(&queue, (struct neap_header *)found);
        }
        if (queue.count == 0)
            return true;
        struct neap_header *header = queue.targets[queue.first++ % AHEAD];
        queue.count--;
        if (mark(np_proposal_word_of(header), marking))
            visit(&queue, header, marking);
        if (!np_proposal_poll_sometimes())
            return false;
    }
}

bool np_reach_from_candidate(struct neap_header *header)
{
    reach.top = 0;
    return !mark(np_proposal_word_of(header), from_candidate) ||
           mark_all_from(header, from_candidate);
}

/* ---- in the order of memory ---- */

struct marker {
    struct tally tally;
    uint32_t *own; /* words of the row at hand, or NULL */
    unsigned near_count, next;
    uint16_t near[NP_SIDE_ROW]; /* granules of the row at hand: each is marked once */
    uint32_t *far[FAR];
} __attribute__((aligned(NP_CACHE_LINE)));

static uint32_t nobodys_word; /* in empty places of rings */

static inline void mark_grey(struct tally *tally, uint32_t *word)
{
    uint32_t before = read(word);
    if (!np_proposal_is_unmarked(before))
        return;
    write(word, before | NP_PROPOSAL_MARKED | NP_PROPOSAL_GREY);
    tally->grey++;
}

static inline void mark_near(struct marker *m, uint32_t *word)
{
    uint32_t before = read(word);
    if (!np_proposal_is_unmarked(before))
        return;
    write(word, before | NP_PROPOSAL_MARKED);
    m->near[m->near_count++] = (uint16_t)(word - m->own);
}

static inline void begin_far(struct marker *m)
{
    m->next = 0;
    for (unsigned i = 0; i < FAR; i++)
        m->far[i] = &nobodys_word;
}

/* Afterwards the ring is empty again. */
static inline void end_far(struct marker *m)
{
    unsigned used = m->next < FAR ? m->next : FAR;
    for (unsigned i = 0; i < used; i++) {
        mark_grey(&m->tally, m->far[i]);
        m->far[i] = &nobodys_word;
    }
    m->next = 0;
}

static inline void mark_target(struct marker *m, const void *child)
{
    uint32_t *word = child != NULL ? np_proposal_word(child) : NULL;
    if (word == NULL)
        return;
    if ((uintptr_t)word - (uintptr_t)m->own < NP_SIDE_ROW * sizeof *word) {
        mark_near(m, word);
        return;
    }
    __builtin_prefetch(word, 1);
    mark_grey(&m->tally, m->far[m->next % FAR]);
    m->far[m->next++ % FAR] = word;
}

static inline void visit_in_order(struct marker *m, const struct neap_header *header)
{
    struct np_members_slots slots;
    if (!np_proposal_slots(header, &slots))
        return;
    for (size_t i = 0; i < slots.count; i++) {
        mark_target(m, np_proposal_read(&slots, i));
        if (!np_proposal_poll_slot(i))
            return;
    }
}

/* A count below 0 is a reference that moved while it was counted: it lives, like one above. */
static inline bool is_root(uint32_t word)
{
    return np_proposal_is_unmarked(word) && word >= NP_PROPOSAL_ONE;
}

/* Is there anything to look at among the words of a line? roots: members whose count is not used
 * up, too. */
static inline bool line_is_empty(const uint32_t *words, bool roots)
{
    const uint64_t ones = UINT64_C(0x100000001);
    uint64_t found = 0;
    for (unsigned i = 0; i < LINE; i += 2) {
        /* relaxed: as read, two at once */
        uint64_t pair = np_load_relaxed((const np_word *)(const void *)(words + i));
        found |= pair & (ones * NP_PROPOSAL_GREY);
        if (roots)
            found |= pair & (ones * ~(uint32_t)(NP_PROPOSAL_ONE - 1)) &
                     ((pair & (ones * NP_PROPOSAL_MEMBER)) * UINT32_MAX);
    }
    return found == 0;
}

/* True: it was grey, or a root, and is to be visited. */
static inline bool take(struct tally *tally, uint32_t *word, bool roots)
{
    uint32_t before = read(word);
    if (before & NP_PROPOSAL_GREY)
        tally->grey--;
    else if (!roots || !is_root(before))
        return false;
    write(word, (before | NP_PROPOSAL_MARKED) & ~(uint32_t)NP_PROPOSAL_GREY);
    return true;
}

/* Puts the word's object on the row's list, if it is grey or a root. */
static inline void take_word(struct marker *m, const struct np_pool *pool, unsigned granule,
                             bool roots)
{
    if (!take(&m->tally, &m->own[granule], roots))
        return;
    const struct neap_header *header = np_proposal_object_at(pool, granule);
    __builtin_prefetch(header);
    __builtin_prefetch((const char *)header + NP_OBJECT_MIN); /* it may straddle two lines */
    m->near[m->near_count++] = (uint16_t)granule;
}

/* First all that is grey is listed, and comes into the cache meanwhile; then it is visited, and
 * what it leads to in the same row. */
static inline __attribute__((always_inline)) void pass_row(struct marker *m, uint32_t row,
                                                           bool roots)
{
    const struct np_pool *pool = &np_region.pools[row];
    m->own = row_words(row);
    m->near_count = 0;
    for (unsigned line = 0; line < NP_SIDE_ROW; line += LINE)
        if (!line_is_empty(m->own + line, roots))
            for (unsigned k = 0; k < LINE; k++)
                take_word(m, pool, line + k, roots);
    for (unsigned i = 0; i < m->near_count; i++)
        visit_in_order(m, np_proposal_object_at(pool, m->near[i]));
    m->tally.visited += m->near_count;
    if (m->next > 0)
        end_far(m); /* the next row may be among them */
}

/* What is grey among large ones; with `roots`, what is held too. */
static bool pass_large(struct marker *m, bool roots)
{
    m->own = NULL; /* none is near */
    for (uint32_t i = 0; i < np_roster.count; i++) {
        if (!np_proposal_poll_sometimes())
            return false;
        if (!take(&m->tally, &np_roster.words[i], roots))
            continue;
        visit_in_order(m, np_roster.headers[i]);
        m->tally.visited++;
    }
    end_far(m);
    return true;
}

/* A pass that two threads share. */
static struct {
    uint32_t rows;
    bool roots, down;
    uint32_t next; /* (x) row */
    struct marker markers[2];
} shared;

/* False: it is to end. */
static bool pass_some(struct marker *m, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        uint32_t row = shared.down ? shared.rows - 1 - i : i;
        if (shared.roots)
            pass_row(m, row, true);
        else
            pass_row(m, row, false);
        if (!np_proposal_poll())
            return false;
    }
    return true;
}

static void take_rows(unsigned who)
{
    struct marker *m = &shared.markers[who];
    uint32_t first, end;
    do {
        first = np_fetch_add_relaxed(&shared.next, (uint32_t)ROWS_AT_ONCE); /* relaxed: a ticket */
        end = first + ROWS_AT_ONCE < shared.rows ? first + ROWS_AT_ONCE : shared.rows;
    } while (first < shared.rows && pass_some(m, first, end));
}

static bool pass_rows(uint32_t rows, bool roots, bool down)
{
    shared.rows = rows;
    shared.roots = roots;
    shared.down = down;
    np_store_relaxed(&shared.next, 0u); /* relaxed: the offer publishes it */
    for (unsigned who = 0; who < 2; who++) {
        shared.markers[who].tally = (struct tally){0};
        begin_far(&shared.markers[who]);
    }
    if (!pass_large(&shared.markers[0], roots))
        return false;
    if (rows < SHARED_ROWS)
        take_rows(0);
    else
        np_partner_share(take_rows);
    reach.tally.visited = 0;
    for (unsigned who = 0; who < 2; who++) {
        reach.tally.visited += shared.markers[who].tally.visited;
        reach.tally.grey += shared.markers[who].tally.grey;
    }
    if (reach.tally.visited == 0)
        reach.tally.grey = 0; /* nothing was visited, so nothing was found: two have marked one */
    return np_proposal_poll();
}

/* ---- breadth first ---- */

static void enqueue(struct neap_header *header)
{
    size_t place = reach.first + reach.count++;
    reach.ring[place < reach.room ? place : place - reach.room] = header;
}

static struct neap_header *peek(size_t ahead)
{
    size_t place = reach.first + ahead;
    return reach.ring[place < reach.room ? place : place - reach.room];
}

static struct neap_header *dequeue(void)
{
    struct neap_header *header = peek(0);
    reach.first = reach.first + 1 < reach.room ? reach.first + 1 : 0;
    reach.count--;
    return header;
}

/* Calls `each` for every grey object, which is not grey any more. False: it is to end. */
static bool each_grey(uint32_t rows, bool (*each)(struct neap_header *header))
{
    for (uint32_t i = 0; i < np_roster.count; i++) {
        if (!np_proposal_poll_sometimes())
            return false;
        if (take(&reach.tally, &np_roster.words[i], false) && !each(np_roster.headers[i]))
            return false;
    }
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t *words = row_words(row);
        for (unsigned line = 0; line < NP_SIDE_ROW; line += LINE) {
            if (line_is_empty(words + line, false))
                continue;
            for (unsigned k = line; k < line + LINE; k++) {
                if (!take(&reach.tally, &words[k], false))
                    continue;
                if (!each(np_proposal_object_at(&np_region.pools[row], k)))
                    return false;
            }
        }
        if (!np_proposal_poll())
            return false;
    }
    return true;
}

/* Its children wait in the ring; those that do not fit, as grey. */
static bool enqueue_children(struct neap_header *header)
{
    struct np_members_slots slots;
    if (!np_proposal_slots(header, &slots))
        return true;
    for (size_t i = 0; i < slots.count; i++) {
        const void *child = np_proposal_read(&slots, i);
        uint32_t *word = child != NULL ? np_proposal_word(child) : NULL;
        if (word == NULL)
            continue;
        if (reach.count < reach.room) {
            __builtin_prefetch(word, 1);
            enqueue(neap_header_of(child));
        } else {
            mark_grey(&reach.tally, word);
        }
        if (!np_proposal_poll_slot(i))
            return false;
    }
    return true;
}

/* Until the ring is full, empty, or the budget spent. False: it is to end. */
static bool spread(void)
{
    for (size_t left = reach.cost * BUDGET; left > 0; left--) {
        if (reach.count == 0 || reach.count == reach.room)
            break;
        if (reach.count > AHEAD)
            __builtin_prefetch(peek(AHEAD));
        struct neap_header *header = dequeue();
        if (mark(np_proposal_word_of(header), from_member))
            (void)enqueue_children(header);
        if (!np_proposal_poll_sometimes())
            return false;
    }
    return true;
}

static bool mark_all_from_member(struct neap_header *header)
{
    return mark_all_from(header, from_member);
}

/* What is grey spreads until there is enough for passes, and is grey again; where there never is,
 * all that it reaches is marked depth first. */
static bool widen(uint32_t rows, bool *ret_wide)
{
    if (!each_grey(rows, enqueue_children) || !spread())
        return false;
    *ret_wide = reach.count >= reach.room / 2;
    while (reach.count > 0)
        mark_grey(&reach.tally, np_proposal_word_of(dequeue()));
    return *ret_wide || each_grey(rows, mark_all_from_member);
}

bool np_reach_from_held(uint32_t rows)
{
    bool down = false, wide = true, rich = false;
    reach.tally = (struct tally){0};
    if (!pass_rows(rows, true, down))
        return false;
    while (wide && reach.tally.grey > 0) {
        if (!rich && !widen(rows, &wide))
            return false;
        /* two in a row, one of each direction, before it is given up */
        rich = false;
        for (unsigned pass = 0; pass < 2 && wide && reach.tally.grey > 0 && !rich; pass++) {
            down = !down;
            if (!pass_rows(rows, false, down))
                return false;
            rich = reach.tally.visited >= reach.cost * WORTH;
        }
    }
    return true;
}
