/* SPDX-License-Identifier: MIT
 *
 * The public statistics: what alloc and threads count, put together. */
#include "neap/stats.h"

#include <inttypes.h>
#include <string.h>

#include "alloc/stats.h"
#include "base/fault.h"
#include "base/os.h"
#include "neap/gc.h"
#include "neap/status.h"
#include "observe/stops.h"
#include "runtime/count.h"
#include "runtime/grace.h"
#include "runtime/pending.h"
#include "runtime/usage.h"
#include "threads/thread.h"

void neap_stats_get_sized(struct neap_stats *ret_stats, size_t stats_bytes)
{
    struct neap_stats stats = {0};
    if (np_usage_alive()) {
        struct np_alloc_stats alloc;
        np_alloc_stats_read(&alloc);
        stats.threads = np_thread_attached_count();
        stats.objects = alloc.object_blocks;
        stats.object_bytes = alloc.object_bytes;
        stats.untyped_blocks = alloc.untyped_blocks;
        stats.untyped_bytes = alloc.untyped_bytes;
        stats.heap_bytes = alloc.committed_bytes;
        stats.idle_bytes = alloc.idle_bytes;
        stats.waiting_bytes = alloc.waiting_bytes + np_grace_bytes();
        stats.cached_bytes = alloc.cached_bytes;
        stats.free_bytes = alloc.free_bytes;
        stats.returned_bytes = alloc.returned_bytes;
        stats.metadata_bytes = alloc.metadata_bytes;
        stats.slack_bytes = alloc.large_slack_bytes;
        stats.stuck_objects = np_stuck_count();
        stats.pending_items = np_pending_count();
    }
    stats.injected_faults = np_fault_count();
    stats.resident_bytes = np_os_resident_bytes();
    memset(ret_stats, 0, stats_bytes);
    memcpy(ret_stats, &stats, stats_bytes < sizeof stats ? stats_bytes : sizeof stats);
}

static const char *kind_of(const struct np_class_stats *row)
{
    if (!row->is_object)
        return "untyped";
    if (row->type_index != 0)
        return "pooled";
    return row->is_tracked ? "objects" : "leaves";
}

/* In blocks; slack is bounded, see struct neap_stats. */
static void write_classes(FILE *out)
{
    struct np_class_stats rows[NP_CLASS_COUNT];
    const char *comma = "";
    np_alloc_classes_read(rows);
    fprintf(out, "\"classes\":[");
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        const struct np_class_stats *row = &rows[i];
        if (row->pools == 0 && row->live == 0)
            continue;
        fprintf(out,
                "%s{\"kind\":\"%s\",\"block_bytes\":%" PRIu32 ",\"live\":%" PRIu64
                ",\"cached\":%" PRIu64 ",\"free\":%" PRIu64 ",\"pools\":%" PRIu64 "}",
                comma, kind_of(row), row->block_bytes, row->live, row->cached, row->free,
                row->pools);
        comma = ",";
    }
    fprintf(out, "],");
}

int neap_stats_write_json(FILE *out)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    fprintf(out,
            "{\"threads\":%" PRIu64 ",\"objects\":%" PRIu64 ",\"object_bytes\":%" PRIu64
            ",\"untyped_blocks\":%" PRIu64 ",\"untyped_bytes\":%" PRIu64 ",\"heap_bytes\":%" PRIu64
            ",\"idle_bytes\":%" PRIu64 ",\"waiting_bytes\":%" PRIu64 ",\"resident_bytes\":%" PRIu64
            ",\"stuck_objects\":%" PRIu64 ",\"pending_items\":%" PRIu64 ",\"cached_bytes\":%" PRIu64
            ",\"free_bytes\":%" PRIu64 ",\"returned_bytes\":%" PRIu64 ",\"metadata_bytes\":%" PRIu64
            ",\"slack_bytes\":%" PRIu64 ",",
            stats.threads, stats.objects, stats.object_bytes, stats.untyped_blocks,
            stats.untyped_bytes, stats.heap_bytes, stats.idle_bytes, stats.waiting_bytes,
            stats.resident_bytes, stats.stuck_objects, stats.pending_items, stats.cached_bytes,
            stats.free_bytes, stats.returned_bytes, stats.metadata_bytes, stats.slack_bytes);
    write_classes(out);
    fprintf(out, "\"generations\":[");
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats gc;
        neap_gc_get_stats(generation, &gc);
        fprintf(out,
                "%s{\"collections\":%" PRIu64 ",\"collected\":%" PRIu64
                ",\"uncollectable\":%" PRIu64 ",\"pause_p50_ns\":%" PRIu64
                ",\"pause_p99_ns\":%" PRIu64 ",\"pause_max_ns\":%" PRIu64 ",\"stopped_ns\":%" PRIu64
                ",\"total_ns\":%" PRIu64 ",\"confined\":%" PRIu64 ",\"confined_collected\":%" PRIu64
                ",\"phases_ns\":{",
                generation > 0 ? "," : "", gc.collections, gc.collected, gc.uncollectable,
                gc.pause_p50_ns, gc.pause_p99_ns, gc.pause_max_ns, gc.stopped_ns, gc.total_ns,
                gc.confined, gc.confined_collected);
        for (unsigned phase = 0; phase < NEAP_GC_PHASES; phase++)
            fprintf(out, "%s\"%s\":%" PRIu64, phase > 0 ? "," : "",
                    neap_gc_phase_name((enum neap_gc_phase)phase), gc.phase_ns[phase]);
        fprintf(out, "},\"causes\":{");
        for (unsigned cause = 0; cause < NEAP_GC_CAUSES; cause++)
            fprintf(out, "%s\"%s\":%" PRIu64, cause > 0 ? "," : "",
                    neap_gc_cause_name((enum neap_gc_cause)cause), gc.by_cause[cause]);
        fprintf(out, "}}");
    }
    fprintf(out, "],");
    np_stops_write_json(out);
    fprintf(out, "}\n");
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}
