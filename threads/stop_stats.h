/* SPDX-License-Identifier: MIT
 *
 * How long stops take, by cause: counts and histograms of the time to safepoint beside the time
 * stopped. Buckets are powers of two nanoseconds: bucket i counts durations below 2^i, not below
 * 2^(i-1). Written by the stopper in its turn, read by anybody at any time (each number by itself).
 *
 * Implemented by stop_stats.c. */
#ifndef NP_THREADS_STOP_STATS_H
#define NP_THREADS_STOP_STATS_H

#include "threads/stop.h"

enum { NP_DURATION_BUCKETS = 48 };

struct np_durations {
    uint64_t count, total_ns, max_ns;
    uint64_t buckets[NP_DURATION_BUCKETS];
};

struct np_stop_stats {
    struct np_durations to_safepoint; /* from the request, in turn, to all stopped */
    struct np_durations stopped;      /* from all stopped to the start */
    struct np_durations turn;         /* waiting for earlier stops */
};

void np_stop_stats_note(enum np_stop_cause cause, const struct np_stop_times *times);
void np_stop_stats_note_turn(enum np_stop_cause cause, uint64_t waited_ns);
void np_stop_stats_note_handshake(uint64_t turn_ns, uint64_t took_ns);
void np_stop_stats_read(enum np_stop_cause cause, struct np_stop_stats *ret_stats);
/* Handshakes stop nobody: to_safepoint is the time until all have answered. */
void np_stop_stats_read_handshakes(struct np_stop_stats *ret_stats);
const char *np_stop_cause_name(enum np_stop_cause cause);

/* Upper bound, within a factor of two, of the shortest duration that `share` (0 to 1) of all do not
 * exceed; the maximum is exact. 0 when there are none. */
uint64_t np_durations_quantile(const struct np_durations *durations, double share);

#endif
