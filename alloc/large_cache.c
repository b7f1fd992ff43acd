/* SPDX-License-Identifier: MIT
 *
 * One stack per step. */
#include "alloc/large_cache.h"

#include "alloc/own.h"

/* Each step keeps so much memory, and at least so many blocks: docs/alloc.md, "Large blocks". */
#define KEPT_BYTES 262144u
#define KEPT_LEAST 4u

static unsigned most_of(unsigned step)
{
    unsigned most = (unsigned)(KEPT_BYTES / np_large_step_bytes(step));
    return most < KEPT_LEAST ? KEPT_LEAST : most < NP_LARGE_KEPT ? most : NP_LARGE_KEPT;
}

struct np_large *np_large_cache_take(struct np_heap *heap, unsigned step)
{
    struct np_large_cache *cache = &heap->own->large;
    if (cache->count[step] == 0)
        return NULL;
    np_count_add(&heap->own->large_cached_bytes, -(int64_t)np_large_step_bytes(step));
    return cache->blocks[step][--cache->count[step]];
}

bool np_large_cache_give(struct np_heap *heap, struct np_large *large, unsigned step)
{
    struct np_large_cache *cache = &heap->own->large;
    if (cache->count[step] >= most_of(step) || heap->own->closed || np_alloc_single_step())
        return false;
    cache->blocks[step][cache->count[step]++] = large;
    np_count_add(&heap->own->large_cached_bytes, (int64_t)np_large_step_bytes(step));
    return true;
}

void np_large_cache_flush(struct np_heap *heap)
{
    for (unsigned step = 0; step < NP_LARGE_STEPS; step++) {
        struct np_large *large;
        while ((large = np_large_cache_take(heap, step)) != NULL)
            np_large_give_back(large);
    }
}
