/* SPDX-License-Identifier: MIT
 *
 * Metrics as text. The two formats differ in the names of counters' families and in the last line;
 * names and units follow the exporters of Go and the JVM. Nothing is stopped: figures are read as
 * threads go. */
#include "observe/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "alloc/meta.h"
#include "alloc/stats.h"
#include "alloc/trace.h"
#include "alloc/own.h"
#include "base/options.h"
#include "base/os.h"
#include "neap/gc.h"
#include "neap/runtime.h"
#include "neap/stats.h"
#include "neap/stops.h"
#include "runtime/batch.h"
#include "runtime/grace.h"
#include "runtime/pending.h"
#include "runtime/usage.h"
#include "threads/thread.h"

struct writer {
    FILE *out;
    bool open_metrics;
};

/* ---- families ---- */

static void family(struct writer *writer, const char *name, const char *type, const char *help)
{
    bool counter = strcmp(type, "counter") == 0;
    const char *suffix = counter && !writer->open_metrics ? "_total" : "";
    if (writer->open_metrics && strcmp(type, "info") == 0) {
        fprintf(writer->out, "# TYPE %s info\n# HELP %s %s\n", name, name, help);
        return;
    }
    if (strcmp(type, "info") == 0) {
        fprintf(writer->out, "# HELP %s_info %s\n# TYPE %s_info gauge\n", name, help, name);
        return;
    }
    fprintf(writer->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix,
            type);
}

static void gauge(struct writer *writer, const char *name, const char *help, uint64_t value)
{
    family(writer, name, "gauge", help);
    fprintf(writer->out, "%s %" PRIu64 "\n", name, value);
}

static void counter(struct writer *writer, const char *name, const char *help, uint64_t value)
{
    family(writer, name, "counter", help);
    fprintf(writer->out, "%s_total %" PRIu64 "\n", name, value);
}

/* Buckets from about a microsecond to about 17 seconds, each twice the last. */
static void histogram(struct writer *writer, const char *name, const char *cause,
                      const struct neap_durations *durations)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < NEAP_DURATION_BUCKETS; i++) {
        below += durations->buckets[i];
        if (i >= 10 && i <= 34)
            fprintf(writer->out, "%s_bucket{cause=\"%s\",le=\"%.9g\"} %" PRIu64 "\n", name, cause,
                    ldexp(1e-9, (int)i), below);
    }
    fprintf(writer->out, "%s_bucket{cause=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, cause, below);
    fprintf(writer->out, "%s_sum{cause=\"%s\"} %.9f\n", name, cause,
            (double)durations->total_ns / 1e9);
    fprintf(writer->out, "%s_count{cause=\"%s\"} %" PRIu64 "\n", name, cause, below);
}

/* ---- what is told ---- */

static void put_threads(struct writer *writer)
{
    static const char *const names[] = {"detached", "running", "blocking", "parked"};
    uint64_t counts[4] = {0};
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++)
        counts[np_thread_state_of(np_thread_at((uint16_t)id))]++;
    family(writer, "neap_threads", "gauge", "Attached threads by state.");
    for (unsigned i = NP_RUNNING; i <= NP_PARKED; i++)
        fprintf(writer->out, "neap_threads{state=\"%s\"} %" PRIu64 "\n", names[i], counts[i]);
}

static void add_allocated(struct np_heap *heap, void *arg)
{
    /* relaxed, all: figures of a running thread */
    int64_t bytes = np_load_relaxed(&heap->trace_bytes) + np_load_relaxed(&heap->trace_set) -
                    np_load_relaxed(&heap->trace_left);
    *(int64_t *)arg += bytes > 0 ? bytes : 0;
}

