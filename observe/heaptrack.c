/* SPDX-License-Identifier: MIT
 *
 * The traced memory as a file of heaptrack's, version 3: what heaptrack_print and heaptrack_gui
 * open. That format is a list of allocations and frees in their order, which the tracer's sums do
 * not have. So for each place, what has been freed is written first, each block freed as soon as it
 * was allocated, then what is alive: allocations, temporary ones, and what is alive at the end (the
 * viewer calls it leaked) are right; the peak it shows is what is alive now.
 *
 * Beyond EVENTS_MOST freed blocks of a place the rest is left out. Blocks of a place that differ in
 * size are written with their average. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc/trace.h"
#include "neap/profile.h"
#include "neap/status.h"
#include "observe/file.h"
#include "observe/snapshot.h"
#include "observe/symbols.h"
#include "observe/writers.h"
#include "runtime/usage.h"

enum { EVENTS_MOST = 1000000, NAME_BYTES = 512 };

/* Strings, frames and traces are numbered from 1 as they are written, sizes from 0. */
struct writer {
    FILE *out;
    struct np_symbols *symbols;
    uint64_t strings, frames, traces, sizes;
};

static uint64_t put_string(struct writer *writer, const char *text)
{
    fprintf(writer->out, "s %zx ", strlen(text));
    for (; *text != '\0'; text++)
        fputc(*text == '\n' ? ' ' : *text, writer->out);
    fputc('\n', writer->out);
    return ++writer->strings;
}

/* A place: with file and line where they are known. */
static uint64_t put_frame(struct writer *writer, const void *address, const char *function,
                          const char *file, unsigned line)
{
    const struct np_module *module = np_symbols_module(writer->symbols, address);
    uint64_t module_name = put_string(writer, module != NULL ? module->path : "neap");
    uint64_t name = put_string(writer, function);
    uint64_t file_name = file != NULL ? put_string(writer, file) : 0;
    fprintf(writer->out, "i %" PRIxPTR " %" PRIx64 " %" PRIx64, (uintptr_t)address, module_name,
            name);
    if (file != NULL)
        fprintf(writer->out, " %" PRIx64 " %x", file_name, line);
    fputc('\n', writer->out);
    return ++writer->frames;
}

static uint64_t put_code(struct writer *writer, const void *address)
{
    char name[NAME_BYTES];
    np_symbols_name(writer->symbols, address, false, name, sizeof name);
    return put_frame(writer, address, name, NULL, 0);
}

static uint64_t put_site(struct writer *writer, const struct np_snapshot_row *row)
{
    char name[NAME_BYTES];
    if (row->site != NULL && np_site_code(row->site) != NULL)
        return put_code(writer, np_site_code(row->site));
    if (row->site == NULL)
        return put_frame(writer, writer, "(other places)", NULL, 0);
    snprintf(name, sizeof name, "%s [%s]", row->site->function, row->type);
    return put_frame(writer, row->site, name, row->site->file, row->site->line);
}

/* Outermost first. */
static uint64_t put_trace(struct writer *writer, const struct np_snapshot_row *row)
{
    uint64_t parent = 0;
    for (uint32_t i = row->frame_count + 1; i-- > 0;) {
        uint64_t frame = i > 0 ? put_code(writer, row->frames[i - 1]) : put_site(writer, row);
        fprintf(writer->out, "t %" PRIx64 " %" PRIx64 "\n", frame, parent);
        parent = ++writer->traces;
    }
    return parent;
}

static void put_events(struct writer *writer, uint64_t trace, uint64_t count, uint64_t bytes,
                       bool are_freed)
{
    if (count == 0)
        return;
    uint64_t each = bytes / count, last = each + bytes % count;
    uint64_t size = writer->sizes;
    fprintf(writer->out, "a %" PRIx64 " %" PRIx64 "\na %" PRIx64 " %" PRIx64 "\n", each, trace,
            last, trace);
    writer->sizes += 2;
    uint64_t most = are_freed && count > EVENTS_MOST ? EVENTS_MOST : count;
    for (uint64_t i = 0; i < most; i++) {
        uint64_t which = i + 1 == count ? size + 1 : size;
        fprintf(writer->out, "+ %" PRIx64 "\n", which);
        if (are_freed)
            fprintf(writer->out, "- %" PRIx64 "\n", which);
    }
}

static uint64_t less(uint64_t all, uint64_t part)
{
    return all > part ? all - part : 0; /* sums of a moment, and scaled */
}

static int write_heaptrack(const struct neap_snapshot *snapshot, struct np_symbols *symbols,
                           FILE *out)
{
    struct writer writer = {.out = out, .symbols = symbols};
    fprintf(out, "v 10400 3\nX %s\nI %lx %lx\nc 0\n", program_invocation_name,
            sysconf(_SC_PAGESIZE), sysconf(_SC_PHYS_PAGES));
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct np_snapshot_row *row = &snapshot->rows[i];
        if (row->made_objects == 0 && row->objects == 0)
            continue;
        uint64_t trace = put_trace(&writer, row);
        put_events(&writer, trace, less(row->made_objects, row->objects),
                   less(row->made_bytes, row->bytes), true);
        put_events(&writer, trace, row->objects, row->bytes, false);
    }
    fprintf(out, "c 1\n");
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}

static int heaptrack_to(FILE *out)
{
    return np_with_trace_snapshot(out, write_heaptrack);
}

int neap_heaptrack_write(const char *path)
{
    np_usage_check("neap_heaptrack_write");
    return np_write_file(path, heaptrack_to);
}
