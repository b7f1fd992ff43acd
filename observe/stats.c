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
        stats.stuck_objects = np_stuck_count();
        stats.pending_items = np_pending_count();
    }
    stats.injected_faults = np_fault_count();
    stats.resident_bytes = np_os_resident_bytes();
    memset(ret_stats, 0, stats_bytes);
    memcpy(ret_stats, &stats, stats_bytes < sizeof stats ? stats_bytes : sizeof stats);
}

int neap_stats_write_json(FILE *out)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    fprintf(out,
            "{\"threads\":%" PRIu64 ",\"objects\":%" PRIu64 ",\"object_bytes\":%" PRIu64
            ",\"untyped_blocks\":%" PRIu64 ",\"untyped_bytes\":%" PRIu64 ",\"heap_bytes\":%" PRIu64
            ",\"idle_bytes\":%" PRIu64 ",\"waiting_bytes\":%" PRIu64 ",\"resident_bytes\":%" PRIu64
            ",\"stuck_objects\":%" PRIu64 ",\"pending_items\":%" PRIu64 ",\"generations\":[",
            stats.threads, stats.objects, stats.object_bytes, stats.untyped_blocks,
            stats.untyped_bytes, stats.heap_bytes, stats.idle_bytes, stats.waiting_bytes,
            stats.resident_bytes, stats.stuck_objects, stats.pending_items);
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats gc;
        neap_gc_get_stats(generation, &gc);
        fprintf(out,
                "%s{\"collections\":%" PRIu64 ",\"collected\":%" PRIu64
                ",\"uncollectable\":%" PRIu64 ",\"pause_p50_ns\":%" PRIu64
                ",\"pause_p99_ns\":%" PRIu64 ",\"pause_max_ns\":%" PRIu64 ",\"stopped_ns\":%" PRIu64
                ",\"total_ns\":%" PRIu64 ",\"confined\":%" PRIu64 ",\"confined_collected\":%" PRIu64
                "}",
                generation > 0 ? "," : "", gc.collections, gc.collected, gc.uncollectable,
                gc.pause_p50_ns, gc.pause_p99_ns, gc.pause_max_ns, gc.stopped_ns, gc.total_ns,
                gc.confined, gc.confined_collected);
    }
    fprintf(out, "],");
    np_stops_write_json(out);
    fprintf(out, "}\n");
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}
