/* SPDX-License-Identifier: MIT
 *
 * tidepool: INFO and the final report (see info.h). */
#include "info.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "memory.h"

#define LINE_BYTES 256

/* ---- gathering ---- */

struct info_memory info_memory(void)
{
    struct info_memory memory = {0, 0};
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL)
        return memory;
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, status) != NULL) {
        unsigned long long kib;
        if (sscanf(line, "VmRSS: %llu", &kib) == 1)
            memory.resident = kib * 1024;
        else if (sscanf(line, "VmHWM: %llu", &kib) == 1)
            memory.peak = kib * 1024;
    }
    fclose(status);
    return memory;
}

struct info_alive info_alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return (struct info_alive){stats.objects, stats.object_bytes, stats.untyped_bytes};
}

/* The sum over the loops of calls or errors of a command. */
static uint64_t sum(size_t command, bool errors)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < server.settings.threads; i++) {
        struct command_counters *row = &server.loops[i].commands[command];
        total += atomic_load_explicit(errors ? &row->errors : &row->calls, memory_order_relaxed);
    }
    return total;
}

uint64_t info_calls(size_t command)
{
    return sum(command, false);
}

uint64_t info_errors(size_t command)
{
    return sum(command, true);
}

static double uptime_seconds(void)
{
    return (double)(uv_hrtime() - server.started_ns) / 1e9;
}

static uint64_t all_calls(void)
{
    uint64_t total = 0;
    for (size_t i = 0; i < command_count(); i++)
        total += info_calls(i);
    return total;
}

#define SUM(field) server_sum(offsetof(struct loop_counters, field))

/* ---- INFO ---- */

static void line(struct reply *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct reply *text, const char *format, ...)
{
    char buffer[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, sizeof buffer - 2, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t bytes = (size_t)length < sizeof buffer - 2 ? (size_t)length : sizeof buffer - 3;
    memcpy(buffer + bytes, "\r\n", 2);
    reply_bytes(text, buffer, bytes + 2);
}

static void section_server(struct reply *text)
{
    line(text, "redis_version:%s", REDIS_VERSION);
    line(text, "redis_mode:standalone");
    line(text, "server_name:tidepool");
    line(text, "tidepool_version:%s", TIDEPOOL_VERSION);
    line(text, "neap_version:%s", neap_version());
    line(text, "process_id:%ld", (long)getpid());
    line(text, "tcp_port:%u", server.port);
    line(text, "threads:%u", server.settings.threads);
    line(text, "uptime_in_seconds:%" PRIu64, (uint64_t)uptime_seconds());
}

static void section_clients(struct reply *text)
{
    line(text, "connected_clients:%" PRIu64, SUM(clients));
    line(text, "maxclients:%u", server.settings.clients_most);
}

static void section_memory(struct reply *text)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    struct info_memory memory = info_memory();
    uint64_t used = stats.object_bytes + stats.untyped_bytes;
    line(text, "used_memory:%" PRIu64, used);
    line(text, "used_memory_rss:%" PRIu64, memory.resident);
    line(text, "used_memory_rss_peak:%" PRIu64, memory.peak);
    line(text, "mem_fragmentation_ratio:%.2f",
         used == 0 ? 0.0 : (double)memory.resident / (double)used);
    line(text, "maxmemory:%" PRIu64, memory_limit());
    line(text, "maxmemory_policy:%s", memory_limit() == 0 ? "noeviction" : "allkeys-lru");
    line(text, "neap_objects:%" PRIu64, stats.objects);
    line(text, "neap_object_bytes:%" PRIu64, stats.object_bytes);
    line(text, "neap_untyped_blocks:%" PRIu64, stats.untyped_blocks);
    line(text, "neap_untyped_bytes:%" PRIu64, stats.untyped_bytes);
    line(text, "neap_heap_bytes:%" PRIu64, stats.heap_bytes);
    line(text, "neap_idle_bytes:%" PRIu64, stats.idle_bytes);
    line(text, "neap_waiting_bytes:%" PRIu64, stats.waiting_bytes);
    line(text, "neap_pending_items:%" PRIu64, stats.pending_items);
}

static void section_stats(struct reply *text)
{
    line(text, "total_connections_received:%" PRIu64, SUM(accepted));
    line(text, "total_commands_processed:%" PRIu64, all_calls());
    line(text, "total_net_input_bytes:%" PRIu64, SUM(bytes_in));
    line(text, "total_net_output_bytes:%" PRIu64, SUM(bytes_out));
    line(text, "rejected_connections:%" PRIu64, SUM(refused));
    line(text, "evicted_keys:%" PRIu64, memory_evicted());
    line(text, "protocol_errors:%" PRIu64, SUM(protocol_errors));
    line(text, "clients_cut_off:%" PRIu64, SUM(cut_off));
    line(text, "loop_turns:%" PRIu64, SUM(turns));
}

static void section_collector(struct reply *text)
{
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats gc;
        neap_gc_get_stats(generation, &gc);
        line(text,
             "gc_gen%d:collections=%" PRIu64 ",collected=%" PRIu64 ",pause_p50_us=%.1f"
             ",pause_p99_us=%.1f,pause_p999_us=%.1f,pause_max_us=%.1f",
             generation, gc.collections, gc.collected, (double)gc.pause_p50_ns / 1e3,
             (double)gc.pause_p99_ns / 1e3, (double)gc.pause_p999_ns / 1e3,
             (double)gc.pause_max_ns / 1e3);
    }
}

