/* SPDX-License-Identifier: MIT
 *
 * What the allocator holds, summed from per-heap counters without stopping anybody: each figure is
 * exact when no thread allocates meanwhile. Bytes unless named otherwise. */
#ifndef NP_ALLOC_STATS_H
#define NP_ALLOC_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct np_alloc_stats {
    uint64_t object_blocks; /* handed out, small and large (magazines not counted) */
    uint64_t object_bytes;  /* their block sizes */
    uint64_t untyped_blocks, untyped_bytes;
    uint64_t cached_bytes;   /* in magazines and outgoing chains */
    uint64_t free_bytes;     /* in pools that are not empty */
    uint64_t idle_bytes;     /* empty pools, resident */
    uint64_t returned_bytes; /* empty pools given back to the system */
    uint64_t large_bytes, large_blocks;
    uint64_t large_cached_bytes; /* freed large blocks, kept by threads; part of cached_bytes */
    uint64_t waiting_bytes;      /* freed, inside a grace period */
    uint64_t metadata_bytes;
    uint64_t committed_bytes; /* what heap_hard_limit is compared with */
};

/* Of one size class, in blocks; for large blocks see np_large_count. */
struct np_class_stats {
    uint32_t block_bytes;
    bool is_object;
    uint64_t live;   /* handed out */
    uint64_t cached; /* in magazines and on their way home */
    uint64_t free;   /* in the class's pools */
    uint64_t pools;
};
void np_alloc_class_stats_read(unsigned class_index, struct np_class_stats *ret_stats);

void np_alloc_stats_read(struct np_alloc_stats *ret_stats);

/* Gives back every idle pool now; bytes given back. */
uint64_t np_alloc_trim(void);
/* The helper's tick: gives back what has been idle for decay_ms. Returns ns until it wants the
 * next. */
uint64_t np_alloc_decay(uint64_t now_ns);

#endif
