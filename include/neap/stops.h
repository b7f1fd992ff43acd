/* SPDX-License-Identifier: MIT
 *
 * neap: how long threads are kept waiting. For each cause of a stop of the world: how long it took
 * until all had stopped (the time to safepoint, which the program's own loops decide), and how long
 * they stood still (which neap decides).
 *
 *     struct neap_stop_stats stops;
 *     neap_stop_stats_get(NEAP_STOP_COLLECT, &stops);
 *     printf("worst time to safepoint: %llu us\n",
 *            (unsigned long long)stops.to_safepoint.max_ns / 1000);
 *
 * Counted always, by the thread that stops the others, in its turn.
 */
#ifndef NEAP_STOPS_H
#define NEAP_STOPS_H

#include <stddef.h>
#include <stdint.h>

#include <neap/export.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEAP_DURATION_BUCKETS = 48 };

/* buckets[i] counts durations below 2^i nanoseconds and not below 2^(i-1). The quantiles are a
 * bucket's upper bound, or the maximum, which is exact. */
struct neap_durations {
    uint64_t count, total_ns, p50_ns, p99_ns, max_ns;
    uint64_t buckets[NEAP_DURATION_BUCKETS];
};

/* NEAP_STOP_HANDSHAKE: nobody is stopped, each thread answers at its next poll; `stopped` is empty.
 */
enum neap_stop_cause {
    NEAP_STOP_COLLECT,
    NEAP_STOP_FORK,
    NEAP_STOP_WALK,
    NEAP_STOP_HANDSHAKE,
    NEAP_STOP_CAUSES
};

struct neap_stop_stats {
    struct neap_durations to_safepoint; /* from the request, in its turn, until all have stopped */
    struct neap_durations stopped;      /* from then until they may go on */
    struct neap_durations turn;         /* waiting for earlier stops to end */
    uint64_t late_threads; /* named by option safepoint_warn_ms so far, whatever the cause */
};

/* The macro neap_stop_stats_get(cause, &stats) passes the size, so that the struct may grow.
 * NEAP_OK, NEAP_EINVAL for a cause that is none.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_stop_stats_get_sized(int cause, struct neap_stop_stats *ret_stats,
                                          size_t stats_bytes);
#define neap_stop_stats_get(cause, ret_stats) \
    neap_stop_stats_get_sized((cause), (ret_stats), sizeof *(ret_stats))

/* "collect", "fork", "walk", "handshake"; NULL for a cause that is none.
 * refs: none | user code: no | point: none | threads: any | fails: NULL */
NEAP_PUBLIC const char *neap_stop_cause_name(int cause);

#ifdef __cplusplus
}
#endif

#endif
