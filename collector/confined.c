/* SPDX-License-Identifier: MIT
 *
 * The tables of a thread are reserved on first use and stay with its registry slot. Rows of side
 * words are dealt to the pools at hand; a pool says which row it has, so the word of a reference's
 * target follows from its address and the pool's entry in the region's table. */
#include "collector/confined.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "alloc/heap.h"
#include "alloc/large.h"
#include "base/check.h"
#include "base/event.h"
#include "base/options.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "collector/collect.h"
#include "collector/pacing.h"
#include "collector/plan.h"
#include "collector/side.h"
#include "collector/verify.h"
#include "neap/gc.h"
#include "runtime/count.h"
#include "runtime/death.h"
#include "threads/thread.h"

enum {
    ROWS_MOST = 256,  /* pools, 4 MiB; more young ones than that are left to a stop */
    FREE_SHARE = 8,   /* free blocks that cost as much to look at as an object */
    AGAIN_BYTES = 64, /* of large objects count like one made */
    AGAIN_SHARE = 2   /* times what a collection looked at in vain are made before the next one */
};
enum { WORDS_MOST = ROWS_MOST * NP_SIDE_ROW };

/* A member and its word; of candidates, later. */
struct member {
    struct neap_header *header;
    uint32_t *word;
};

struct confined {
    uint16_t id; /* this thread's */
    uint32_t row_count;
    size_t member_count;
    size_t top;                  /* of the stack */
    size_t looked_at;            /* blocks; free ones count for less */
    int64_t fresh;               /* objects made and not freed since the last collection, */
    int64_t large_due;           /* bytes of large objects until then, if they come first */
    int64_t fresh_due;           /* and how many there are to be for the next */
    uint64_t too_many;           /* np_pacing_resets() + 1 when there were too many pools, or 0 */
    uint64_t collections, freed; /* (o>) */
    uint32_t pools[ROWS_MOST];   /* by row, from 0 */
    struct member members[WORDS_MOST];
    struct neap_header *stack[WORDS_MOST];
    uint32_t words[WORDS_MOST];
};

/* (o>) By registry slot; kept for the slot's next thread. */
static struct confined *tables[NEAP_OWNER_LAST + 1];

static size_t table_bytes(void)
{
    size_t page = np_os_page_bytes();
    return (sizeof(struct confined) + page - 1) & ~(page - 1);
}

static struct confined *own_table(uint16_t id)
{
    struct confined *table =
        np_load_relaxed(&tables[id]); /* relaxed: this slot's thread wrote it */
    if (table == NULL && (table = np_os_reserve(table_bytes(), 1)) != NULL) {
        table->id = id;
        /* [MM-confined-2] release: statistics read the counters */
        np_store_release(&tables[id], table);
    }
    return table;
}

void np_confined_fini(void)
{
    for (size_t id = 0; id <= NEAP_OWNER_LAST; id++) {
        struct confined *table = np_load_relaxed(&tables[id]); /* relaxed: nobody else is left */
        if (table != NULL)
            np_os_unreserve(table, table_bytes());
        np_store_relaxed(&tables[id], NULL);
    }
}

void np_confined_read(uint64_t *ret_collections, uint64_t *ret_freed)
{
    *ret_collections = *ret_freed = 0;
    for (size_t id = 0; id <= np_thread_high(); id++) {
        /* [MM-confined-2] acquire: pairs with the release in own_table */
        struct confined *table = np_load_acquire(&tables[id]);
        if (table == NULL)
            continue;
        *ret_collections += np_load_relaxed(&table->collections); /* relaxed, both: counters */
        *ret_freed += np_load_relaxed(&table->freed);
    }
}

/* ---- side words ---- */

/* The pool's blocks: rows of other threads' pools mean nothing to us. */
static inline bool has_row(const struct confined *table, const struct np_pool *pool)
{
    /* relaxed: ours by our own hand only; then nobody else writes the row */
    return np_load_relaxed(&pool->owner) == table->id && np_load_relaxed(&pool->confined_row) != 0;
}

