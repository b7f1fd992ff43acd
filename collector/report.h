/* SPDX-License-Identifier: MIT
 *
 * What collections did, by generation: counters and stop times.
 *
 * Implemented by report.c. Any thread; one internal lock, held for a few stores. */
#ifndef NP_COLLECTOR_REPORT_H
#define NP_COLLECTOR_REPORT_H

#include <stdint.h>

#include "neap/gc.h"

void np_report_init(void);
void np_report_collection(const struct neap_gc_event *event);
/* To the timeline: a collection that ends now. */
void np_report_span(const struct neap_gc_event *event, uint64_t start_ns);
/* Times of phases that have run, by enum neap_gc_phase. */
void np_report_phases(int generation, const uint64_t *phase_ns);
void np_report_stop(int generation, uint64_t stopped_ns);
/* Objects of an earlier collection that a finalizer has brought back: they were not collected. */
void np_report_revived(int generation, uint64_t count);
void np_report_read(int generation, struct neap_gc_stats *ret_stats);

/* Around a fork. */
void np_report_lock(void);
void np_report_unlock(void);

#endif
