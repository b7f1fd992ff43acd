/* SPDX-License-Identifier: MIT
 *
 * Magazines: filling an empty one, emptying a full one.
 *
 * A refill takes half the limit, an overflow flushes the older half, so that a thread that only
 * takes or only gives comes here once per half magazine. The limit follows what the thread does. A
 * refill after an overflow, or an overflow after a refill, says that blocks swing to and fro in
 * numbers beyond the limit: it doubles. Refills alone raise it to its value at rest. Overflows
 * alone lower it, since blocks that nobody takes keep their pools from being returned: a thread
 * that frees a million blocks ends with a few of them.
 *
 * A magazine's array is made, for the largest limit, when the class is first used; before that, and
 * if there is no memory for it, there is room for one block. Under fault injection the limit is 0,
 * so that each allocation comes here and asks whether it is the one to fail.
 *
 * Order of sources: what others have freed, the heap's own partial pools, pools that exited threads
 * left, a pool from the arenas. */
#include <string.h>

#include "alloc/arena.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "alloc/shared.h"
#include "base/check.h"
#include "base/shadow.h"

enum { AT_FIRST, AT_REST, AT_MOST, LONG_TREND = 16 };

/* ---- limits ---- */

static void set_limit(struct np_heap *heap, unsigned class_index, unsigned limit)
{
    struct neap_magazine *magazine = &heap->magazines[class_index];
    magazine->end = magazine->bottom + limit;
}

static unsigned limit_of(const struct np_heap *heap, unsigned class_index)
{
    const struct neap_magazine *magazine = &heap->magazines[class_index];
    return (unsigned)(magazine->end - magazine->bottom);
}

void np_heap_reset_limits(struct np_heap *heap)
{
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        np_assert(np_magazine_length(heap, i) == 0);
        heap->own->trend[i] = 0;
        set_limit(heap, i, np_alloc_single_step() ? 0 : 1);
    }
}

void np_heap_close_magazines(struct np_heap *heap)
{
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        np_assert(np_magazine_length(heap, i) == 0); /* a full magazine is one of limit length */
        set_limit(heap, i, 0);
    }
}

/* Room for limit blocks in a magazine of length blocks. Arrays are as large as their limits have
 * been: small ones lie close together, so that using many classes does not take many pages. The old
 * array stays unused; there are fewer bytes in all of them than in the last. */
static bool make_room(struct np_heap *heap, unsigned class_index, unsigned limit)
{
    struct np_heap_own *own = heap->own;
    if (own->room[class_index] >= limit)
        return true;
    void **bottom = np_meta_new((limit + 1u) * sizeof(void *));
    if (bottom == NULL)
        return false;
    struct neap_magazine *magazine = &heap->magazines[class_index];
    unsigned length = np_magazine_length(heap, class_index);
    memcpy(bottom, magazine->bottom, (length + 1) * sizeof *bottom);
    own->room[class_index] = (uint16_t)limit;
    np_store_relaxed(&magazine->bottom, bottom); /* relaxed, both: statistics */
    np_store_relaxed(&magazine->rest, bottom + length);
    return true;
}

/* Raises a limit that is not 0: to what a class starts with, then to twice, up to limits[which]. */
static void grow(struct np_heap *heap, unsigned class_index, unsigned which)
{
    const uint16_t *limits = np_size_classes[class_index].limits;
    unsigned limit = limit_of(heap, class_index), next = limit * 2;
    if (limit == 0 || limit >= limits[which])
        return;
    if (next < limits[AT_FIRST])
        next = limits[AT_FIRST];
    if (next > limits[which])
        next = limits[which];
    if (make_room(heap, class_index, next))
        set_limit(heap, class_index, next);
}

/* ---- emptying ---- */

/* np_heap_put for many blocks of one class, the counting done once. */
static void put_home(struct np_heap *heap, unsigned class_index, void **blocks, unsigned count)
{
    for (unsigned i = 0; i < count;) {
        struct np_pool *pool = np_pool_of(blocks[i]);
        i += np_pool_put_run(pool, blocks + i, count - i);
        if (np_unlikely(pool->state == NP_POOL_FULL || pool->used == 0))
            np_heap_settle_pool(heap, pool);
    }
    np_count_add(&heap->own->taken[class_index], -(int64_t)count);
}

/* The oldest count blocks, all of them if count is the length. */
static void flush(struct np_heap *heap, unsigned class_index, unsigned count)
{
    struct neap_magazine *magazine = &heap->magazines[class_index];
    unsigned length = np_magazine_length(heap, class_index);
    void **oldest = magazine->bottom + 2; /* below is the entry that stays NULL */
    if (count == length) {
        put_home(heap, class_index, &magazine->first, 1);
        put_home(heap, class_index, oldest, count - 1);
        magazine->first = NULL;
    } else {
        put_home(heap, class_index, oldest, count);
        memmove(oldest, oldest + count, (length - 1 - count) * sizeof *oldest);
    }
    np_store_relaxed(&magazine->rest, magazine->rest - count); /* relaxed: statistics */
    if (np_size_classes[class_index].is_tracked)
        np_credit_return(heap, count);
}

void np_heap_flush_magazine(struct np_heap *heap, unsigned class_index)
{
    unsigned length = np_magazine_length(heap, class_index);
    if (length > 0)
        flush(heap, class_index, length);
}

