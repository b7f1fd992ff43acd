/* SPDX-License-Identifier: MIT
 *
 * tidepool: INFO, and the report at the end: what the server did and holds.
 *
 * Concurrency: sums of counters that other threads go on writing; each is a moment. */
#ifndef TIDEPOOL_INFO_H
#define TIDEPOOL_INFO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <neap/neap.h>

#include "reply.h"
#include "text.h"
#include "weigh.h"

/* Writes the sections named, or all when count is 0, as lines "name:value". */
void info_write(struct reply *text, const struct slice *section, size_t count);

/* The process's resident memory, now and at its peak, in bytes; 0 where the system does not say. */
struct info_memory {
    uint64_t resident, peak;
};
struct info_memory info_memory(void);

/* What the server held at a moment of its end. */
struct info_alive {
    uint64_t objects, object_bytes, untyped_bytes;
};
struct info_alive info_alive(void);

/* Sum over the loops of one command's counter. */
uint64_t info_calls(size_t command);
uint64_t info_errors(size_t command);

/* The final report as one JSON object, a member per line; leaked is neap_shutdown's answer. The
 * facts are gathered by info_report_gather while neap still runs. */
struct info_report {
    struct info_alive full, dropped; /* before the keyspace was dropped, and after */
    uint64_t keys;
    struct info_memory memory;
    struct neap_gc_stats gc[3];
    struct weight types[WEIGH_TYPES]; /* only where a report is to be written */
    double seconds;
};
void info_report_gather(struct info_report *report);
int info_report_write(const struct info_report *report, uint64_t leaked, FILE *out);

#endif