static void section_commandstats(struct reply *text)
{
    for (size_t i = 0; i < command_count(); i++)
        if (info_calls(i) != 0)
            line(text, "cmdstat_%s:calls=%" PRIu64 ",failed_calls=%" PRIu64, command_at(i)->name,
                 info_calls(i), info_errors(i));
}

static void section_keyspace(struct reply *text)
{
    uint64_t keys = keyspace_count();
    if (keys != 0)
        line(text, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0", keys,
             keyspace_expiring_count());
}

static const struct {
    const char *name, *title;
    void (*write)(struct reply *text);
    bool always; /* without being named */
} sections[] = {
    {"server", "Server", section_server, true},
    {"clients", "Clients", section_clients, true},
    {"memory", "Memory", section_memory, true},
    {"stats", "Stats", section_stats, true},
    {"collector", "Collector", section_collector, true},
    {"commandstats", "Commandstats", section_commandstats, false},
    {"keyspace", "Keyspace", section_keyspace, true},
};

void info_write(struct reply *text, const struct slice *section, size_t count)
{
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        bool wanted = count == 0 && sections[i].always;
        for (size_t j = 0; j < count; j++)
            wanted |= text_is(section[j], sections[i].name) || text_is(section[j], "everything") ||
                      text_is(section[j], "all") ||
                      (sections[i].always && text_is(section[j], "default"));
        if (!wanted)
            continue;
        if (text->length > 0)
            line(text, "%s", "");
        line(text, "# %s", sections[i].title);
        sections[i].write(text);
    }
}

/* ---- the report at the end ---- */

void info_report_gather(struct info_report *report)
{
    report->full = info_alive();
    report->keys = keyspace_count();
    report->memory = info_memory();
    report->seconds = uptime_seconds();
    if (server.settings.stats_path != NULL)
        weigh_types(report->types);
    for (int generation = 0; generation < 3; generation++)
        neap_gc_get_stats(generation, &report->gc[generation]);
}

int info_report_write(const struct info_report *report, uint64_t leaked, FILE *out)
{
    fprintf(out, "{\n\"seconds\": %.3f,\n\"threads\": %u,\n", report->seconds,
            server.settings.threads);
    fprintf(out, "\"commands\": {");
    const char *between = "\n";
    uint64_t errors = 0;
    for (size_t i = 0; i < command_count(); i++) {
        errors += info_errors(i);
        if (info_calls(i) == 0)
            continue;
        fprintf(out, "%s  \"%s\": {\"calls\": %" PRIu64 ", \"errors\": %" PRIu64 "}", between,
                command_at(i)->name, info_calls(i), info_errors(i));
        between = ",\n";
    }
    fprintf(out, "\n},\n\"collections\": [");
    for (int i = 0; i < 3; i++) {
        const struct neap_gc_stats *gc = &report->gc[i];
        fprintf(out,
                "%s\n  {\"generation\": %d, \"collections\": %" PRIu64 ", \"collected\": %" PRIu64
                ", \"uncollectable\": %" PRIu64 ", \"pause_p50_us\": %.1f, \"pause_p99_us\": %.1f"
                ", \"pause_max_us\": %.1f, \"stopped_ms\": %.3f}",
                i == 0 ? "" : ",", i, gc->collections, gc->collected, gc->uncollectable,
                (double)gc->pause_p50_ns / 1e3, (double)gc->pause_p99_ns / 1e3,
                (double)gc->pause_max_ns / 1e3, (double)gc->stopped_ns / 1e6);
    }
    fprintf(out, "\n],\n\"keys\": %" PRIu64 ",\n\"types\": [", report->keys);
    for (int i = 0; i < WEIGH_TYPES; i++)
        fprintf(out, "%s\n  {\"type\": \"%s\", \"keys\": %" PRIu64 ", \"bytes\": %" PRIu64 "}",
                i == 0 ? "" : ",", report->types[i].type, report->types[i].keys,
                report->types[i].bytes);
    fprintf(out, "\n],\n");
    fprintf(out, "\"objects_alive\": %" PRIu64 ",\n\"object_bytes_alive\": %" PRIu64 ",\n",
            report->full.objects, report->full.object_bytes);
    fprintf(out, "\"untyped_bytes_alive\": %" PRIu64 ",\n", report->full.untyped_bytes);
    fprintf(out,
            "\"objects_after_drop\": %" PRIu64 ",\n\"object_bytes_after_drop\": %" PRIu64 ",\n",
            report->dropped.objects, report->dropped.object_bytes);
    fprintf(out, "\"rss_bytes\": %" PRIu64 ",\n\"rss_peak_bytes\": %" PRIu64 ",\n",
            report->memory.resident, report->memory.peak);
    fprintf(out, "\"connections\": %" PRIu64 ",\n\"refused\": %" PRIu64 ",\n", SUM(accepted),
            SUM(refused));
    fprintf(out, "\"protocol_errors\": %" PRIu64 ",\n\"cut_off\": %" PRIu64 ",\n",
            SUM(protocol_errors), SUM(cut_off));
    fprintf(out, "\"error_replies\": %" PRIu64 ",\n\"leaked_objects\": %" PRIu64 "\n}\n", errors,
            leaked);
    return ferror(out) != 0 || fflush(out) != 0 ? -1 : 0;
}
