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
#include "base/atomics.h"

enum { NP_LARGE_STEPS = 24, NP_LARGE_KEPT = 64, NP_LARGE_CACHED_MOST = 32768 };

/* Addresses, not links: what is taken is not read first. */
struct np_large_cache {
    uint16_t count[NP_LARGE_STEPS];              /* (o>) */
    void *blocks[NP_LARGE_STEPS][NP_LARGE_KEPT]; /* (o) what the backend gave */
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

/* How many are kept of each step; made by np_large_cache_init. */
extern uint16_t np_large_most[NP_LARGE_STEPS];
void np_large_cache_init(void);

/* A kept block of that step, or NULL. */
static inline void *np_large_cache_take(struct np_large_cache *cache, unsigned step)
{
    unsigned count = cache->count[step];
    if (count == 0)
        return NULL;
    np_store_relaxed(&cache->count[step], (uint16_t)(count - 1)); /* relaxed: statistics */
    return cache->blocks[step][count - 1];
}

/* False: enough of them are kept. */
static inline bool np_large_cache_give(struct np_large_cache *cache, void *base, unsigned step)
{
    unsigned count = cache->count[step];
    if (count >= np_large_most[step])
        return false;
    cache->blocks[step][count] = base;
    np_store_relaxed(&cache->count[step], (uint16_t)(count + 1)); /* relaxed: statistics */
    return true;
}

struct np_heap;
/* Bytes kept; any thread, a statistic. */
uint64_t np_large_cached_bytes(const struct np_heap *heap);
/* Everything kept goes back to the backend. */
void np_large_cache_flush(struct np_heap *heap);

#endif