/* NULL: the object is no member, whatever it is. */
static inline uint32_t *word_of(struct confined *table, const struct neap_header *header)
{
    uintptr_t offset = (uintptr_t)header - np_region.base;
    if (np_unlikely(offset >= np_region.bytes))
        return NULL;
    const struct np_pool *pool = &np_region.pools[offset >> NP_POOL_LOG2];
    if (!has_row(table, pool))
        return NULL;
    size_t row = np_load_relaxed(&pool->confined_row) - 1u; /* relaxed: as in has_row */
    return &table->words[row * NP_SIDE_ROW + offset / NP_OBJECT_MIN % NP_SIDE_ROW];
}

/* Rows for the thread's young pools of objects with slots; false: too many. */
static bool deal_rows(struct confined *table, struct np_heap *heap)
{
    table->row_count = 0;
    for (uint32_t link = heap->young_head; link != 0; link = np_region.pools[link - 1].young_next) {
        struct np_pool *pool = &np_region.pools[link - 1];
        /* relaxed, both: our own pools we alone change */
        if (np_load_relaxed(&pool->owner) != table->id ||
            np_load_relaxed(&pool->kind) != NP_POOL_OBJECTS ||
            !np_size_classes[pool->class_index].is_tracked)
            continue;
        if (table->row_count == ROWS_MOST)
            return false;
        table->pools[table->row_count++] = link - 1;
        np_store_relaxed(&pool->confined_row, (uint16_t)table->row_count); /* relaxed: has_row */
    }
    return true;
}

static void take_rows_back(struct confined *table)
{
    for (uint32_t row = 0; row < table->row_count; row++)
        np_store_relaxed(&np_region.pools[table->pools[row]].confined_row,
                         0); /* relaxed: has_row */
    memset(table->words, 0, (size_t)table->row_count * NP_SIDE_ROW * sizeof *table->words);
}

/* ---- members ---- */

/* word 0 above the count: the owner, generation 0, tracked and nothing else, no flags but that it
 * is traced. */
static bool is_member(const struct confined *table, uint64_t word0, uint64_t word1)
{
    uint32_t marks = (uint32_t)(word0 >> 32) & ~((uint32_t)NP_FLAG_TRACED << 24);
    return marks == (table->id | (uint32_t)NP_GC_TRACKED << 16) && (uint32_t)word1 == 0 &&
           word1 != 0 && (uint32_t)word0 < NP_SIDE_COUNT_LIMIT;
}

static const struct np_plan *plan_of(const struct neap_header *header)
{
    /* relaxed: written at birth, by this thread */
    return np_plan_at(np_load_relaxed(&header->type));
}

/* Calls `each` for every reference in the member's slots. `each` is a constant. */
static inline __attribute__((always_inline)) void
each_child(struct confined *table, const struct neap_header *header, const struct np_plan *plan,
           void (*each)(struct confined *table, struct neap_header *child))
{
    for (unsigned i = 0; i < plan->count; i++) {
        /* [MM-confined-1] acquire: if it has changed, the last look sees the mark that was made
         * before; pairs with the release in slot.c */
        void *child =
            np_load_acquire((void **)(void *)((char *)(uintptr_t)header + plan->offset[i]));
        if (child != NULL)
            each(table, neap_header_of(child));
    }
}

static inline void subtract(struct confined *table, struct neap_header *child)
{
    uint32_t *word = word_of(table, child);
    if (word != NULL)
        *word -= NP_SIDE_ONE;
}

static void count_pool(struct confined *table, uint32_t row)
{
    const struct np_pool *pool = &np_region.pools[table->pools[row]];
    uint32_t *words = &table->words[(size_t)row * NP_SIDE_ROW];
    char *block = np_pool_memory(pool);
    table->looked_at += pool->used + (size_t)(pool->carved - pool->used) / FREE_SHARE;
    for (unsigned i = pool->carved; i > 0; i--, block += pool->block_bytes) {
        struct neap_header *header = (struct neap_header *)(void *)block;
        /* relaxed, both: nobody else writes our id there, or a count beside it */
        uint64_t word0 = np_load_relaxed((np_word *)header);
        uint64_t word1 = np_load_relaxed((np_word *)header + 1);
        if (!is_member(table, word0, word1))
            continue;
        const struct np_plan *plan = plan_of(header);
        if (np_unlikely(!plan->simple || plan->may_need_user))
            continue;
        uint32_t *word = &words[(uintptr_t)block / NP_OBJECT_MIN % NP_SIDE_ROW];
        *word += (uint32_t)word0 * NP_SIDE_ONE + NP_SIDE_MEMBER;
        table->members[table->member_count++] = (struct member){header, word};
        each_child(table, header, plan, subtract);
    }
}

