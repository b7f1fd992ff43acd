/* SPDX-License-Identifier: MIT
 *
 * One stack per step. */
#include "alloc/large_cache.h"

#include "alloc/own.h"

/* Each step keeps so much memory, and at least so many blocks: docs/alloc.md, "Large blocks". */
#define KEPT_BYTES 262144u
#define KEPT_LEAST 4u

uint16_t np_large_most[NP_LARGE_STEPS];

void np_large_cache_init(void)
{
    for (unsigned step = 0; step < NP_LARGE_STEPS; step++) {
        unsigned most = (unsigned)(KEPT_BYTES / np_large_step_bytes(step));
        most = most < KEPT_LEAST ? KEPT_LEAST : most < NP_LARGE_KEPT ? most : NP_LARGE_KEPT;
        np_large_most[step] = (uint16_t)most;
    }
}

uint64_t np_large_cached_bytes(const struct np_heap *heap)
{
    uint64_t bytes = 0;
    for (unsigned step = 0; step < NP_LARGE_STEPS; step++) /* relaxed: a statistic */
        bytes +=
            (uint64_t)np_load_relaxed(&heap->own->large.count[step]) * np_large_step_bytes(step);
    return bytes;
}

void np_large_cache_flush(struct np_heap *heap)
{
    for (unsigned step = 0; step < NP_LARGE_STEPS; step++) {
        void *base;
        while ((base = np_large_cache_take(&heap->own->large, step)) != NULL)
            np_large_give_back(base, np_large_step_bytes(step));
    }
}
