/* SPDX-License-Identifier: MIT
 *
 * tidepool: the command NEAP: collects, and writes what neap can tell of the running server.
 *
 * A client may name a file that does not exist yet in the folder of --dir, nowhere else. What is
 * written has the names of types and functions, never keys or values. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"

static void neap_gc(struct call *call)
{
    int64_t generation = 2;
    if (call->count >= 3 && !call_integer_within(call, 2, 0, 2, &generation))
        return;
    reply_integer(call->reply, neap_collect((int)generation));
}

static void neap_statistics(struct call *call)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    int status = out == NULL ? NEAP_EIO : neap_stats_write_json(out);
    if (out != NULL)
        fclose(out);
    if (status == NEAP_OK)
        reply_verbatim(call->reply, (struct slice){text, length});
    else
        reply_error(call->reply, "ERR %s", neap_strerror(status));
    free(text);
}

/* Makes the file that the client names, by write. False after an error reply; then there is no
 * file. conflict: what NEAP_ESTATE means. */
static bool write_new_file(struct call *call, int (*write)(const char *path), const char *conflict)
{
    char path[PATH_MAX];
    struct slice name = call->argument[2];
    if (server.settings.folder == NULL) {
        reply_error(call->reply, "ERR the server has no folder for files: see --dir");
        return false;
    }
    if (name.length == 0 || name.length > NAME_MAX ||
        memchr(name.bytes, '\0', name.length) != NULL ||
        memchr(name.bytes, '/', name.length) != NULL) {
        reply_error(call->reply, "ERR no name of a file");
        return false;
    }
    int length = snprintf(path, sizeof path, "%s/%.*s", server.settings.folder, (int)name.length,
                          name.bytes);
    if (length < 0 || (size_t)length >= sizeof path) {
        reply_error(call->reply, "ERR cannot make the file: %s", strerror(ENAMETOOLONG));
        return false;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        reply_error(call->reply, "ERR cannot make the file: %s", strerror(errno));
        return false;
    }
    close(fd);
    int status = write(path);
    if (status == NEAP_OK)
        return true;
    unlink(path);
    reply_error(call->reply, "ERR %s", status == NEAP_ESTATE ? conflict : neap_strerror(status));
    return false;
}

static void neap_snapshot(struct call *call)
{
    if (write_new_file(call, neap_heap_snapshot_write, "not now"))
        reply_status(call->reply, "OK");
}

static void neap_pprof(struct call *call)
{
    if (write_new_file(call, neap_pprof_write, "tracing is off: see --trace"))
        reply_status(call->reply, "OK");
}

/* With a file's name it begins, without it ends. */
static void neap_timeline(struct call *call)
{
    if (call->count > 3) {
        call_wrong_arity(call, "timeline");
        return;
    }
    if (call->count == 3) {
        if (write_new_file(call, neap_timeline_start, "a timeline is being written already"))
            reply_status(call->reply, "OK");
        return;
    }
    int status = neap_timeline_stop();
    if (status == NEAP_OK)
        reply_status(call->reply, "OK");
    else
        reply_error(call->reply, "ERR %s",
                    status == NEAP_ESTATE ? "no timeline is being written" : neap_strerror(status));
}

static void neap_help(struct call *call)
{
    static const char *const lines[] = {
        "NEAP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GC [<generation>]",
        "    Collect generations 0 to <generation> (2); return how many objects were dead.",
        "PPROF <name>",
        "    Write where memory was allocated to a new file in --dir, for go tool pprof (see "
        "--trace).",
        "SNAPSHOT <name>",
        "    Write a heap snapshot to a new file in --dir, for Chrome DevTools or memlab.",
        "STATS",
        "    Return neap's statistics as JSON.",
        "TIMELINE [<name>]",
        "    Begin to write a timeline to a new file in --dir, for Perfetto; without <name>, end "
        "it.",
        "HELP",
        "    Print this help.",
    };
    CALL_HELP(call, lines);
}

void command_neap(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"gc", -2, neap_gc},           {"help", 2, neap_help},
        {"pprof", 3, neap_pprof},      {"snapshot", 3, neap_snapshot},
        {"stats", 2, neap_statistics}, {"timeline", -2, neap_timeline},
    };
    CALL_SUBCOMMAND(call, subcommands);
}
