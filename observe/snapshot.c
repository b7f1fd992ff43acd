/* SPDX-License-Identifier: MIT
 *
 * Rows with the same words are added up: sorted by the words, merged, sorted by size. */
#include "observe/snapshot.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "neap/status.h"
#include "observe/symbols.h"
#include "observe/trace_table.h"
#include "observe/tracer.h"
#include "runtime/header.h"
#include "runtime/usage.h"

enum { WORDS_BYTES = 256 };

/* ---- taking ---- */

static struct neap_snapshot *make(size_t rows, size_t frames)
{
    struct neap_snapshot *snapshot = np_fault_calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    snapshot->rows = np_fault_calloc(rows + 1, sizeof *snapshot->rows);
    snapshot->frames = np_fault_calloc(frames + 1, sizeof *snapshot->frames);
    snapshot->names = np_fault_calloc(NP_LABELS_MOST, NP_LABEL_BYTES);
    if (snapshot->rows == NULL || snapshot->frames == NULL || snapshot->names == NULL) {
        neap_snapshot_free(snapshot);
        return NULL;
    }
    return snapshot;
}

void neap_snapshot_free(struct neap_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    free(snapshot->rows);
    free(snapshot->frames);
    free(snapshot->names);
    free(snapshot);
}

static void copy_row(struct neap_snapshot *snapshot, uint32_t index, size_t *frames_used)
{
    const struct np_trace *trace = np_trace_at(index);
    struct np_trace_counts counts;
    np_tracer_counts(index, &counts);
    if (counts.made_objects == 0)
        return;
    struct np_snapshot_row *row = &snapshot->rows[snapshot->count++];
    double weight = trace->weight;
    uint64_t alive = counts.made_objects - counts.freed_objects;
    *row = (struct np_snapshot_row){
        .site = trace->site,
        .frames = snapshot->frames + *frames_used,
        .frame_count = trace->frame_count,
        .type = trace->type_index == 0 ? "untyped" : np_type_at(trace->type_index)->name,
        .thread = snapshot->names + (size_t)trace->label * NP_LABEL_BYTES,
        .block_bytes = trace->block_bytes,
        .bytes = (uint64_t)((double)(counts.made_bytes - counts.freed_bytes) * weight + 0.5),
        .objects = (uint64_t)((double)alive * weight + 0.5),
        .made_bytes = (uint64_t)((double)counts.made_bytes * weight + 0.5),
        .made_objects = (uint64_t)((double)counts.made_objects * weight + 0.5),
    };
    for (uint32_t i = 0; i < trace->frame_count; i++)
        row->frames[i] = trace->frames[i];
    *frames_used += trace->frame_count;
}

struct neap_snapshot *neap_trace_snapshot(void)
{
    np_usage_check("neap_trace_snapshot");
    if (!np_tracer_lock_if_on())
        return NULL;
    uint32_t count = np_trace_count();
    size_t frames = 0;
    for (uint32_t i = 1; i <= count; i++)
        frames += np_trace_at(i)->frame_count;
    struct neap_snapshot *snapshot = make(count, frames);
    if (snapshot != NULL) {
        snapshot->period = np_tracer_period();
        snapshot->started_ns = np_tracer_started_ns();
        for (uint32_t i = 0; i < NP_LABELS_MOST; i++)
            np_label_copy(i, snapshot->names + (size_t)i * NP_LABEL_BYTES);
        size_t used = 0;
        for (uint32_t i = 1; i <= count; i++)
            copy_row(snapshot, i, &used);
    }
    np_tracer_unlock();
    return snapshot;
}

/* ---- filters ---- */

static bool passes(const struct np_snapshot_row *row, const struct neap_trace_filter *filter)
{
    bool coded = row->site == NULL || np_site_code(row->site) != NULL;
    const char *file = coded ? "" : row->site->file;
    bool matches = (filter->file == NULL || fnmatch(filter->file, file, 0) == 0) &&
                   (filter->line == 0 || (!coded && filter->line == row->site->line)) &&
                   (filter->type == NULL || fnmatch(filter->type, row->type, 0) == 0);
    return matches != filter->exclude;
}

