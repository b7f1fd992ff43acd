/* SPDX-License-Identifier: MIT
 *
 * The public face of threads/stop_stats.h. */
#include "observe/stops.h"

#include <inttypes.h>
#include <string.h>

#include "neap/stops.h"
#include "threads/stop_stats.h"
#include "threads/watchdog.h"

_Static_assert((int)NEAP_STOP_COLLECT == (int)NP_STOP_COLLECT &&
                   (int)NEAP_STOP_FORK == (int)NP_STOP_FORK &&
                   (int)NEAP_STOP_WALK == (int)NP_STOP_WALK &&
                   (int)NEAP_STOP_HANDSHAKE == (int)NP_STOP_CAUSES,
               "handshakes come after the stops");
_Static_assert((int)NEAP_DURATION_BUCKETS == (int)NP_DURATION_BUCKETS, "the same histogram");

static void publish(const struct np_durations *from, struct neap_durations *to)
{
    to->count = from->count;
    to->total_ns = from->total_ns;
    to->max_ns = from->max_ns;
    to->p50_ns = np_durations_quantile(from, 0.5);
    to->p99_ns = np_durations_quantile(from, 0.99);
    memcpy(to->buckets, from->buckets, sizeof to->buckets);
}

int neap_stop_stats_get_sized(int cause, struct neap_stop_stats *ret_stats, size_t stats_bytes)
{
    struct np_stop_stats inner = {0};
    struct neap_stop_stats stats;
    if (cause < 0 || cause >= NEAP_STOP_CAUSES)
        return NEAP_EINVAL;
    if (cause == NEAP_STOP_HANDSHAKE)
        np_stop_stats_read_handshakes(&inner);
    else
        np_stop_stats_read((enum np_stop_cause)cause, &inner);
    publish(&inner.to_safepoint, &stats.to_safepoint);
    publish(&inner.stopped, &stats.stopped);
    publish(&inner.turn, &stats.turn);
    stats.late_threads = np_watchdog_count();
    memset(ret_stats, 0, stats_bytes);
    memcpy(ret_stats, &stats, stats_bytes < sizeof stats ? stats_bytes : sizeof stats);
    return NEAP_OK;
}

const char *neap_stop_cause_name(int cause)
{
    if (cause < 0 || cause >= NEAP_STOP_CAUSES)
        return NULL;
    return cause == NEAP_STOP_HANDSHAKE ? "handshake"
                                        : np_stop_cause_name((enum np_stop_cause)cause);
}

static void write_durations(FILE *out, const char *name, const struct neap_durations *durations)
{
    fprintf(out,
            "\"%s\":{\"count\":%" PRIu64 ",\"total_ns\":%" PRIu64 ",\"p50_ns\":%" PRIu64
            ",\"p99_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64 ",\"buckets\":[",
            name, durations->count, durations->total_ns, durations->p50_ns, durations->p99_ns,
            durations->max_ns);
    for (unsigned i = 0; i < NEAP_DURATION_BUCKETS; i++)
        fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", durations->buckets[i]);
    fprintf(out, "]}");
}

void np_stops_write_json(FILE *out)
{
    struct neap_stop_stats stats;
    fprintf(out, "\"stops\":{");
    for (int cause = 0; cause < NEAP_STOP_CAUSES; cause++) {
        neap_stop_stats_get(cause, &stats);
        fprintf(out, "%s\"%s\":{", cause > 0 ? "," : "", neap_stop_cause_name(cause));
        write_durations(out, "to_safepoint", &stats.to_safepoint);
        fprintf(out, ",");
        write_durations(out, "stopped", &stats.stopped);
        fprintf(out, ",");
        write_durations(out, "turn", &stats.turn);
        fprintf(out, "}");
    }
    fprintf(out, "},\"late_threads\":%" PRIu64, stats.late_threads);
}
