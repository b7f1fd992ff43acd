/* SPDX-License-Identifier: MIT
 *
 * One pass over the pools of the universe in the order of memory. The target of a reference is
 * never touched: its address gives its side word (side.h).
 *
 * With several workers each subtracts in a table of side words of its own: no instruction is
 * locked, no line is written by two. Pools are dealt out by a cursor, in the order of memory. Then
 * all meet, and the tables are added up, again in the order of memory: a word is a sum, so it does
 * not matter in which table a reference was subtracted. */
#include "collector/count.h"

#include "base/os.h"
#include "collector/crew.h"
#include "collector/known.h"
#include "collector/plan.h"
#include "runtime/count.h"
#include "runtime/ephemeron.h"

bool np_count_in_header(const struct neap_header *header, uint64_t *ret_count)
{
    /* relaxed, all: whoever writes them is stopped */
    uint16_t owner = np_load_relaxed(&header->owner);
    uint32_t shared = np_load_relaxed(&header->shared);
    if (owner == NEAP_OWNER_IMMORTAL || owner == NEAP_OWNER_DEFERRED || np_shared_is_stuck(shared))
        return false;
    int64_t count = np_shared_count(shared);
    if (owner != NEAP_OWNER_NONE)
        count += np_load_relaxed(&header->local);
    *ret_count = (uint64_t)count;
    return (uint64_t)count < NP_SIDE_COUNT_LIMIT;
}

bool np_count_needs_user(const struct neap_header *header, const struct neap_type *type)
{
    /* relaxed, both: whoever writes them is stopped */
    if (type->traits & NP_TRAIT_USER)
        if (type->dispose != NULL || !(np_load_relaxed(&header->gc) & NP_GC_FINALIZED))
            return true;
    if (type->clear != NULL)
        return true;
    return (type->flags & NEAP_PEEKABLE) && (np_load_relaxed(&header->shared) & NP_PUBLISHED);
}

/* ---- workers ---- */

enum {
    ROWS_AT_ONCE = 64,   /* taken from the cursor: 1 MiB of heap */
    PARALLEL_ROWS = 1024 /* 16 MiB of heap: below, waking a crew takes longer than counting */
};

/* PART: some pools are covered. WHOLE: all. SHARED: all, by several workers. */
enum mode { PART, WHOLE, SHARED };

/* Words that are to be lowered, while they come into the cache: a reference that leads far away
 * costs its word's miss, but not before FAR more of them have been found. */
enum { FAR = 32 };

struct far {
    uint32_t *words[FAR];
    unsigned next;
    uint32_t nobodys_word; /* what an empty place of the ring leads to; never read */
};

struct counting {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct np_side_view view;
    struct np_tally tally;
    enum mode mode;
    unsigned most;         /* generations 0 .. most are examined */
    const uint32_t *marks; /* SHARED: the table that says what is known to live */
    struct far far;        /* of unusual objects */
} __attribute__((aligned(NP_CACHE_LINE)));

static struct counting countings[NP_CREW_MOST]; /* (s) one per worker */
static uint32_t *tables[NP_CREW_MOST];          /* (s) per worker: reserved, zero */
static uint32_t used_rows;                      /* (s) of the tables, by the last count */
static uint32_t next_row, next_sum;             /* (x) the cursors of counting and adding up */

void np_count_prepare(unsigned workers)
{
    if (workers == 1)
        return;
    for (unsigned i = 0; i < workers; i++)
        if (tables[i] == NULL)
            tables[i] = np_os_reserve(np_side.words_bytes, NP_SIDE_ALIGNMENT);
}

void np_count_fini(void)
{
    for (unsigned i = 0; i < NP_CREW_MOST; i++) {
        if (tables[i] != NULL)
            np_os_unreserve(tables[i], np_side.words_bytes);
        tables[i] = NULL;
    }
}

/* ---- one reference ---- */

static inline void begin_far(struct far *far)
{
    far->next = 0;
    far->nobodys_word = 0;
    for (unsigned i = 0; i < FAR; i++)
        far->words[i] = &far->nobodys_word;
}

static inline void lower_far(struct far *far, uint32_t *word)
{
    __builtin_prefetch(word, 1);
    *far->words[far->next % FAR] -= NP_SIDE_ONE;
    far->words[far->next++ % FAR] = word;
}

