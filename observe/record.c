/* SPDX-License-Identifier: MIT
 *
 * Files are FOLDER/PROGRAM.PID.profile.pb.gz, .timeline.json and .heapsnapshot, where the folder is
 * the environment variable NEAP_RECORD, or the current one. A program that ends without
 * neap_shutdown writes them in exit, if the thread that calls it is attached. The child of a fork
 * records nothing: its files would be the parent's. */
#include "observe/record.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/options.h"
#include "base/tls.h"
#include "neap/profile.h"
#include "neap/status.h"
#include "neap/trace.h"
#include "runtime/usage.h"

enum { FRAMES = 8 };

/* Written by the first neap_init, read by the last neap_shutdown or exit, which come after it. */
static struct {
    pid_t process; /* 0: nothing is recorded */
    bool at_exit;  /* the handler is installed */
    char prefix[PATH_MAX];
} record;

static void complain(const char *what, int status)
{
    fprintf(stderr, "neap: record: %s%s: %s\n", record.prefix, what, neap_strerror(status));
}

/* Calls write with the name of a file. */
static void write_file(const char *what, int (*write)(const char *path))
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s%s", record.prefix, what);
    int status = write(path);
    if (status != NEAP_OK)
        complain(what, status);
}

static void end_in_exit(void)
{
    if (np_usage_alive() && np_tls.attached > 0 && np_tls.id != NEAP_OWNER_NOBODY &&
        np_tls.dying == 0)
        np_record_end();
}

void np_record_begin(void)
{
    if (np_options.record == 0)
        return;
    int saved = errno;
    const char *folder = secure_getenv("NEAP_RECORD");
    snprintf(record.prefix, sizeof record.prefix, "%.*s/%s.%d", PATH_MAX - 300,
             folder != NULL && *folder != '\0' ? folder : ".", program_invocation_short_name,
             (int)getpid());
    record.process = getpid();
    int status = neap_trace_start(FRAMES, (size_t)np_options.record_bytes);
    if (status != NEAP_OK)
        complain(".profile.pb.gz", status);
    write_file(".timeline.json", neap_timeline_start);
    if (!record.at_exit)
        record.at_exit = atexit(end_in_exit) == 0;
    errno = saved;
}

void np_record_end(void)
{
    if (record.process == 0 || record.process != getpid())
        return;
    int saved = errno;
    record.process = 0;
    write_file(".profile.pb.gz", neap_pprof_write_allocs);
    write_file(".heapsnapshot", neap_heap_snapshot_write);
    int status = neap_timeline_stop();
    if (status != NEAP_OK)
        complain(".timeline.json", status);
    errno = saved;
}
