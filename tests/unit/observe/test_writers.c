/* SPDX-License-Identifier: MIT
 *
 * Every file about the program, when memory or the disk is full: a status, and nothing left of it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <neap/neap.h>

#include "base/fault.h"
#include "tests/unit/observe/folder.h"

struct node {
    struct node *next, *other;
    char bytes[40];
};
NEAP_DEFINE_TYPE(node, (next, other));

static char path[80];

static int write_timeline(const char *name)
{
    int status = neap_timeline_start(name);
    if (status != NEAP_OK)
        return status;
    neap_collect(2);
    return neap_timeline_stop();
}

static const struct writer {
    const char *name, *begins;
    int (*write)(const char *path);
} writers[] = {
    {"heap snapshot", "{\"snapshot\":", neap_heap_snapshot_write},
    {"pprof", "\x1F\x8B", neap_pprof_write},
    {"pprof of allocations", "\x1F\x8B", neap_pprof_write_allocs},
    {"collapsed stacks", "", neap_collapsed_write},
    {"heaptrack", "v 10400 3\n", neap_heaptrack_write},
    {"timeline", "{\"displayTimeUnit\"", write_timeline},
};

/* Is there a file that begins so, and ends at a line's end? */
static bool is_whole(const struct writer *writer)
{
    char first[32] = "";
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return false;
    size_t length = strlen(writer->begins);
    bool whole = fread(first, 1, sizeof first, in) == sizeof first &&
                 memcmp(first, writer->begins, length) == 0 && fseek(in, -1, SEEK_END) == 0 &&
                 (fgetc(in) == '\n' || writer->begins[0] == '\x1F');
    fclose(in);
    return whole;
}

static void when_memory_is_full(const struct writer *writer)
{
    unsigned nth = 0, refused = 0, wrong = 0;
    uint64_t faults;
    do {
        np_fault_arm(++nth, 0, 0);
        int status = writer->write(path);
        faults = np_fault_count();
        np_fault_disarm();
        refused += status == NEAP_ENOMEM;
        wrong +=
            status == NEAP_OK ? !is_whole(writer) : status != NEAP_ENOMEM || count_files() != 0;
        unlink(path);
    } while (faults > 0 && nth < 5000);
    ok(wrong == 0 && refused > 0 && faults == 0,
       "%s: %u allocations, of which %u are needed: all or nothing", writer->name, nth - 1,
       refused);
}

static void when_the_disk_is_full(const struct writer *writer)
{
    struct stat status;
    char below[120];
    snprintf(below, sizeof below, "%s/no/such/folder", folder);
    is_int(writer->write(below), NEAP_EIO, "%s: no such folder", writer->name);
    is_int(writer->write(folder), NEAP_EIO, "%s: the name of a folder", writer->name);
    if (access("/dev/full", W_OK) != 0) {
        skip(1, "no /dev/full");
        return;
    }
    ok(writer->write("/dev/full") == NEAP_EIO && stat("/dev/full", &status) == 0 &&
           S_ISCHR(status.st_mode),
       "%s: a full device", writer->name);
}

static void streams(void)
{
    FILE *full = fopen("/dev/full", "we");
    if (full == NULL) {
        skip(3, "no /dev/full");
        return;
    }
    is_int(neap_metrics_write(full), NEAP_EIO, "metrics to a full device");
    clearerr(full);
    is_int(neap_metrics_write_prometheus(full), NEAP_EIO, "the older text");
    clearerr(full);
    is_int(neap_stats_write_json(full), NEAP_EIO, "statistics");
    fclose(full);
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    options.collector_threads = 1;
    folder_make();
    if (neap_init(&options) != NEAP_OK || neap_trace_start(4, 0) != NEAP_OK)
        bail("the beginning");
    snprintf(path, sizeof path, "%s/file", folder);
    struct node *first = neap_new(node), *array = neap_new_array(node, 1000);
    void *block = neap_alloc(100000);
    if (first == NULL || array == NULL || block == NULL)
        bail("memory");
    neap_set(&first->next, array);
    neap_set(&first->other, first);
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        when_memory_is_full(&writers[i]);
        when_the_disk_is_full(&writers[i]);
    }
    streams();
    is_int(count_files(), 0, "nothing is left");
    is_int(rmdir(folder), 0, "and the folder goes");
    neap_free(block);
    neap_release(array);
    neap_release(first);
    is_int(neap_shutdown(NULL), 0, "nothing is alive");
    return done();
}
