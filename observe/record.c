/* SPDX-License-Identifier: MIT
 *
 * What options record and profile leave behind. Files are
 * FOLDER/PROGRAM.PID.profile.pb.gz, .timeline.json and .heapsnapshot, where the folder is
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
#include "neap/line_profile.h"
#include "neap/profile.h"
#include "neap/status.h"
#include "neap/trace.h"
#include "runtime/usage.h"

enum { FRAMES = 8 };

/* Written by the first neap_init, read by the last neap_shutdown or exit, which come after it. */
static struct {
    pid_t process; /* 0: nothing is recorded */
    bool at_exit;  /* the handler is installed */
    bool files, tables;
    char prefix[PATH_MAX];
} record;

static void complain(const char *what, int status)
{
    fprintf(stderr, "neap: record: %s%s: %s\n", record.prefix, what, neap_strerror(status));
}

static void complain_of_profile(int status)
{
    fprintf(stderr, "neap: profile: %s%s\n", neap_strerror(status),
            status == NEAP_ESTATE ? " (not every allocation is traced)" : "");
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

static void begin_files(void)
{
    const char *folder = secure_getenv("NEAP_RECORD");
    snprintf(record.prefix, sizeof record.prefix, "%.*s/%s.%d", PATH_MAX - 300,
             folder != NULL && *folder != '\0' ? folder : ".", program_invocation_short_name,
             (int)getpid());
    uint64_t period = record.tables ? 0 : np_options.record_bytes;
    int status = neap_trace_start(FRAMES, (size_t)period);
    if (status != NEAP_OK)
        complain(".profile.pb.gz", status);
    write_file(".timeline.json", neap_timeline_start);
}

void np_record_begin(void)
{
    record.files = np_options.record != 0;
    record.tables = np_options.profile != 0;
    if (!record.files && !record.tables)
        return;
    int saved = errno;
    record.process = getpid();
    if (record.files) {
        begin_files();
    } else {
        int status = neap_trace_start(1, 0);
        if (status != NEAP_OK)
            complain_of_profile(status);
    }
    if (!record.at_exit)
        record.at_exit = atexit(end_in_exit) == 0;
    errno = saved;
}

static void end_files(void)
{
    write_file(".profile.pb.gz", neap_pprof_write_allocs);
    write_file(".heapsnapshot", neap_heap_snapshot_write);
    int status = neap_timeline_stop();
    if (status != NEAP_OK)
        complain(".timeline.json", status);
}

void np_record_end(void)
{
    if (record.process == 0 || record.process != getpid())
        return;
    int saved = errno;
    record.process = 0;
    int status = record.tables ? neap_profile_print(stderr) : NEAP_OK;
    if (status != NEAP_OK)
        complain_of_profile(status);
    if (record.files)
        end_files();
    errno = saved;
}