struct neap_snapshot *neap_snapshot_filter(const struct neap_snapshot *snapshot,
                                           const struct neap_trace_filter *filters, size_t count)
{
    size_t frames = 0;
    for (size_t i = 0; i < snapshot->count; i++)
        frames += snapshot->rows[i].frame_count;
    struct neap_snapshot *result = make(snapshot->count, frames);
    if (result == NULL)
        return NULL;
    result->period = snapshot->period;
    result->started_ns = snapshot->started_ns;
    memcpy(result->names, snapshot->names, (size_t)NP_LABELS_MOST * NP_LABEL_BYTES);
    frames = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        bool wanted = true;
        for (size_t k = 0; k < count; k++)
            wanted = wanted && passes(&snapshot->rows[i], &filters[k]);
        if (!wanted)
            continue;
        struct np_snapshot_row *row = &result->rows[result->count++];
        *row = snapshot->rows[i];
        row->thread = result->names + (row->thread - snapshot->names);
        row->frames = result->frames + frames;
        if (row->frame_count > 0)
            memcpy(row->frames, snapshot->rows[i].frames, row->frame_count * sizeof *row->frames);
        frames += row->frame_count;
    }
    return result;
}

/* ---- statistics ---- */

struct stats {
    struct neap_trace_stats face; /* first */
    struct neap_trace_stat *rows;
};

static int print_site(struct np_symbols *symbols, const struct neap_site *site, char *out,
                      size_t bytes)
{
    char name[WORDS_BYTES];
    if (site == NULL)
        return snprintf(out, bytes, "(other places)");
    if (np_site_code(site) == NULL)
        return snprintf(out, bytes, "%s:%u (%s)", site->file, site->line, site->function);
    np_symbols_name(symbols, np_site_code(site), true, name, sizeof name);
    return snprintf(out, bytes, "%s", name);
}

/* The words a row is grouped by, on the heap; NULL out of memory. */
static char *words_of(struct np_symbols *symbols, const struct np_snapshot_row *row,
                      enum neap_trace_group group)
{
    size_t bytes = WORDS_BYTES * (group == NEAP_TRACE_BY_TRACEBACK ? row->frame_count + 2u : 2u);
    char *words = np_fault_malloc(bytes);
    if (words == NULL)
        return NULL;
    bool coded = row->site == NULL || np_site_code(row->site) != NULL;
    if (group == NEAP_TRACE_BY_TYPE) {
        snprintf(words, bytes, "%s", row->type);
    } else if (group == NEAP_TRACE_BY_FILE && !coded) {
        snprintf(words, bytes, "%s", row->site->file);
    } else {
        print_site(symbols, row->site, words, bytes);
        for (uint32_t i = 0; group == NEAP_TRACE_BY_TRACEBACK && i < row->frame_count; i++) {
            char name[WORDS_BYTES - 2];
            np_symbols_name(symbols, row->frames[i], true, name, sizeof name);
            size_t length = strlen(words);
            snprintf(words + length, bytes - length, "\n%s", name);
        }
    }
    return words;
}

static int by_words(const void *a, const void *b)
{
    return strcmp(((const struct neap_trace_stat *)a)->where,
                  ((const struct neap_trace_stat *)b)->where);
}

static int by_bytes(const void *a, const void *b)
{
    const struct neap_trace_stat *left = a, *right = b;
    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? 1 : -1;
    return by_words(a, b);
}

static int by_change(const void *a, const void *b)
{
    const struct neap_trace_stat *left = a, *right = b;
    uint64_t x = (uint64_t)llabs(left->bytes_more), y = (uint64_t)llabs(right->bytes_more);
    if (x != y)
        return x < y ? 1 : -1;
    return by_bytes(a, b);
}

static bool append(struct stats *stats, struct np_symbols *symbols,
                   const struct neap_snapshot *snapshot, enum neap_trace_group group, bool older)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct np_snapshot_row *row = &snapshot->rows[i];
        struct neap_trace_stat *stat = &stats->rows[stats->face.count];
        char *words = words_of(symbols, row, group);
        if (words == NULL)
            return false;
        stats->face.count++;
        *stat = (struct neap_trace_stat){.where = words};
        if (!older) {
            stat->bytes = row->bytes;
            stat->objects = row->objects;
            stat->made_bytes = row->made_bytes;
            stat->made_objects = row->made_objects;
        }
        stat->bytes_more = older ? -(int64_t)row->bytes : (int64_t)row->bytes;
        stat->objects_more = older ? -(int64_t)row->objects : (int64_t)row->objects;
    }
    return true;
}

