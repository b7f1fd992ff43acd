/* SPDX-License-Identifier: MIT
 *
 * A bulk's end. Of a pool of the heap's own only counters and lists are left to do. A chain of
 * somebody else's blocks becomes nodes of his queue, each in its block's body, pushed all at once;
 * of nobody's pool it is put home under the shared lock. */
#include "alloc/bulk.h"

#include "alloc/own.h"
#include "alloc/shared.h"
#include "base/perturb.h"

static void settle_own(struct np_heap *heap, const struct np_bulk *bulk)
{
    struct np_pool *pool = bulk->pool;
    np_assert(np_load_relaxed(&pool->owner) == heap->id && pool->kind == NP_POOL_OBJECTS);
    np_count_add(&heap->own->taken[pool->class_index], -(int64_t)bulk->count);
    if (pool->state == NP_POOL_FULL || pool->used == 0)
        np_heap_settle_pool(heap, pool);
}

void np_bulk_settle(struct np_heap *heap, const struct np_bulk *bulk)
{
    unsigned class_index = bulk->pool->class_index;
    if (bulk->count == 0)
        return;
    if (np_size_classes[class_index].is_tracked)
        np_credit_return(heap, bulk->count);
    if (bulk->is_own) {
        settle_own(heap, bulk);
        return;
    }
    np_heap_reopen(heap);
    np_count_add(&heap->own->away[class_index], (int64_t)bulk->count);
    /* relaxed: any owner the pool has had will do, as in np_heap_send */
    uint16_t owner = np_load_relaxed(&bulk->pool->owner);
    np_perturb(remote_taken);
    if (owner != 0)
        np_heap_send_chain(heap, owner, bulk->chain);
    else
        np_heap_send_each(heap, bulk->chain);
}