/* Never less than it was: a counter that falls reads as a restart. */
static uint64_t allocated_bytes(void)
{
    static uint64_t most;
    int64_t sum = 0;
    np_heap_each(add_allocated, &sum);
    uint64_t seen = np_load_relaxed(&most); /* relaxed: a figure */
    while ((uint64_t)sum > seen && !__atomic_compare_exchange_n(&most, &seen, (uint64_t)sum, true,
                                                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return (uint64_t)sum > seen ? (uint64_t)sum : seen;
}

static void put_heap(struct writer *writer)
{
    struct np_alloc_stats alloc;
    np_alloc_stats_read(&alloc);
    gauge(writer, "neap_heap_inuse_bytes", "Bytes of blocks that the program has.",
          alloc.object_bytes + alloc.untyped_bytes);
    gauge(writer, "neap_heap_idle_bytes", "Bytes of free blocks in pools and caches.",
          alloc.free_bytes + alloc.cached_bytes);
    gauge(writer, "neap_heap_dirty_bytes", "Bytes of empty pools that are still resident.",
          alloc.idle_bytes);
    gauge(writer, "neap_heap_released_bytes", "Bytes of empty pools given back to the system.",
          alloc.returned_bytes);
    gauge(writer, "neap_heap_slack_bytes", "Bytes of large blocks that nobody asked for.",
          alloc.large_slack_bytes);
    gauge(writer, "neap_heap_metadata_bytes", "Bytes of the allocator's own.",
          alloc.metadata_bytes);
    gauge(writer, "neap_heap_committed_bytes", "Bytes that count against heap_hard_limit.",
          alloc.committed_bytes);
    gauge(writer, "neap_heap_objects", "Objects alive.", alloc.object_blocks);
    gauge(writer, "neap_heap_untyped_blocks", "Untyped blocks alive.", alloc.untyped_blocks);
    gauge(writer, "neap_deferred_free_bytes", "Bytes freed that wait for a grace period.",
          alloc.waiting_bytes + np_grace_bytes());
    gauge(writer, "neap_pending_items", "Finalizers and callbacks that wait for a safepoint.",
          np_pending_count());
    counter(writer, "neap_alloc_bytes", "Bytes asked for by attached threads.", allocated_bytes());
    family(writer, "neap_memory_limit_bytes", "gauge", "Limits of the heap; 0 is none.");
    fprintf(writer->out, "neap_memory_limit_bytes{kind=\"soft\"} %" PRIu64 "\n",
            np_options.heap_soft_limit);
    fprintf(writer->out, "neap_memory_limit_bytes{kind=\"hard\"} %" PRIu64 "\n",
            np_options.heap_hard_limit);
}

static void put_collections(struct writer *writer, const struct neap_gc_stats *stats)
{
    family(writer, "neap_gc_collections", "counter", "Collections by generation and cause.");
    for (int generation = 0; generation < 3; generation++)
        for (unsigned cause = 0; cause < NEAP_GC_CAUSES; cause++)
            fprintf(writer->out,
                    "neap_gc_collections_total{generation=\"%d\",cause=\"%s\"} %" PRIu64 "\n",
                    generation, neap_gc_cause_name((enum neap_gc_cause)cause),
                    stats[generation].by_cause[cause]);
}

static void put_collector(struct writer *writer)
{
    static const char *const what[] = {"neap_gc_collected_objects",
                                       "neap_gc_uncollectable_objects"};
    static const char *const help[] = {"Objects found unreachable by generation.",
                                       "Objects found unreachable that could not be freed."};
    struct neap_gc_stats stats[3];
    for (int generation = 0; generation < 3; generation++)
        neap_gc_get_stats(generation, &stats[generation]);
    put_collections(writer, stats);
    for (unsigned i = 0; i < 2; i++) {
        family(writer, what[i], "counter", help[i]);
        for (int generation = 0; generation < 3; generation++) {
            uint64_t values[] = {stats[generation].collected, stats[generation].uncollectable};
            fprintf(writer->out, "%s_total{generation=\"%d\"} %" PRIu64 "\n", what[i], generation,
                    values[i]);
        }
    }
    family(writer, "neap_gc_seconds", "counter", "Time in collections by generation.");
    for (int generation = 0; generation < 3; generation++)
        fprintf(writer->out, "neap_gc_seconds_total{generation=\"%d\"} %.9f\n", generation,
                (double)stats[generation].total_ns / 1e9);
    family(writer, "neap_gc_phase_seconds", "counter", "Time in collections by phase.");
    for (int generation = 0; generation < 3; generation++)
        for (unsigned phase = 0; phase < NEAP_GC_PHASES; phase++)
            fprintf(writer->out,
                    "neap_gc_phase_seconds_total{generation=\"%d\",phase=\"%s\"} %.9f\n",
                    generation, neap_gc_phase_name((enum neap_gc_phase)phase),
                    (double)stats[generation].phase_ns[phase] / 1e9);
    family(writer, "neap_gc_confined_collections", "counter",
           "Young collections of one thread's own objects, with nobody stopped.");
    fprintf(writer->out, "neap_gc_confined_collections_total %" PRIu64 "\n", stats[0].confined);
    family(writer, "neap_gc_max_pause_seconds", "gauge", "Longest stop by generation.");
    for (int generation = 0; generation < 3; generation++)
        fprintf(writer->out, "neap_gc_max_pause_seconds{generation=\"%d\"} %.9f\n", generation,
                (double)stats[generation].pause_max_ns / 1e9);
}

static void put_stops(struct writer *writer)
{
    struct neap_stop_stats stats[NEAP_STOP_CAUSES];
    for (int cause = 0; cause < NEAP_STOP_CAUSES; cause++)
        neap_stop_stats_get(cause, &stats[cause]);
    family(writer, "neap_gc_stopped_seconds", "histogram", "How long the world was stopped.");
    for (int cause = 0; cause < NEAP_STOP_HANDSHAKE; cause++)
        histogram(writer, "neap_gc_stopped_seconds", neap_stop_cause_name(cause),
                  &stats[cause].stopped);
    family(writer, "neap_gc_time_to_safepoint_seconds", "histogram",
           "From the request of a stop to the last thread's.");
    for (int cause = 0; cause < NEAP_STOP_CAUSES; cause++)
        histogram(writer, "neap_gc_time_to_safepoint_seconds", neap_stop_cause_name(cause),
                  &stats[cause].to_safepoint);
    counter(writer, "neap_late_threads", "Threads named by safepoint_warn_ms.",
            stats[0].late_threads);
}

/* References to objects of other threads that were given back. */
static void put_merges(struct writer *writer)
{
    static const char *const kinds[NP_MERGED_KINDS] = {
        [NP_MERGED_BY_OWNER] = "by_owner",
        [NP_MERGED_FOR_OWNER] = "for_owner",
        [NP_MERGED_AT_ONCE] = "at_once",
    };
    struct np_batch_figures figures;
    np_batch_figures(&figures);
    gauge(writer, "neap_merge_queue_objects", "References that wait for the owner's next poll.",
          figures.queued);
    family(writer, "neap_merges", "counter",
           "References to other threads' objects given back, by who did it.");
    for (unsigned kind = 0; kind < NP_MERGED_KINDS; kind++)
        fprintf(writer->out, "neap_merges_total{kind=\"%s\"} %" PRIu64 "\n", kinds[kind],
                figures.merged[kind]);
}

static void put_refusals(struct writer *writer)
{
    uint64_t by_limit, by_system;
    np_commit_refusals(&by_limit, &by_system);
    family(writer, "neap_oom", "counter", "Allocations that returned NULL, by what lacked.");
    fprintf(writer->out, "neap_oom_total{kind=\"limit\"} %" PRIu64 "\n", by_limit);
    fprintf(writer->out, "neap_oom_total{kind=\"system\"} %" PRIu64 "\n", by_system);
}

static void put_process(struct writer *writer)
{
    struct rusage usage;
    gauge(writer, "process_resident_memory_bytes", "Resident memory size in bytes.",
          np_os_resident_bytes());
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    family(writer, "process_cpu_seconds", "counter", "User and system time spent.");
    fprintf(writer->out, "process_cpu_seconds_total %.6f\n",
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

int np_metrics_to(FILE *out, bool open_metrics)
{
    struct writer writer = {out, open_metrics};
    family(&writer, "neap", "info", "The library's version.");
    fprintf(out, "neap_info{version=\"%s\"} 1\n", neap_version());
    if (np_usage_alive()) {
        put_threads(&writer);
        put_heap(&writer);
        put_refusals(&writer);
        put_merges(&writer);
        put_collector(&writer);
        put_stops(&writer);
    }
    put_process(&writer);
    if (open_metrics)
        fprintf(out, "# EOF\n");
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}

int neap_metrics_write(FILE *out)
{
    return np_metrics_to(out, true);
}

int neap_metrics_write_prometheus(FILE *out)
{
    return np_metrics_to(out, false);
}
