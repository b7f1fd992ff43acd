/* SPDX-License-Identifier: MIT
 *
 * One record per generation, under one lock that is held for a few stores. */
#include "collector/report.h"

#include <pthread.h>
#include <string.h>

#include "base/event.h"
#include "base/probe.h"
#include "collector/confined.h"
#include "collector/histogram.h"

static const char *const cause_names[NEAP_GC_CAUSES] = {[NEAP_GC_CAUSE_ASKED] = "asked",
                                                        [NEAP_GC_CAUSE_PACED] = "paced",
                                                        [NEAP_GC_CAUSE_CONCURRENT] = "concurrent",
                                                        [NEAP_GC_CAUSE_MEMORY] = "memory"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    uint64_t collections, collected, uncollectable, total_ns; /* (L) */
    struct np_histogram stops;                                /* (L) */
    uint64_t phase_ns[NEAP_GC_PHASES];                        /* (L) */
    uint64_t by_cause[NEAP_GC_CAUSES];                        /* (L) */
} records[3];

const char *neap_gc_cause_name(enum neap_gc_cause cause)
{
    return (unsigned)cause < NEAP_GC_CAUSES ? cause_names[cause] : NULL;
}

void np_report_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_report_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void np_report_init(void)
{
    pthread_mutex_lock(&lock);
    memset(records, 0, sizeof records);
    pthread_mutex_unlock(&lock);
}

void np_report_collection(const struct neap_gc_event *event)
{
    NP_PROBE(gc__done, event->generation, event->collected);
    pthread_mutex_lock(&lock);
    records[event->generation].collections++;
    records[event->generation].by_cause[event->cause]++;
    records[event->generation].collected += event->collected;
    records[event->generation].uncollectable += event->uncollectable;
    records[event->generation].total_ns += event->total_ns;
    pthread_mutex_unlock(&lock);
}

void np_report_span(const struct neap_gc_event *event, uint64_t start_ns)
{
    uint32_t value = (uint32_t)event->generation | (uint32_t)event->cause << 8;
    np_event_tell(NP_EVENT_COLLECTION, start_ns, 0, value, 0);
}

void np_report_phases(int generation, const uint64_t *phase_ns)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < NEAP_GC_PHASES; i++)
        records[generation].phase_ns[i] += phase_ns[i];
    pthread_mutex_unlock(&lock);
}

void np_report_stop(int generation, uint64_t stopped_ns)
{
    pthread_mutex_lock(&lock);
    np_histogram_add(&records[generation].stops, stopped_ns);
    pthread_mutex_unlock(&lock);
}

void np_report_revived(int generation, uint64_t count)
{
    pthread_mutex_lock(&lock);
    records[generation].collected -= count;
    pthread_mutex_unlock(&lock);
}

void np_report_read(int generation, struct neap_gc_stats *ret_stats)
{
    pthread_mutex_lock(&lock);
    const struct np_histogram *stops = &records[generation].stops;
    *ret_stats = (struct neap_gc_stats){
        .collections = records[generation].collections,
        .collected = records[generation].collected,
        .uncollectable = records[generation].uncollectable,
        .pause_p50_ns = np_histogram_quantile(stops, 500),
        .pause_p99_ns = np_histogram_quantile(stops, 990),
        .pause_p999_ns = np_histogram_quantile(stops, 999),
        .pause_max_ns = stops->max,
        .stopped_ns = stops->sum,
        .total_ns = records[generation].total_ns,
    };
    memcpy(ret_stats->phase_ns, records[generation].phase_ns, sizeof ret_stats->phase_ns);
    memcpy(ret_stats->by_cause, records[generation].by_cause, sizeof ret_stats->by_cause);
    pthread_mutex_unlock(&lock);
    if (generation == 0)
        np_confined_read(&ret_stats->confined, &ret_stats->confined_collected);
}