static inline void end_far(struct far *far)
{
    unsigned used = far->next < FAR ? far->next : FAR;
    for (unsigned i = 0; i < used; i++) {
        *far->words[i] -= NP_SIDE_ONE;
        far->words[i] = &far->nobodys_word;
    }
    far->next = 0;
}

/* In this row: at once, it is in the cache. Elsewhere: when it has come. */
static inline __attribute__((always_inline)) void lower(struct far *far, uint32_t *word,
                                                        const uint32_t *own)
{
    if (((uintptr_t)word ^ (uintptr_t)own) < NP_SIDE_ROW * sizeof *word)
        *word -= NP_SIDE_ONE;
    else
        lower_far(far, word);
}

/* own: the word of the object whose slot it is. */
static inline __attribute__((always_inline)) void subtract(const struct np_side_view *view,
                                                           void **slot, const uint32_t *own,
                                                           struct far *far, enum mode mode)
{
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    if (child == NULL)
        return;
    const struct neap_header *header = neap_header_of(child);
    if (mode == SHARED) {
        uintptr_t offset = (uintptr_t)header - view->base;
        if (np_unlikely(offset >= view->bytes)) {
            /* relaxed: a sum; several workers may be at it, and large objects are few */
            (void)np_fetch_add_relaxed(np_side_word_of_large(view, header), (uint32_t)-NP_SIDE_ONE);
            return;
        }
        lower(far, &view->words[NP_SIDE_ROW + offset / NP_OBJECT_MIN], own);
        return;
    }
    uint32_t *word = np_side_word_in(view, header, mode == WHOLE);
    if (mode == WHOLE && np_likely(word != NULL))
        lower(far, word, own);
    else if (word != NULL)
        *word -= NP_SIDE_ONE;
}

static void count_slot(struct neap_visitor *visitor, void **slot)
{
    struct counting *counting = (struct counting *)(void *)visitor;
    subtract(&counting->view, slot, NULL, &counting->far, counting->mode);
}

/* ---- one object ---- */

/* Of the generations at hand, tracked, and out of the ordinary in some way. */
static np_noinline void count_unusual(struct neap_header *header, uint32_t *word,
                                      struct counting *counting)
{
    uint64_t count;
    const struct neap_type *type = np_type_at(header->type);
    if (!np_count_in_header(header, &count)) {
        if (type->flags & NP_TYPE_EPHEMERONS) {
            count = NP_SIDE_COUNT_LIMIT / 2; /* held, and what it holds depends on its keys */
        } else {
            if (np_load_relaxed(&header->owner) == NEAP_OWNER_IMMORTAL) /* relaxed: as above */
                np_known_add(header);
            return;
        }
    }
    *word += (uint32_t)count * NP_SIDE_ONE + NP_SIDE_MEMBER;
    counting->tally.members++;
    counting->tally.unusual |= np_count_needs_user(header, type) || np_count_may_be_stuck(type);
    np_visit_object(header, type, &counting->visitor, count_slot);
    end_far(&counting->far);
}

/* The two words of a header, read whole: the fields' places are those of <neap/header.h>. */
#define OWNER_OF(word0)         ((uint32_t)((word0) >> 32) & 0xFFFF)
#define GC_OF(word0)            ((unsigned)((word0) >> 48) & 0xFF)
#define GC_AND_FLAGS(gc, flags) ((uint64_t)(gc) << 48 | (uint64_t)(flags) << 56)

/* Counts that need no further thought. */
enum { SMALL_COUNT = 1 << 24 };

/* The object of this word is reachable from what is immortal. */
static inline bool is_known(const struct counting *counting, const struct np_side_view *view,
                            const uint32_t *word, enum mode mode)
{
    if (mode == SHARED)
        word = counting->marks + (word - view->words);
    return (np_load_relaxed(word) & NP_SIDE_MARKED) != 0; /* relaxed: nobody writes the bit now */
}

/* Whatever is looked at goes up one generation; garbage is told so when it is condemned. Returns
 * the bit of its generation afterwards. */
