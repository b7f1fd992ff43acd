/* SPDX-License-Identifier: MIT
 *
 * What the allocator holds, summed from per-heap counters without stopping anybody: each figure is
 * exact when no thread allocates meanwhile. Bytes unless named otherwise. */
#ifndef NP_ALLOC_STATS_H
#define NP_ALLOC_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "alloc/size_class.h"

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
    uint64_t large_slack_bytes;  /* of large_bytes, what nobody asked for */
    uint64_t waiting_bytes;      /* freed, inside a grace period */
    uint64_t metadata_bytes;
    uint64_t committed_bytes; /* what heap_hard_limit is compared with */
};

/* Of one size class, in blocks. How much of a block of up to 512 bytes was asked for is not known
 * when it is freed (no header says so, and writing it down would cost every allocation), so that
 * slack is given as its bound: less than a step of sizes, 16 bytes, in each. */
struct np_class_stats {
    uint32_t block_bytes; /* 0: a pooled class that no type has */
    uint32_t type_index;  /* of the NEAP_POOLED type; else 0 */
    bool is_object;
    bool is_tracked; /* objects that may have slots */
    uint64_t live;   /* handed out */
    uint64_t cached; /* in magazines and on their way home */
    uint64_t free;   /* in the class's pools */
    uint64_t pools;
};
void np_alloc_classes_read(struct np_class_stats ret_stats[NP_CLASS_COUNT]);

void np_alloc_stats_read(struct np_alloc_stats *ret_stats);

/* Gives back every idle pool now; bytes given back. */
uint64_t np_alloc_trim(void);
/* The helper's tick: gives back what has been idle for decay_ms, and what is idle beyond what can
 * go in that time. Returns ns until it wants the next; 0: at once, after a stop point. */
uint64_t np_alloc_decay(uint64_t now_ns);

#endif