/* ---- what lives ---- */

static inline void mark(struct confined *table, struct neap_header *header)
{
    uint32_t *word = word_of(table, header);
    if (word == NULL || (*word & NP_SIDE_STATE) != NP_SIDE_MEMBER)
        return;
    *word |= NP_SIDE_MARKED;
    table->stack[table->top++] = header;
}

static void mark_all_from(struct confined *table, struct neap_header *header)
{
    mark(table, header);
    while (table->top > 0) {
        const struct neap_header *next = table->stack[--table->top];
        each_child(table, next, plan_of(next), mark);
    }
}

/* A count below 0 is a reference that moved while it was counted: it lives, like one above. False:
 * nothing is held. */
static bool mark_held(struct confined *table)
{
    bool found = false;
    for (size_t i = 0; i < table->member_count; i++) {
        if (np_side_count(*table->members[i].word) == 0)
            continue;
        found = true;
        mark_all_from(table, table->members[i].header);
    }
    return found;
}

/* Leaves the members that are not marked. */
static void keep_candidates(struct confined *table)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->member_count; i++)
        if (!(*table->members[i].word & NP_SIDE_MARKED))
            table->members[kept++] = table->members[i];
    table->member_count = kept;
}

/* The candidates, counted among themselves: references from what has turned out to live hold. */
static void count_again(struct confined *table)
{
    for (size_t i = 0; i < table->member_count; i++) {
        /* relaxed: ours */
        uint32_t local = np_load_relaxed(&table->members[i].header->local);
        *table->members[i].word = local * NP_SIDE_ONE + NP_SIDE_MEMBER;
    }
    for (size_t i = 0; i < table->member_count; i++) {
        const struct neap_header *header = table->members[i].header;
        each_child(table, header, plan_of(header), subtract);
    }
}

/* Marks candidates that another thread has acquired by now, and what they reach; false: there is
 * none. */
static bool mark_acquired(struct confined *table)
{
    bool found = false;
    for (size_t i = 0; i < table->member_count; i++) {
        struct neap_header *header = table->members[i].header;
        uint32_t shared = np_load_relaxed(&header->shared); /* relaxed: [MM-confined-1] by now */
        if (np_likely(shared == 0) || np_planted(skip_last_look) ||
            (np_planted(forget_sticky) && np_shared_count(shared) == 0))
            continue;
        found = true;
        mark_all_from(table, header);
    }
    return found;
}

static void find_candidates(struct confined *table)
{
    for (uint32_t row = 0; row < table->row_count; row++)
        count_pool(table, row);
    np_perturb(confined_counted);
    if (mark_held(table))
        keep_candidates(table);
    while (mark_acquired(table)) {
        keep_candidates(table);
        count_again(table);
        if (mark_held(table))
            keep_candidates(table);
    }
}

/* ---- what dies ---- */

/* The stopped collector's word on it, where nobody is in the way. */
static void verify(struct confined *table)
{
    if (NP_CHECK_LEVEL < 2 || table->member_count == 0 || !np_collect_trylock())
        return;
    for (size_t i = 0; i < table->member_count; i++)
        table->stack[i] = table->members[i].header;
    np_verify_candidates(table->stack, table->member_count);
    np_collect_unlock();
}

static void condemn_all(struct confined *table)
{
    for (size_t i = 0; i < table->member_count; i++) {
        struct neap_header *header = table->members[i].header;
        /* relaxed, all: nobody has a reference; a stale reader finds a merged count of 0 */
        uint64_t kept = np_load_relaxed((np_word *)header) & np_link_kept;
        kept |= np_link_encode(NULL) | (uint64_t)NP_GC_CONDEMNED << 48;
        np_store_relaxed((np_word *)header, kept);
        np_store_relaxed(&header->shared, NP_MERGED);
    }
}

