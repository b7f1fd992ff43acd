/* SPDX-License-Identifier: MIT
 *
 * Sums of per-heap counters. Running threads are read as they go, so that a figure may be off by
 * what moves meanwhile; sums that fall below zero for that reason read as 0. */
#include "alloc/stats.h"

#include "alloc/arena.h"
#include "alloc/large.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "alloc/sample.h"

struct sums {
    int64_t taken[NP_CLASS_COUNT], away[NP_CLASS_COUNT], cached[NP_CLASS_COUNT];
    int64_t pools[NP_CLASS_COUNT];
};

static void add_heap(struct np_heap *heap, void *arg)
{
    struct sums *sums = arg;
    const struct np_heap_own *own = heap->own;
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        /* relaxed: statistics of running threads */
        sums->taken[i] += np_load_relaxed(&own->taken[i]);
        sums->away[i] += np_load_relaxed(&own->away[i]);
        sums->pools[i] += np_load_relaxed(&own->pools[i]);
        sums->cached[i] += np_magazine_length(heap, i);
    }
    int64_t parcels = np_load_relaxed(&own->parcels); /* blocks of ours, not the program's */
    sums->cached[NP_CLASS_PARCEL] += parcels;
}

static uint64_t at_least_0(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

void np_alloc_classes_read(struct np_class_stats ret_stats[NP_CLASS_COUNT])
{
    struct sums sums = {0};
    np_heap_each(add_heap, &sums);
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        const struct np_size_class *row = &np_size_classes[i];
        uint64_t taken = at_least_0(sums.taken[i]), pools = at_least_0(sums.pools[i]);
        ret_stats[i] = (struct np_class_stats){
            .block_bytes = row->block_bytes,
            .type_index = row->type_index,
            .is_object = row->is_object,
            .is_tracked = row->is_tracked,
            .live = at_least_0(sums.taken[i] - sums.cached[i] - sums.away[i]),
            .cached = at_least_0(sums.cached[i] + sums.away[i]),
            .free = pools * row->capacity > taken ? pools * row->capacity - taken : 0,
            .pools = pools,
        };
    }
}

void np_alloc_stats_read(struct np_alloc_stats *ret_stats)
{
    struct sums sums = {0};
    struct np_arena_counts arenas;
    struct np_large_counts large;
    struct np_alloc_stats stats = {0};
    np_heap_each(add_heap, &sums);
    np_arena_count(&arenas);
    np_large_count(&large);
    struct np_sample_counts sampled;
    np_sample_count(&sampled);
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        const struct np_size_class *row = &np_size_classes[i];
        uint64_t live = at_least_0(sums.taken[i] - sums.cached[i] - sums.away[i]);
        uint64_t taken_bytes = at_least_0(sums.taken[i]) * row->block_bytes;
        uint64_t pool_bytes = at_least_0(sums.pools[i]) * NP_POOL_BYTES;
        if (row->is_object) {
            stats.object_blocks += live;
            stats.object_bytes += live * row->block_bytes;
        } else {
            stats.untyped_blocks += live;
            stats.untyped_bytes += live * row->block_bytes;
        }
        stats.cached_bytes += at_least_0(sums.cached[i] + sums.away[i]) * row->block_bytes;
        stats.free_bytes += pool_bytes > taken_bytes ? pool_bytes - taken_bytes : 0;
    }
    stats.untyped_blocks += large.blocks[0] + sampled.blocks;
    stats.untyped_bytes += large.bytes[0] + sampled.bytes;
    stats.object_blocks += large.blocks[1];
    stats.object_bytes += large.bytes[1];
    stats.large_slack_bytes = large.slack_bytes;
    stats.large_cached_bytes = large.cached_bytes;
    stats.cached_bytes += large.cached_bytes;
    stats.large_blocks = large.blocks[0] + large.blocks[1];
    stats.large_bytes = large.bytes[0] + large.bytes[1];
    stats.idle_bytes = arenas.resident * NP_POOL_BYTES;
    stats.returned_bytes = arenas.returned * NP_POOL_BYTES;
    stats.waiting_bytes = arenas.waiting * NP_POOL_BYTES + large.waiting_bytes;
    stats.metadata_bytes = np_meta_bytes() + arenas.metadata_bytes;
    stats.committed_bytes = np_committed();
    *ret_stats = stats;
}
