/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands that look inside: OBJECT, MEMORY, DEBUG, TIME. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client.h"
#include "commands.h"
#include "info.h"
#include "list.h"
#include "memory.h"
#include "set.h"
#include "weigh.h"
#include "zset.h"

void command_time(struct call *call)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, now.tv_sec);
    reply_bulk_integer(call->reply, now.tv_nsec / 1000);
}

/* ---- OBJECT ---- */

/* What Redis calls the nearest of its own encodings. */
static const char *encoding_of(const struct value *value)
{
    if (neap_is(value, number))
        return "int";
    if (neap_is(value, string))
        return ((const struct string *)value)->length <= 44 ? "embstr" : "raw";
    if (neap_is(value, list))
        return "quicklist";
    return neap_is(value, zset) ? "skiplist" : "hashtable";
}

static void object_encoding(struct call *call)
{
    struct entry *entry = keyspace_find(call_key(call, 2));
    if (entry == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, text_from(encoding_of(entry->value)));
}

static void object_refcount(struct call *call)
{
    struct entry *entry = keyspace_find(call_key(call, 2));
    if (entry == NULL)
        reply_null(call->reply);
    else
        reply_integer(call->reply, (int64_t)neap_refcount(entry->value));
}

static void object_help(struct call *call)
{
    static const char *const lines[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the Redis encoding that is nearest to how the value is kept.",
        "REFCOUNT <key>",
        "    Return the number of references to the value.",
        "HELP",
        "    Print this help.",
    };
    CALL_HELP(call, lines);
}

void command_object(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"encoding", 3, object_encoding},
        {"help", 2, object_help},
        {"refcount", 3, object_refcount},
    };
    CALL_SUBCOMMAND(call, subcommands);
}

/* ---- MEMORY ---- */

static void memory_usage(struct call *call)
{
    int64_t samples = WEIGH_SAMPLES;
    for (size_t i = 3; i < call->count; i += 2) {
        if (!text_is(call->argument[i], "samples") || i + 1 == call->count) {
            call_syntax_error(call);
            return;
        }
        if (!call_integer(call, i + 1, &samples))
            return;
        if (samples < 0) {
            call_syntax_error(call);
            return;
        }
    }
    struct entry *entry = keyspace_find(call_key(call, 2));
    if (entry == NULL)
        reply_null(call->reply);
    else
        reply_integer(call->reply, (int64_t)weigh(entry, (size_t)samples));
}

static void memory_stats(struct call *call)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    struct info_memory memory = info_memory();
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"peak.rss", memory.peak},
        {"total.rss", memory.resident},
        {"total.allocated", stats.object_bytes + stats.untyped_bytes},
        {"keys.count", keyspace_count()},
        {"objects.count", stats.objects},
        {"objects.bytes", stats.object_bytes},
        {"untyped.blocks", stats.untyped_blocks},
        {"untyped.bytes", stats.untyped_bytes},
        {"heap.bytes", stats.heap_bytes},
        {"heap.idle.bytes", stats.idle_bytes},
        {"heap.waiting.bytes", stats.waiting_bytes},
    };
    reply_map(call->reply, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reply_bulk(call->reply, text_from(rows[i].name));
        reply_integer(call->reply, (int64_t)rows[i].value);
    }
}

/* What stands out in the figures, in words. */
static void memory_doctor(struct call *call)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    struct info_memory memory = info_memory();
    uint64_t used = stats.object_bytes + stats.untyped_bytes;
    char text[512];
    const char *finding = "Nothing stands out.";
    if (memory_limit() != 0 && used > memory_limit())
        finding = "The data is over --maxmemory: keys are being dropped.";
    else if (memory.resident > 2 * used && memory.resident > (uint64_t)64 << 20)
        finding = "Most of the resident memory holds no data. It was needed at the peak; MEMORY "
                  "PURGE gives idle memory back at once.";
    else if (stats.waiting_bytes > used / 4 && stats.waiting_bytes > (uint64_t)16 << 20)
        finding = "Much freed memory waits for a thread that does not poll.";
    snprintf(text, sizeof text,
             "%s Data %" PRIu64 " bytes in %" PRIu64 " objects; resident %" PRIu64
             " bytes, at the peak %" PRIu64 "; idle %" PRIu64 " bytes.",
             finding, used, stats.objects, memory.resident, memory.peak, stats.idle_bytes);
    reply_verbatim(call->reply, text_from(text));
}

static void memory_purge(struct call *call)
{
    neap_trim();
    reply_status(call->reply, "OK");
}

static void memory_help(struct call *call)
{
    static const char *const lines[] = {
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Say what stands out in the use of memory.",
        "PURGE",
        "    Give idle memory back to the system.",
        "STATS",
        "    Return figures about the use of memory.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return the bytes of the key's objects, <count> elements weighed (default 5, 0: all).",
        "HELP",
        "    Print this help.",
    };
    CALL_HELP(call, lines);
}

void command_memory(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"doctor", 2, memory_doctor}, {"help", 2, memory_help},    {"purge", 2, memory_purge},
        {"stats", 2, memory_stats},   {"usage", -3, memory_usage},
    };
    CALL_SUBCOMMAND(call, subcommands);
}

/* ---- DEBUG ---- */

/* Holds up this client's loop and nobody else's: the wait is a blocking region. */
static void debug_sleep(struct call *call)
{
    long double seconds;
    if (!text_to_real(call->argument[2], &seconds) || seconds < 0 || seconds > 3600) {
        call_not_a_float(call);
        return;
    }
    struct timespec wait = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9L)};
    NEAP_BLOCKING
    {
        while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
            continue;
    }
    reply_status(call->reply, "OK");
}

void command_debug(struct call *call)
{
    static const struct subcommand subcommands[] = {{"sleep", 3, debug_sleep}};
    CALL_SUBCOMMAND(call, subcommands);
}