static inline __attribute__((always_inline)) unsigned
count_object(struct neap_header *header, uint64_t word0, uint64_t word1, uint32_t *word,
             struct counting *counting, const struct np_side_view *view, struct np_tally *tally,
             unsigned most, enum mode mode, struct far *far)
{
    unsigned generation = GC_OF(word0) & NP_GC_GENERATION;
    if (np_unlikely(GC_OF(word0) & NP_GC_FROZEN))
        return NP_POOL_FROZEN;
    if (generation > most || np_unlikely(is_known(counting, view, word, mode)))
        return 1u << generation;
    if (generation < 2) {
        tally->promoted += generation == 1 && (GC_OF(word0) & NP_GC_TRACKED);
        /* relaxed: the world is stopped */
        np_store_relaxed(&header->gc, (uint8_t)(GC_OF(word0) + 1));
        generation++;
    }
    if (!(GC_OF(word0) & NP_GC_TRACKED))
        return 1u << generation;
    const struct np_plan *plan = &np_plans[word1 >> 32];
    uint32_t local = (uint32_t)word0;
    int32_t shared = np_shared_count((uint32_t)word1);
    bool ordinary = plan->simple && !(word0 & GC_AND_FLAGS(0, NP_FLAG_ARRAY | NP_FLAG_LARGE)) &&
                    OWNER_OF(word0) <= NEAP_OWNER_LAST && local < SMALL_COUNT &&
                    shared < SMALL_COUNT && shared > -SMALL_COUNT;
    if (np_unlikely(!ordinary)) {
        count_unusual(header, word, counting);
        return 1u << generation;
    }
    /* an object without owner has local 0 */
    *word += (local + (uint32_t)shared) * NP_SIDE_ONE + NP_SIDE_MEMBER;
    tally->members++;
    if (np_unlikely(plan->may_need_user))
        tally->unusual |= np_count_needs_user(header, np_type_at(header->type));
    for (unsigned i = 0; i < plan->count; i++)
        subtract(view, (void **)(void *)((char *)header + plan->offset[i]), word, far, mode);
    return 1u << generation;
}

/* ---- pools ---- */

static inline bool is_alive(uint64_t word0, uint64_t word1)
{
    /* a dying object is linked through word 0 */
    return word1 >> 32 != 0 && OWNER_OF(word0) < NEAP_OWNER_RESERVED;
}

static void add_tally(struct np_tally *sum, const struct np_tally *part)
{
    sum->members += part->members;
    sum->promoted += part->promoted;
    sum->alive += part->alive;
    sum->known += part->known;
    sum->unusual |= part->unusual;
}

/* The pool stays young if a block is neither free nor a living object: it is in a magazine or on
 * its way, and comes back without notice. */
static inline __attribute__((always_inline)) void
count_pool(uint32_t row, struct counting *counting, enum mode mode)
{
    struct np_pool *pool = &np_region.pools[np_side.pools[row]];
    struct np_side_view view = counting->view; /* copies: nobody else has their address */
    struct np_tally tally = {0};
    unsigned most = counting->most, generations = 0;
    char *block = np_pool_memory(pool);
    size_t block_bytes = pool->block_bytes;
    struct far far;
    begin_far(&far);
    bool all_old = mode != PART && pool->generations == 1 << 2;
    for (unsigned i = pool->carved; i > 0; i--, block += block_bytes) {
        struct neap_header *header = (struct neap_header *)(void *)block;
        uint32_t *word = np_side_word_among(view.words, row, (uintptr_t)block);
        if (all_old &&
            is_known(counting, &view, word, mode)) { /* known to live: its header is not touched */
            tally.alive++;
            tally.known++;
            generations |= 1 << 2;
            continue;
        }
        /* relaxed, both: whoever writes them is stopped */
        uint64_t word0 = np_load_relaxed((np_word *)header);
        uint64_t word1 = np_load_relaxed((np_word *)header + 1);
        if (!is_alive(word0, word1))
            continue;
        tally.alive++;
        generations |=
            count_object(header, word0, word1, word, counting, &view, &tally, most, mode, &far);
    }
    end_far(&far);
    if (pool->used != tally.alive)
        generations |= 1;
    pool->generations = (uint8_t)generations;
    add_tally(&counting->tally, &tally);
}

/* One worker does it, before the others begin: only they lower these words without owning them. */
static void count_large(struct neap_header *header, struct counting *counting)
{
    uint64_t word0 = np_load_relaxed((np_word *)header); /* relaxed, both: as in count_pool */
    uint64_t word1 = np_load_relaxed((np_word *)header + 1);
    if (!is_alive(word0, word1))
        return;
    counting->tally.alive++;
    struct far far;
    begin_far(&far);
    (void)count_object(header, word0, word1, &np_large_of(header)->counter, counting,
                       &counting->view, &counting->tally, counting->most,
                       counting->mode == PART ? PART : WHOLE, &far);
    end_far(&far);
}

