/* SPDX-License-Identifier: MIT
 *
 * tidepool: what the command line chose (see settings.h). Flags are --name value or --name=value.
 */
#include "settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <neap/status.h>

#define THREADS_MOST 256

static const char help[] =
    "Usage: tidepool [flag value]...\n"
    "\n"
    "An in-memory server that speaks the Redis protocol. Its whole keyspace lives on neap.\n"
    "\n"
    "  --port N             TCP port; 0 takes any free one (6379)\n"
    "  --bind ADDRESS       address to listen on (127.0.0.1)\n"
    "  --threads N          event loops, each on a thread of its own (one per core)\n"
    "  --unixsocket PATH    listen on a unix socket too\n"
    "  --requirepass TEXT   the password that clients must give by AUTH\n"
    "  --maxmemory BYTES    data beyond which the least recently used keys are dropped (0: any)\n"
    "  --maxclients N       connections at a time (10000)\n"
    "  --max-request BYTES  one request; larger ones are cut off with an error (1gb)\n"
    "  --max-bulk BYTES     one argument of a request (512mb)\n"
    "  --max-reply BYTES    replies one client may have waiting; then it is cut off (1gb)\n"
    "  --monitor ADDRESS    serve metrics and profiles over HTTP there, e.g. 127.0.0.1:9464\n"
    "  --trace BYTES        remember where one in so many bytes is allocated (512kb; 0: nowhere)\n"
    "  --dir FOLDER         where clients may write by NEAP SNAPSHOT, PPROF, TIMELINE (nowhere)\n"
    "  --stats FILE         write final statistics there, as JSON\n"
    "  --version            print the version\n"
    "  --help               print this\n"
    "\n"
    "BYTES takes the units k, kb, m, mb, g, gb. SIGTERM and SIGINT end the server, which then "
    "drops\n"
    "every key and exits with status 3 if an object is left over, 1 if it could not start, 2 for "
    "a\n"
    "flag that it does not know, 0 otherwise.\n";

enum flag_kind { FLAG_TEXT, FLAG_NUMBER, FLAG_BYTES };

struct flag {
    const char *name;
    enum flag_kind kind;
    void *to; /* const char *, unsigned or uint64_t */
    uint64_t least, most;
};

static bool apply(const struct flag *flag, const char *value)
{
    if (flag->kind == FLAG_TEXT) {
        *(const char **)flag->to = value;
        return true;
    }
    uint64_t number;
    int64_t integer;
    if (flag->kind == FLAG_BYTES) {
        if (!text_to_bytes(text_from(value), &number)) {
            fprintf(stderr, "tidepool: %s takes a number of bytes, not \"%s\"\n", flag->name,
                    value);
            return false;
        }
    } else {
        if (!text_to_integer(text_from(value), &integer) || integer < 0) {
            fprintf(stderr, "tidepool: %s takes a number, not \"%s\"\n", flag->name, value);
            return false;
        }
        number = (uint64_t)integer;
    }
    if (number < flag->least || number > flag->most) {
        fprintf(stderr, "tidepool: %s must be between %llu and %llu\n", flag->name,
                (unsigned long long)flag->least, (unsigned long long)flag->most);
        return false;
    }
    if (flag->kind == FLAG_BYTES)
        *(uint64_t *)flag->to = number;
    else
        *(unsigned *)flag->to = (unsigned)number;
    return true;
}

/* The value of flags[*ret_flag] if the argument is "name=value", "" if it is "name", else NULL. */
static const char *match(const struct flag *flags, size_t count, const char *argument,
                         size_t *ret_flag)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(flags[i].name);
        if (strncmp(argument, flags[i].name, length) != 0)
            continue;
        *ret_flag = i;
        if (argument[length] == '\0')
            return "";
        if (argument[length] == '=')
            return argument + length + 1;
    }
    return NULL;
}

static enum settings_result parse(const struct flag *flags, size_t flag_count, int count,
                                  char **argument)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(argument[i], "--help") == 0) {
            fputs(help, stdout);
            return SETTINGS_DONE;
        }
        if (strcmp(argument[i], "--version") == 0) {
            printf("tidepool %s, on neap %s\n", TIDEPOOL_VERSION, neap_version());
            return SETTINGS_DONE;
        }
        size_t flag;
        const char *value = match(flags, flag_count, argument[i], &flag);
        if (value == NULL) {
            fprintf(stderr, "tidepool: \"%s\" is no flag (see --help)\n", argument[i]);
            return SETTINGS_BAD;
        }
        if (*value == '\0') {
            if (++i == count) {
                fprintf(stderr, "tidepool: %s takes a value (see --help)\n", flags[flag].name);
                return SETTINGS_BAD;
            }
            value = argument[i];
        }
        if (!apply(&flags[flag], value))
            return SETTINGS_BAD;
    }
    return SETTINGS_RUN;
}

enum settings_result settings_parse(struct settings *settings, int count, char **argument)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores < 1 ? 1 : cores > THREADS_MOST ? THREADS_MOST : (unsigned)cores;
    *settings = (struct settings){
        .bind = "127.0.0.1",
        .port = 6379,
        .threads = threads,
        .clients_most = 10000,
        .reply_bytes = (uint64_t)1 << 30,
        .trace_bytes = (uint64_t)512 << 10,
        .limits = RESP_LIMITS_DEFAULT,
    };
    uint64_t request_bytes = settings->limits.request_bytes;
    uint64_t bulk_bytes = settings->limits.bulk_bytes;
    const struct flag flags[] = {
        {"--port", FLAG_NUMBER, &settings->port, 0, 65535},
        {"--bind", FLAG_TEXT, &settings->bind, 0, 0},
        {"--threads", FLAG_NUMBER, &settings->threads, 1, THREADS_MOST},
        {"--maxclients", FLAG_NUMBER, &settings->clients_most, 1, 1000000},
        {"--max-request", FLAG_BYTES, &request_bytes, 1024, (uint64_t)1 << 40},
        {"--max-bulk", FLAG_BYTES, &bulk_bytes, 1024, (uint64_t)1 << 31},
        {"--max-reply", FLAG_BYTES, &settings->reply_bytes, 65536, (uint64_t)1 << 40},
        {"--unixsocket", FLAG_TEXT, &settings->socket_path, 0, 0},
        {"--requirepass", FLAG_TEXT, &settings->password, 0, 0},
        {"--maxmemory", FLAG_BYTES, &settings->memory_bytes, 0, (uint64_t)1 << 46},
        {"--monitor", FLAG_TEXT, &settings->monitor, 0, 0},
        {"--trace", FLAG_BYTES, &settings->trace_bytes, 0, (uint64_t)1 << 40},
        {"--dir", FLAG_TEXT, &settings->folder, 0, 0},
        {"--stats", FLAG_TEXT, &settings->stats_path, 0, 0},
    };
    enum settings_result result = parse(flags, sizeof flags / sizeof flags[0], count, argument);
    settings->limits.request_bytes = request_bytes;
    settings->limits.bulk_bytes = bulk_bytes;
    settings->stranger_limits = settings->limits;
    settings->stranger_limits.stranger = true;
    return result;
}