static void merge(struct stats *stats)
{
    size_t used = 0;
    for (size_t i = 0; i < stats->face.count; i++) {
        struct neap_trace_stat *row = &stats->rows[i];
        struct neap_trace_stat *into = used > 0 ? &stats->rows[used - 1] : NULL;
        if (into == NULL || strcmp(into->where, row->where) != 0) {
            stats->rows[used++] = *row;
            continue;
        }
        into->bytes += row->bytes;
        into->objects += row->objects;
        into->made_bytes += row->made_bytes;
        into->made_objects += row->made_objects;
        into->bytes_more += row->bytes_more;
        into->objects_more += row->objects_more;
        free((char *)(uintptr_t)row->where);
    }
    stats->face.count = used;
}

static int gather(const struct neap_snapshot *snapshot, const struct neap_snapshot *older,
                  enum neap_trace_group group, struct neap_trace_stats **ret_stats)
{
    size_t most = snapshot->count + (older != NULL ? older->count : 0);
    struct stats *stats = np_fault_calloc(1, sizeof *stats);
    struct np_symbols *symbols = np_symbols_new();
    bool good = stats != NULL && symbols != NULL;
    if (good) {
        stats->rows = np_fault_calloc(most + 1, sizeof *stats->rows);
        stats->face.rows = stats->rows;
        good = stats->rows != NULL && append(stats, symbols, snapshot, group, false) &&
               (older == NULL || append(stats, symbols, older, group, true));
    }
    np_symbols_free(symbols);
    if (!good) {
        neap_trace_stats_free(stats != NULL ? &stats->face : NULL);
        return NEAP_ENOMEM;
    }
    qsort(stats->rows, stats->face.count, sizeof *stats->rows, by_words);
    merge(stats);
    for (size_t i = 0; older == NULL && i < stats->face.count; i++)
        stats->rows[i].bytes_more = stats->rows[i].objects_more = 0;
    qsort(stats->rows, stats->face.count, sizeof *stats->rows,
          older == NULL ? by_bytes : by_change);
    *ret_stats = &stats->face;
    return NEAP_OK;
}

int neap_snapshot_statistics(const struct neap_snapshot *snapshot, enum neap_trace_group group,
                             struct neap_trace_stats **ret_stats)
{
    return gather(snapshot, NULL, group, ret_stats);
}

int neap_snapshot_compare(const struct neap_snapshot *snapshot, const struct neap_snapshot *older,
                          enum neap_trace_group group, struct neap_trace_stats **ret_stats)
{
    return gather(snapshot, older, group, ret_stats);
}

void neap_trace_stats_free(struct neap_trace_stats *face)
{
    struct stats *stats = (struct stats *)(void *)face;
    if (stats == NULL)
        return;
    for (size_t i = 0; i < stats->face.count; i++)
        free((char *)(uintptr_t)stats->rows[i].where);
    free(stats->rows);
    free(stats);
}

int neap_trace_stats_print(const struct neap_trace_stats *stats, size_t most, FILE *out)
{
    size_t count = most == 0 || most > stats->count ? stats->count : most;
    fprintf(out, "%14s %10s %14s %10s  %s\n", "bytes alive", "objects", "bytes more", "objects",
            "where");
    for (size_t i = 0; i < count; i++) {
        const struct neap_trace_stat *row = &stats->rows[i];
        fprintf(out, "%14" PRIu64 " %10" PRIu64 " %+14" PRId64 " %+10" PRId64 "  ", row->bytes,
                row->objects, row->bytes_more, row->objects_more);
        for (const char *c = row->where; *c != '\0'; c++)
            if (*c == '\n')
                fprintf(out, "\n%54s", "");
            else
                fputc(*c, out);
        fputc('\n', out);
    }
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}
