/* SPDX-License-Identifier: MIT
 *
 * The tracer: what is done when an allocation's turn has come (alloc/trace.h), and its figures.
 *
 * Each thread counts in a shard of its own by plain stores, allocations and frees apart, so that a
 * block may be freed by another thread than the one that made it; a figure is the sum over the
 * shards. Which trace a block belongs to stands in a table beside the region of small blocks, or in
 * the prefix of a large one, with the epoch of the tracing that wrote it: what an earlier one left
 * is not believed. Threads without a heap share one shard under a lock.
 *
 * Starting and stopping stop the world: no attached thread is inside a hook meanwhile.
 *
 * Implemented by tracer.c. */
#ifndef NP_OBSERVE_TRACER_H
#define NP_OBSERVE_TRACER_H

#include "alloc/trace.h"
#include "observe/trace_table.h"

extern const struct np_trace_hooks np_tracer_hooks;

/* Sums over all threads. */
void np_tracer_counts(uint32_t index, struct np_trace_counts *ret_counts);

/* Nobody starts or stops tracing meanwhile. Parked while waiting. False: tracing is off, and the
 * lock is not held. */
bool np_tracer_lock_if_on(void);
void np_tracer_lock(void);
void np_tracer_unlock(void);

uint64_t np_tracer_period(void); /* bytes between samples, 0: every allocation; needs the lock */
uint64_t np_tracer_started_ns(void); /* CLOCK_REALTIME; needs the lock */

/* The trace of an object or block (an object's header), 0: it has none. */
uint32_t np_tracer_trace_of(const void *block);

/* The runtime ends: tracing is off, and starts afresh with the next one. */
void np_tracer_end(void);

/* fork: the first before the world stops, the second in the stopped world, the third in both. */
void np_tracer_before_fork(void);
void np_tracer_before_fork_stopped(void);
void np_tracer_after_fork(void);

#endif
