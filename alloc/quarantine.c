/* SPDX-License-Identifier: MIT
 *
 * In builds with guards, a freed block is used again only after its thread has freed 128 others:
 * who still writes to it meanwhile is found out (guard.h). The ring holds blocks of the heap's own
 * pools; for the statistics they are on their way, as if sent. */
#include "alloc/guard.h"
#include "alloc/own.h"

static bool is_object(const struct np_pool *pool)
{
    return pool->kind == NP_POOL_OBJECTS;
}

static void enter(struct np_heap *heap, struct np_pool *pool)
{
    np_count_add(&heap->own->away[pool->class_index], 1);
    np_count_add(&heap->own->quarantine.count, 1u);
    if (np_size_classes[pool->class_index].is_tracked)
        np_credit_return(heap, 1);
}

static void leave(struct np_heap *heap, void *block, uint64_t sum)
{
    struct np_pool *pool = np_pool_of(block);
    if (is_object(pool)) {
        if (np_guard_sum(pool, block) != sum)
            np_guard_changed(block, (char *)block + NP_GUARD_HEADER);
        np_guard_fill(pool, block);
    } else {
        np_guard_verify(pool, block);
    }
    np_count_add(&heap->own->away[pool->class_index], -1);
    np_count_add(&heap->own->quarantine.count, -1u);
    if (np_size_classes[pool->class_index].is_tracked)
        heap->credit--; /* as if it arrived */
    np_heap_recycle(heap, pool, block);
}

void np_heap_give_guarded(struct np_heap *heap, struct np_pool *pool, void *block)
{
    struct np_quarantine *quarantine = &heap->own->quarantine;
    if (is_object(pool))
        np_guard_give_object(pool, block);
    np_heap_reopen(heap);
    if (np_load_relaxed(&pool->owner) != heap->id) { /* relaxed: see np_heap_give */
        np_heap_give_slow(heap, pool, block);
        return;
    }
    unsigned place = quarantine->next++ % NP_QUARANTINE;
    void *oldest = quarantine->blocks[place];
    uint64_t sum = quarantine->sums[place];
    quarantine->blocks[place] = block;
    quarantine->sums[place] = is_object(pool) ? np_guard_sum(pool, block) : 0;
    enter(heap, pool);
    if (oldest != NULL)
        leave(heap, oldest, sum);
}

void np_quarantine_flush(struct np_heap *heap)
{
    struct np_quarantine *quarantine = &heap->own->quarantine;
    for (unsigned i = 0; quarantine->count > 0 && i < NP_QUARANTINE; i++) {
        unsigned place = quarantine->next++ % NP_QUARANTINE;
        void *block = quarantine->blocks[place];
        quarantine->blocks[place] = NULL;
        if (block != NULL)
            leave(heap, block, quarantine->sums[place]);
    }
}