static void count_all_large(struct counting *counting)
{
    for (size_t i = 0; i < np_universe.large_count; i++)
        count_large(np_universe.large[i], counting);
}

/* ---- one worker ---- */

static void begin(struct counting *counting, enum mode mode)
{
    counting->visitor.slot = count_slot;
    counting->view = np_side_view();
    counting->tally = (struct np_tally){0};
    counting->mode = mode;
    counting->most = (unsigned)np_universe.generation;
    begin_far(&counting->far);
}

static void count_alone(struct counting *counting)
{
    begin(counting, np_side_view().whole ? WHOLE : PART);
    for (uint32_t row = 1; row <= np_side.row_count; row++) {
        if (!np_universe_has(np_side.pools[row]))
            continue;
        if (counting->mode == WHOLE)
            count_pool(row, counting, WHOLE);
        else
            count_pool(row, counting, PART);
    }
    count_all_large(counting);
}

/* ---- several workers ---- */

/* What is known to live is marked in np_side's own table, which nobody writes then; else it is the
 * first worker's. */
static void share_out(unsigned workers)
{
    bool known = np_known_count() > 0;
    for (unsigned i = 0; i < workers; i++) {
        struct counting *counting = &countings[i];
        begin(counting, SHARED);
        if (i > 0 || known) {
            counting->view.words = tables[i];
            np_side_prefer_huge(tables[i]);
        }
        counting->marks = known ? np_side.words : counting->view.words;
    }
    next_row = next_sum = 1;
}

/* Rows of one turn; false: there are no more. */
static bool take_rows(uint32_t *cursor, uint32_t *ret_first, uint32_t *ret_end)
{
    /* relaxed: every row is somebody's, no matter whose */
    uint32_t first = np_fetch_add_relaxed(cursor, (uint32_t)ROWS_AT_ONCE);
    uint32_t end = np_side.row_count + 1;
    *ret_first = first;
    *ret_end = end - first > ROWS_AT_ONCE ? first + ROWS_AT_ONCE : end;
    return first < end;
}

static void add_up(uint32_t first, uint32_t end, unsigned workers)
{
    size_t start = (size_t)first * NP_SIDE_ROW, stop = (size_t)end * NP_SIDE_ROW;
    uint32_t *sums = np_side.words;
    for (unsigned i = 0; i < workers; i++) {
        const uint32_t *part = countings[i].view.words;
        if (part == sums)
            continue;
        for (size_t word = start; word < stop; word++)
            sums[word] += part[word];
    }
}

static void count_together(unsigned index, void *arg)
{
    unsigned workers = *(const unsigned *)arg;
    uint32_t first, end;
    while (take_rows(&next_row, &first, &end))
        for (uint32_t row = first; row < end; row++)
            if (np_universe_has(np_side.pools[row]))
                count_pool(row, &countings[index], SHARED);
    np_crew_barrier();
    while (take_rows(&next_sum, &first, &end))
        add_up(first, end, workers);
}

static bool can_share(unsigned workers)
{
    bool can = workers > 1 && np_side.whole && np_side.row_count >= PARALLEL_ROWS &&
               np_side.row_count < UINT32_MAX - NP_CREW_MOST * ROWS_AT_ONCE;
    for (unsigned i = 0; i < workers && can; i++)
        can = tables[i] != NULL;
    return can;
}

void np_count_stopped(struct np_tally *ret_tally)
{
    unsigned workers = np_crew_size();
    np_plan_update();
    *ret_tally = (struct np_tally){0};
    if (!can_share(workers)) {
        count_alone(&countings[0]);
        *ret_tally = countings[0].tally;
        return;
    }
    share_out(workers);
    count_all_large(&countings[0]);
    np_crew_run(NEAP_GC_PHASE_COUNT, workers, count_together, &workers);
    for (unsigned i = 0; i < workers; i++)
        add_tally(ret_tally, &countings[i].tally);
    used_rows = np_side.row_count;
}

void np_count_clear(void)
{
    if (used_rows > 0)
        for (unsigned i = 0; i < NP_CREW_MOST; i++)
            if (tables[i] != NULL)
                np_os_give_back(tables[i], np_side_bytes(used_rows));
    used_rows = 0;
}
