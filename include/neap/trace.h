/* SPDX-License-Identifier: MIT
 *
 * neap: where memory was allocated (Python's tracemalloc). Every object and untyped block made
 * while tracing is on, or a sample of them, is remembered with the place in the source that made
 * it.
 *
 *     neap_trace_start(1, 0);
 *     struct neap_snapshot *before = neap_trace_snapshot();
 *     run_the_suspect();
 *     struct neap_snapshot *after = neap_trace_snapshot();
 *     struct neap_trace_stats *stats;
 *     if (neap_snapshot_compare(after, before, NEAP_TRACE_BY_LINE, &stats) == NEAP_OK)
 *         neap_trace_stats_print(stats, 10, stderr);
 *
 * The place is the file and line of neap_new, neap_alloc and their like. Code that calls the
 * functions behind those macros is named by its address. Not for finding out how long something
 * takes: tracing everything makes allocation slower; with sample_bytes of 512 KiB it costs nothing
 * that can be measured, and figures are estimates.
 */
#ifndef NEAP_TRACE_H
#define NEAP_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts tracing: frames (1 to 64) is the length of the tracebacks, the place itself included;
 * sample_bytes the mean distance between two samples, in bytes allocated, 0: every allocation.
 * NEAP_EINVAL for another number of frames, NEAP_ESTATE when it is on already, NEAP_ENOMEM.
 * refs: none | user code: no | point: stop | threads: attached | fails: status */
NEAP_PUBLIC int neap_trace_start(unsigned frames, size_t sample_bytes);

/* Stops tracing and forgets what was traced; snapshots stay.
 * refs: none | user code: no | point: stop | threads: attached | fails: no */
NEAP_PUBLIC void neap_trace_stop(void);

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC bool neap_trace_is_on(void);

/* Bytes of traced blocks alive (headers included), and the most there have been since the start or
 * the last reset. The peak is exact with one thread; each further one may add 64 KiB of error.
 * Either may be NULL.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_trace_memory(size_t *ret_current, size_t *ret_peak);

/* The peak is what is alive now.
 * refs: none | user code: no | point: stop | threads: attached | fails: no */
NEAP_PUBLIC void neap_trace_reset_peak(void);

/* Where a traced object was made; false if that is not known. Either may be NULL; the file's name
 * lives as long as the process.
 * refs: none | user code: no | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_trace_site_of(const void *object, const char **ret_file, unsigned *ret_line);

/* What is alive now and has been allocated since the start, by place; malloc'ed. NULL while off.
 * refs: none | user code: no | point: stop | threads: attached | fails: NULL */
NEAP_PUBLIC struct neap_snapshot *neap_trace_snapshot(void);

/* NULL is fine.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_snapshot_free(struct neap_snapshot *snapshot);

enum neap_trace_group {
    NEAP_TRACE_BY_LINE,      /* "file:line (function)" */
    NEAP_TRACE_BY_FILE,      /* "file" */
    NEAP_TRACE_BY_TRACEBACK, /* the place and its callers, innermost first, one per line */
    NEAP_TRACE_BY_TYPE       /* the type's name; "untyped" for neap_alloc and its like */
};

struct neap_trace_stat {
    const char *where;                 /* by what was asked for */
    uint64_t bytes, objects;           /* alive */
    uint64_t made_bytes, made_objects; /* since tracing started */
    int64_t bytes_more, objects_more;  /* alive, against the older snapshot; else 0 */
};

struct neap_trace_stats {
    size_t count;
    const struct neap_trace_stat *rows;
};

/* Statistics of a snapshot, most bytes alive first. NEAP_OK or NEAP_ENOMEM.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_snapshot_statistics(const struct neap_snapshot *snapshot,
                                         enum neap_trace_group group,
                                         struct neap_trace_stats **ret_stats);

/* The same for what has changed since an older snapshot, largest change of bytes first.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_snapshot_compare(const struct neap_snapshot *snapshot,
                                      const struct neap_snapshot *older,
                                      enum neap_trace_group group,
                                      struct neap_trace_stats **ret_stats);

/* NULL is fine.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_trace_stats_free(struct neap_trace_stats *stats);

/* The first most rows (0: all) as a table. NEAP_OK or NEAP_EIO.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_trace_stats_print(const struct neap_trace_stats *stats, size_t most,
                                       FILE *out);

struct neap_trace_filter {
    bool exclude;     /* what matches is left out; else what does not match is */
    const char *file; /* a pattern as the shell's, against the place's file name; NULL: any */
    unsigned line;    /* 0: any */
    const char *type; /* a pattern against the type's name; NULL: any */
};

/* A new snapshot of what passes every filter.
 * refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC struct neap_snapshot *neap_snapshot_filter(const struct neap_snapshot *snapshot,
                                                       const struct neap_trace_filter *filters,
                                                       size_t count);

#ifdef __cplusplus
}
#endif

#endif
