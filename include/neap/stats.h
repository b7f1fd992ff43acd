/* SPDX-License-Identifier: MIT
 *
 * neap: what the runtime holds. Summed from per-thread counters without stopping anybody: exact
 * when nothing is allocated meanwhile.
 *
 *     struct neap_stats stats;
 *     neap_stats_get(&stats);
 *     printf("# %" PRIu64 " objects\n", stats.objects);
 *     neap_metrics_write(stderr);      for Prometheus
 */
#ifndef NEAP_STATS_H
#define NEAP_STATS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_stats {
    uint64_t threads;        /* attached, the helper included */
    uint64_t objects;        /* alive */
    uint64_t object_bytes;   /* their blocks, headers included */
    uint64_t untyped_blocks; /* of neap_alloc */
    uint64_t untyped_bytes;
    uint64_t heap_bytes;      /* committed: pools in use or idle, large blocks */
    uint64_t idle_bytes;      /* of these, empty and resident */
    uint64_t waiting_bytes;   /* freed, inside a grace period */
    uint64_t resident_bytes;  /* of the process */
    uint64_t stuck_objects;   /* whose count ran over: they live on, uncounted */
    uint64_t pending_items;   /* user code that waits for neap_run_pending or a safepoint */
    uint64_t injected_faults; /* what options fail_nth and fail_one_in refused since neap_init */
    uint64_t cached_bytes;    /* free, in threads' caches and on their way to them */
    uint64_t free_bytes;      /* free, in pools that are in use */
    uint64_t returned_bytes;  /* empty pools given back to the system */
    uint64_t metadata_bytes;  /* the allocator's own */
    uint64_t slack_bytes;     /* what nobody asked for in blocks over 512 bytes; in each smaller
                               * one it is less than 16 bytes, and not in here */
};

/* The macro neap_stats_get(&stats) passes the size, so that the struct may grow.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_stats_get_sized(struct neap_stats *ret_stats, size_t stats_bytes);
#define neap_stats_get(ret_stats) neap_stats_get_sized((ret_stats), sizeof *(ret_stats))

/* The same, a row for each size class that has pools, and the collector's statistics, as one JSON
 * object. NEAP_OK or NEAP_EIO.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_stats_write_json(FILE *out);

/* Statistics, stops and collections as metrics: OpenMetrics 1.0, and the older text format 0.0.4
 * that Prometheus takes where it is not asked for the other. NEAP_OK or NEAP_EIO.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_metrics_write(FILE *out);
/* refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_metrics_write_prometheus(FILE *out);

#ifdef __cplusplus
}
#endif

#endif