static inline void release_leaving(struct confined *table, struct neap_header *child)
{
    (void)table;
    /* relaxed: a candidate's bit we have just set; others never have it */
    if (!(np_load_relaxed(&child->gc) & NP_GC_CONDEMNED))
        np_release(child, NP_QUIET);
}

static void free_all(struct confined *table)
{
    np_tls.dying++;
    for (size_t i = 0; i < table->member_count; i++) {
        const struct neap_header *header = table->members[i].header;
        each_child(table, header, plan_of(header), release_leaving);
    }
    for (size_t i = 0; i < table->member_count; i++)
        np_object_free(table->members[i].header);
    np_tls.dying--;
}

/* Blocks of objects with slots in the thread's magazines: what is taken from there is not counted
 * as made again. */
static int64_t blocks_at_hand(const struct np_heap *heap)
{
    int64_t blocks = 0;
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++)
        if (np_size_classes[i].is_tracked)
            blocks += heap->magazines[i].rest - heap->magazines[i].bottom;
    return blocks;
}

/* Blocks looked at for nothing are looked at again next time: as many objects are made first. Free
 * ones at hand, a word each, are none of these. */
static void plan_next(struct confined *table, const struct np_heap *heap)
{
    int64_t in_vain = (int64_t)(table->looked_at - table->member_count) - blocks_at_hand(heap);
    in_vain *= AGAIN_SHARE;
    int64_t least = np_pacing_threshold_young() / 2; /* well before everybody's would be due */
    table->fresh = 0;
    table->fresh_due = in_vain > least ? in_vain : least;
    table->large_due = in_vain * AGAIN_BYTES;
}

/* Large objects that hang off small garbage are memory that the count of objects does not see. */
static void plan_next_large(const struct confined *table, struct np_heap *heap)
{
    np_large_set_due(heap,
                     table->large_due > NP_CONFINED_LARGE ? table->large_due : NP_CONFINED_LARGE);
}

/* Candidates of the thread's young pools; false: there are too many pools, until a stop makes them
 * fewer. */
static bool look(struct confined *table, struct np_heap *heap)
{
    uint64_t resets = np_pacing_resets() + 1;
    if (table->too_many == resets)
        return false;
    table->member_count = table->looked_at = 0;
    bool dealt = deal_rows(table, heap);
    table->too_many = dealt ? 0 : resets;
    if (dealt)
        find_candidates(table);
    take_rows_back(table);
    return dealt;
}

static void collect(struct confined *table, struct np_heap *heap)
{
    np_plan_update();
    if (!look(table, heap))
        return;
    plan_next(table, heap);
    plan_next_large(table, heap);
    if (table->member_count == 0)
        return;
    verify(table);
    int64_t before = blocks_at_hand(heap);
    condemn_all(table);
    free_all(table);
    if (np_tls.dying == 0) /* what hung off the set, as much again as the set */
        np_death_drain_plain(np_tls.local, table->member_count);
    plan_next_large(table, heap);
    /* what has gone back to the pools is counted when it is handed out again; pacing was told of
     * all of it as made */
    np_pacing_correct(blocks_at_hand(heap) - before - (int64_t)table->member_count);
    /* relaxed, both: ours to write; statistics read them */
    np_store_relaxed(&table->collections, table->collections + 1);
    np_store_relaxed(&table->freed, table->freed + table->member_count);
}

void np_confined_collect(struct np_heap *heap, int64_t made, bool large)
{
    struct confined *table;
    if (!np_options.confined || (table = own_table(heap->id)) == NULL)
        return;
    table->fresh += made;
    if ((table->fresh < table->fresh_due && !large) || neap_gc_get_debug() != 0 ||
        np_options.audit_visit)
        return;
    uint64_t start_ns = np_event_is_wanted() ? np_os_now_ns() : 0;
    collect(table, heap);
    np_event_tell(NP_EVENT_CONFINED, start_ns, 0, 0, 0);
}