void np_heap_flush_magazines(struct np_heap *heap)
{
    if (NP_GUARD)
        np_quarantine_flush(heap);
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++)
        np_heap_flush_magazine(heap, i);
    np_large_cache_flush(heap);
}

/* Makes room in a full magazine. */
static void overflow(struct np_heap *heap, unsigned class_index)
{
    int8_t *trend = &heap->own->trend[class_index];
    unsigned length = np_magazine_length(heap, class_index), limit = limit_of(heap, class_index);
    np_count_add(&heap->own->activity, 1);
    if (*trend > 0) {
        *trend = 0;
        grow(heap, class_index, AT_MOST);
        if (limit_of(heap, class_index) > limit)
            return;
    }
    if (--*trend == -LONG_TREND) {
        *trend = -1;
        unsigned least = np_size_classes[class_index].limits[AT_FIRST];
        if (limit / 2 >= least) {
            limit /= 2;
            set_limit(heap, class_index, limit);
        }
    }
    flush(heap, class_index, length - limit / 2);
}

/* The magazine is at its limit, or the block has been on its way. */
void np_heap_recycle(struct np_heap *heap, struct np_pool *pool, void *block)
{
    unsigned class_index = pool->class_index;
    struct neap_magazine *magazine = &heap->magazines[class_index];
    if (!np_magazine_give(magazine, block)) {
        if (limit_of(heap, class_index) == 0) {
            if (np_size_classes[pool->class_index].is_tracked)
                np_credit_return(heap, 1);
            np_heap_put(heap, pool, block);
            return;
        }
        overflow(heap, class_index);
        (void)np_magazine_give(magazine, block);
    }
}

/* ---- filling ---- */

/* Pools give blocks in the order of memory, and a magazine hands out the last one first: turned
 * round, objects made one after the other lie one behind the other. */
static void turn_round(void **blocks, unsigned count)
{
    for (unsigned i = 0; i < count / 2; i++) {
        void *block = blocks[i];
        blocks[i] = blocks[count - 1 - i];
        blocks[count - 1 - i] = block;
    }
}

static unsigned take_from_pools(struct np_heap *heap, unsigned class_index, void **blocks,
                                unsigned want)
{
    struct np_heap_own *own = heap->own;
    unsigned count = 0;
    while (count < want && own->partial[class_index] != 0) {
        struct np_pool *pool = np_pool_at(own->partial[class_index]);
        if (np_size_classes[class_index].is_tracked)
            np_heap_mark_young(heap, pool);
        count += np_pool_take(pool, blocks + count, want - count);
        if (np_pool_is_exhausted(pool)) {
            np_pool_remove(&own->partial[class_index], pool);
            pool->state = NP_POOL_FULL;
            np_pool_push(&own->full[class_index], pool);
        }
    }
    return count;
}

static bool get_pool(struct np_heap *heap, unsigned class_index)
{
    struct np_pool *pool = np_shared_adopt(heap, class_index);
    if (pool == NULL) {
        pool = np_arena_take(heap, class_index);
        if (pool == NULL)
            return false;
        np_count_add(&heap->own->pools[class_index], 1);
        pool->state = NP_POOL_PARTIAL;
    }
    np_pool_push(&heap->own->partial[class_index], pool);
    return true;
}

/* The magazine is empty; count of blocks it has then. */
static unsigned fill(struct np_heap *heap, unsigned class_index)
{
    int8_t *trend = &heap->own->trend[class_index];
    grow(heap, class_index, *trend < 0 ? AT_MOST : AT_REST);
    *trend = (int8_t)(*trend < 0 ? 1 : *trend < LONG_TREND ? *trend + 1 : LONG_TREND);
    unsigned want = limit_of(heap, class_index) / 2;
    if (want == 0)
        want = 1;
    struct neap_magazine *magazine = &heap->magazines[class_index];
    void **blocks = magazine->bottom + 1;
    unsigned count = take_from_pools(heap, class_index, blocks, want);
    if (count == 0 && get_pool(heap, class_index))
        count = take_from_pools(heap, class_index, blocks, want);
    if (count == 0)
        return 0;
    np_count_add(&heap->own->taken[class_index], (int64_t)count);
    magazine->first = blocks[0];
    turn_round(blocks + 1, count - 1);
    blocks[0] = NULL;
    np_store_relaxed(&magazine->rest, magazine->bottom + count); /* relaxed: statistics */
    if (np_size_classes[class_index].is_tracked)
        heap->credit -= count;
    return count;
}

void *np_heap_take_parcel(struct np_heap *heap)
{
    if (np_magazine_length(heap, NP_CLASS_PARCEL) == 0 &&
        (np_may_fail() || fill(heap, NP_CLASS_PARCEL) == 0))
        return NULL;
    void *parcel = np_heap_take(heap, NP_CLASS_PARCEL);
    if (NP_GUARD)
        np_shadow_show(parcel, sizeof(struct np_parcel));
    return parcel;
}

void *np_heap_take_slow(struct np_heap *heap, unsigned class_index)
{
    if (np_may_fail())
        return NULL;
    np_count_add(&heap->own->activity, 1);
    np_heap_reopen(heap);
    if (np_heap_has_remote(heap))
        np_heap_drain_remote(heap);
    if (np_magazine_length(heap, class_index) == 0 && fill(heap, class_index) == 0)
        return NULL;
    if (np_size_classes[class_index].is_tracked && heap->credit < 0)
        heap->debt = true;
    return np_heap_take(heap, class_index);
}
