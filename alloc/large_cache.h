/* SPDX-License-Identifier: MIT
 *
 * Freed large blocks of up to 32 KiB, kept by the thread that freed them. Their sizes are rounded
 * to four steps between powers of two, so that one that was freed fits the next that is asked for.
 *
 * A block that is kept counts as committed and as cached. Any thread may free a block into its own
 * cache: at these sizes no two threads share a line of it.
 *
 * Implemented by large_cache.c; used by large.c. */
#ifndef NP_ALLOC_LARGE_CACHE_H
#define NP_ALLOC_LARGE_CACHE_H

#include "alloc/large.h"

enum { NP_LARGE_STEPS = 24, NP_LARGE_KEPT = 64, NP_LARGE_CACHED_MOST = 32768 };

/* (o) all. Addresses, not links: what is taken is not read first. */
struct np_large_cache {
    uint16_t count[NP_LARGE_STEPS];
    struct np_large *blocks[NP_LARGE_STEPS][NP_LARGE_KEPT];
};

/* Of a whole block's size, prefix included; above NP_SMALL_MAX, up to NP_LARGE_CACHED_MOST. */
static inline unsigned np_large_step(size_t total)
{
    unsigned log2 = 63u - (unsigned)__builtin_clzll(total - 1); /* total in (2^log2, 2^(log2+1)] */
    return (log2 - 9) * 4 + (unsigned)((total - 1) >> (log2 - 2) & 3);
}

static inline size_t np_large_step_bytes(unsigned step)
{
    return (size_t)(step % 4 + 5) << (step / 4 + 7);
}

struct np_heap;

/* A kept block of that step, or NULL. */
struct np_large *np_large_cache_take(struct np_heap *heap, unsigned step);
/* False: enough of them are kept. */
bool np_large_cache_give(struct np_heap *heap, struct np_large *large, unsigned step);
/* Everything kept goes back to the backend. */
void np_large_cache_flush(struct np_heap *heap);

#endif
