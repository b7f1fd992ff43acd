/* SPDX-License-Identifier: MIT
 *
 * The counters of stop_stats.h. All accesses are relaxed: a reader beside a writer gets numbers
 * that may be one stop apart from each other. */
#include "threads/stop_stats.h"

#include "base/atomics.h"

static struct np_stop_stats stats[NP_STOP_CAUSES], handshakes;

static unsigned bucket_of(uint64_t duration_ns)
{
    unsigned bucket = duration_ns == 0 ? 0 : 64 - (unsigned)__builtin_clzll(duration_ns);
    return bucket < NP_DURATION_BUCKETS ? bucket : NP_DURATION_BUCKETS - 1;
}

/* The writer is alone, in its turn: load and store, no read-modify-write. */
static void increase(uint64_t *counter, uint64_t by)
{
    np_store_relaxed(counter, np_load_relaxed(counter) + by);
}

static void note(struct np_durations *durations, uint64_t duration_ns)
{
    increase(&durations->count, 1);
    increase(&durations->total_ns, duration_ns);
    increase(&durations->buckets[bucket_of(duration_ns)], 1);
    if (duration_ns > np_load_relaxed(&durations->max_ns))
        np_store_relaxed(&durations->max_ns, duration_ns);
}

void np_stop_stats_note(enum np_stop_cause cause, const struct np_stop_times *times)
{
    note(&stats[cause].to_safepoint, times->to_safepoint_ns);
    note(&stats[cause].stopped, times->stopped_ns);
}

void np_stop_stats_note_turn(enum np_stop_cause cause, uint64_t waited_ns)
{
    note(&stats[cause].turn, waited_ns);
}

static void read_durations(const struct np_durations *from, struct np_durations *to)
{
    to->count = np_load_relaxed(&from->count);
    to->total_ns = np_load_relaxed(&from->total_ns);
    to->max_ns = np_load_relaxed(&from->max_ns);
    for (unsigned i = 0; i < NP_DURATION_BUCKETS; i++)
        to->buckets[i] = np_load_relaxed(&from->buckets[i]);
}

void np_stop_stats_note_handshake(uint64_t turn_ns, uint64_t took_ns)
{
    note(&handshakes.turn, turn_ns);
    note(&handshakes.to_safepoint, took_ns);
}

static void read_all(const struct np_stop_stats *from, struct np_stop_stats *to)
{
    read_durations(&from->to_safepoint, &to->to_safepoint);
    read_durations(&from->stopped, &to->stopped);
    read_durations(&from->turn, &to->turn);
}

void np_stop_stats_read(enum np_stop_cause cause, struct np_stop_stats *ret_stats)
{
    read_all(&stats[cause], ret_stats);
}

void np_stop_stats_read_handshakes(struct np_stop_stats *ret_stats)
{
    read_all(&handshakes, ret_stats);
}

const char *np_stop_cause_name(enum np_stop_cause cause)
{
    static const char *const names[NP_STOP_CAUSES] = {"collect", "fork", "walk"};
    return names[cause];
}

uint64_t np_durations_quantile(const struct np_durations *durations, double share)
{
    uint64_t total = 0, passed = 0;
    for (unsigned i = 0; i < NP_DURATION_BUCKETS; i++)
        total += durations->buckets[i];
    for (unsigned i = 0; i < NP_DURATION_BUCKETS; i++) {
        passed += durations->buckets[i];
        if (total > 0 && (double)passed >= share * (double)total) {
            uint64_t bound = (uint64_t)1 << i;
            return bound < durations->max_ns ? bound : durations->max_ns;
        }
    }
    return durations->max_ns;
}
