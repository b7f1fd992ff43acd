/* SPDX-License-Identifier: MIT
 *
 * Many objects' blocks of one pool given back in one go, by a thread that need not be the one whose
 * heap answers for it: the collector's workers have no heap.
 *
 * A bulk is begun and filled by any thread, for a heap whose thread waits meanwhile, and then
 * settled by that thread. Filling writes to the blocks, and to the pool where it is the heap's own:
 * the free bits and `used`, no list and no counter. So several threads may fill bulks of one heap
 * at the same time as long as each pool is in one bulk. Blocks of other heaps' pools are linked up
 * and go home when the bulk is settled, as one chain with one exchange.
 *
 * Implemented by bulk.c. Used by the collector. */
#ifndef NP_ALLOC_BULK_H
#define NP_ALLOC_BULK_H

#include "alloc/guard.h"
#include "alloc/heap.h"

struct np_bulk {
    struct np_pool *pool;
    void *chain; /* linked through word 0; of a pool that is not the heap's */
    uint32_t count;
    bool is_own; /* the pool was the heap's: it stays so while its thread waits */
};

static inline struct np_bulk np_bulk_begin(const struct np_heap *heap, struct np_pool *pool)
{
    /* relaxed: the id of a heap whose thread waits does not come or go; others may change */
    return (struct np_bulk){.pool = pool, .is_own = np_load_relaxed(&pool->owner) == heap->id};
}

/* An object's block, its type 0 already, as np_heap_give wants it. */
static inline void np_bulk_add(struct np_bulk *bulk, void *block)
{
    if (NP_GUARD)
        np_guard_give_object(bulk->pool, block);
    bulk->count++;
    if (np_likely(bulk->is_own)) {
        np_link_store(block, NULL);
        if (NP_GUARD)
            np_guard_arrive(bulk->pool, block);
        np_pool_put(bulk->pool, block);
    } else {
        np_link_store(block, bulk->chain);
        bulk->chain = block;
    }
}

/* The heap's own thread, after whoever filled the bulk: counts, lists, and the chain on its way. */
void np_bulk_settle(struct np_heap *heap, const struct np_bulk *bulk);

#endif
