/* SPDX-License-Identifier: MIT
 *
 * Arenas: 2 MiB of the region, 128 pools. They hand out pools and take them back, wait for grace
 * periods and give idle memory back to the system.
 *
 * A free pool is one of:
 *   waiting   of a kind that stale readers may still look at; only its own class may take it
 *   resident  ready for any class, with memory behind it
 *   returned  ready for any class, given back (or never touched): reads as zero, costs nothing
 *
 * Pools for new use come from the fullest arena that has one, so that the others empty out. Memory
 * goes back by runs of pools, in madvise only: the region is one mapping for its whole life.
 *
 * Implemented by arena.c (states of pools) and decay.c (giving back). Any thread; one lock.
 */
#ifndef NP_ALLOC_ARENA_H
#define NP_ALLOC_ARENA_H

#include "alloc/pool.h"

#define NP_ARENA_LOG2  21
#define NP_ARENA_BYTES ((size_t)1 << NP_ARENA_LOG2)
enum { NP_ARENA_POOLS = 1 << (NP_ARENA_LOG2 - NP_POOL_LOG2), NP_ARENA_WORDS = NP_ARENA_POOLS / 64 };

/* Reserves the region, at most bytes and less where the system refuses. */
bool np_arena_init(size_t bytes);

/* A pool for the class, the heap's; NULL out of memory or over the limit. */
struct np_pool *np_arena_take(struct np_heap *heap, unsigned class_index);
/* An empty pool, on no list, owner's alone. */
void np_arena_give(struct np_pool *pool);

/* Are there pools in a grace period? A hint. */
bool np_arena_has_waiting(void);
/* Pools whose grace period has passed become ready. */
void np_arena_sweep(void);

/* Which idle pools go back to the system, those that have been idle for longest first. */
struct np_arena_limits {
    uint64_t before_ns;  /* all that became idle by then */
    uint64_t keep_bytes; /* and of the others what is more than this */
    uint64_t most_bytes; /* but no more than this, about, in one call */
};
/* Bytes given back. *ret_oldest_ns: since when the oldest that is left is idle, or UINT64_MAX. */
size_t np_arena_release(const struct np_arena_limits *limits, uint64_t *ret_oldest_ns);
/* All of them. */
extern const struct np_arena_limits np_arena_all;

struct np_arena_counts {
    uint64_t used, waiting, resident, returned; /* pools */
    uint64_t arenas;                            /* ever touched */
    uint64_t metadata_bytes;                    /* of touched arenas' pools */
};
void np_arena_count(struct np_arena_counts *ret_counts);

void np_arena_lock(void);
void np_arena_unlock(void);

#endif
