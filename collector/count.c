/* SPDX-License-Identifier: MIT
 *
 * One pass over the pools of the universe in the order of memory. The target of a reference is
 * never touched: its address gives its side word (side.h).
 *
 * With several workers each has rows of its own, dealt out in blocks, and only the owner of a row
 * writes its words: no instruction is locked. A reference into another worker's rows goes into a
 * buffer for that worker. Work proceeds in rounds: everybody counts pools until a buffer has
 * filled, all meet, everybody subtracts what the others have found for it, all meet again. */
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
    ROWS_PER_BLOCK = 64, /* dealt to workers in turn: 1 MiB of heap */
    ROUND_EDGES =
        1 << 16, /* references in a buffer that end a round: 256 KiB, it stays in the cache */
    PARALLEL_ROWS = 1024,  /* 16 MiB of heap: below, waking a crew takes longer than counting */
    BUFFER_EDGES = 1 << 26 /* of reserved memory; one object can overrun a round by so much */
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

/* References from one worker's rows into another's, as indices of side words. */
struct buffer {
    uint32_t *edges;
    size_t count;
};

struct counting {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct np_side_view view;
    struct np_tally tally;
    enum mode mode;
    unsigned most;    /* generations 0 .. most are examined */
    unsigned index;   /* this worker */
    unsigned workers; /* a power of two */
    bool more; /* has not come to the end of its rows; read by the others between two meetings */
    bool lost; /* a buffer overran: the sums are too high, nothing may be condemned */
    struct far far;                      /* of unusual objects */
    struct buffer buffers[NP_CREW_MOST]; /* for worker i */
} __attribute__((aligned(NP_CACHE_LINE)));

static struct counting countings[NP_CREW_MOST]; /* (s) one per worker */
static uint32_t *buffer_memory;                 /* reserved */
static size_t buffer_bytes;

void np_count_init(void)
{
    size_t page = np_os_page_bytes(), each = BUFFER_EDGES * sizeof(uint32_t);
    buffer_bytes = (each * NP_CREW_MOST * NP_CREW_MOST + page - 1) & ~(page - 1);
    buffer_memory = np_os_reserve(buffer_bytes, 1); /* without it one worker counts */
}

void np_count_fini(void)
{
    if (buffer_memory != NULL)
        np_os_unreserve(buffer_memory, buffer_bytes);
    buffer_memory = NULL;
}

/* ---- one reference ---- */

static np_noinline void subtract_elsewhere(struct counting *counting, uint32_t word_index)
{
    struct buffer *buffer =
        &counting->buffers[word_index / (NP_SIDE_ROW * ROWS_PER_BLOCK) & (counting->workers - 1)];
    if (np_likely(buffer->count < BUFFER_EDGES))
        buffer->edges[buffer->count++] = word_index;
    else
        counting->lost = true;
}

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
static inline __attribute__((always_inline)) void subtract(struct counting *counting,
                                                           const struct np_side_view *view,
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
        uint32_t index = (uint32_t)(NP_SIDE_ROW + offset / NP_OBJECT_MIN);
        if ((index / (NP_SIDE_ROW * ROWS_PER_BLOCK) & (counting->workers - 1)) == counting->index)
            lower(far, &view->words[index], own);
        else
            subtract_elsewhere(counting, index);
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
    subtract(counting, &counting->view, slot, NULL, &counting->far, counting->mode);
}

/* ---- one object ---- */

/* Of the generations at hand, tracked, and out of the ordinary in some way. A large object's word
 * may be lowered by other workers at the same time. */
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
    /* relaxed: a sum */
    (void)np_fetch_add_relaxed(word, (uint32_t)count * NP_SIDE_ONE + NP_SIDE_MEMBER);
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
    if (generation > most || np_unlikely(np_load_relaxed(word) & NP_SIDE_MARKED))
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
        subtract(counting, view, (void **)(void *)((char *)header + plan->offset[i]), word, far,
                 mode);
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
        uint32_t *word = np_side_word_in_row(row, (uintptr_t)block);
        if (all_old && (*word & NP_SIDE_MARKED)) { /* known to live: its header is not touched */
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
                       &counting->view, &counting->tally, counting->most, counting->mode, &far);
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
    counting->lost = false;
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

static bool is_full(const struct counting *counting)
{
    bool full = false;
    for (unsigned i = 0; i < counting->workers; i++)
        full |= counting->buffers[i].count >= ROUND_EDGES;
    return full;
}

/* The next row of the worker's own, from *row on; false: there is none. Blocks of rows belong to
 * workers in turn. */
static bool own_row(const struct counting *counting, uint32_t *row)
{
    while ((*row / ROWS_PER_BLOCK & (counting->workers - 1)) != counting->index)
        *row = (*row / ROWS_PER_BLOCK + 1) * ROWS_PER_BLOCK;
    return *row <= np_side.row_count;
}

static void take_from(struct buffer *buffer)
{
    uint32_t *words = np_side.words;
    const uint32_t *edges = buffer->edges;
    size_t count = buffer->count, i = 0;
    for (; i + FAR < count; i++) {
        __builtin_prefetch(&words[edges[i + FAR]], 1);
        words[edges[i]] -= NP_SIDE_ONE;
    }
    for (; i < count; i++)
        words[edges[i]] -= NP_SIDE_ONE;
    buffer->count = 0;
}

static bool anybody_has_more(unsigned workers)
{
    bool more = false;
    for (unsigned i = 0; i < workers; i++)
        more |= countings[i].more;
    return more;
}

static void count_together(unsigned index, void *arg)
{
    struct counting *counting = &countings[index];
    (void)arg;
    begin(counting, SHARED);
    counting->index = index;
    if (index == 0)
        count_all_large(counting);
    uint32_t row = 1;
    bool again;
    do {
        for (; (counting->more = own_row(counting, &row)) && !is_full(counting); row++)
            if (np_universe_has(np_side.pools[row]))
                count_pool(row, counting, SHARED);
        np_crew_barrier();
        for (unsigned i = 0; i < counting->workers; i++)
            take_from(&countings[i].buffers[index]);
        again = anybody_has_more(counting->workers);
        np_crew_barrier();
    } while (again);
}

static void share_out(unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        countings[i].workers = workers;
        for (unsigned k = 0; k < workers; k++)
            countings[i].buffers[k] =
                (struct buffer){buffer_memory + (size_t)(i * NP_CREW_MOST + k) * BUFFER_EDGES, 0};
    }
}

void np_count_stopped(struct np_tally *ret_tally)
{
    unsigned workers = np_crew_size();
    np_plan_update();
    *ret_tally = (struct np_tally){0};
    if (workers == 1 || !np_side.whole || np_side.row_count < PARALLEL_ROWS ||
        np_side.row_count >= UINT32_MAX / NP_SIDE_ROW || buffer_memory == NULL) {
        count_alone(&countings[0]);
        *ret_tally = countings[0].tally;
        return;
    }
    share_out(workers);
    np_crew_run(workers, count_together, NULL);
    for (unsigned i = 0; i < workers; i++) {
        add_tally(ret_tally, &countings[i].tally);
        ret_tally->lost |= countings[i].lost;
    }
}
