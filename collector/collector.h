/* SPDX-License-Identifier: MIT
 *
 * The collector's face to runtime/boot.c; its public face is <neap/gc.h>.
 *
 * Implemented by collect.c. */
#ifndef NP_COLLECTOR_COLLECTOR_H
#define NP_COLLECTOR_COLLECTOR_H

#include <stdint.h>

#include "base/tls.h"
#include "neap/gc.h"

int np_collector_init(void); /* 0, or -1 out of memory */
void np_collector_fini(void);
/* The last neap_shutdown begins, user code may run: drops the garbage list. */
void np_collector_end(void);
/* A heap's credit ran out (see np_heap.debt): adds it to the process's count of young objects,
 * collects when a threshold is passed, and gives the heap new credit. No user code; what needs it
 * becomes pending. */
void np_collector_serve_debt(struct np_heap *heap);
/* Out of memory, mostly: an old collection that frees what needs no user code. At a stop point. */
void np_collector_reclaim(enum neap_gc_cause cause);
/* fork: no collection is under way between the first and the last; the second with the world
 * stopped. */
void np_collector_before_fork(void);
void np_collector_before_fork_stopped(void);
void np_collector_after_fork(void);
/* In the child: the crew is gone, and the thread of concurrent collections. */
void np_collector_forked(void);
/* A shutdown begins: no thread of the collector's from here on; and, if it was not the last, again
 * when one is wanted. Forbidden until the first np_collector_allow. */
void np_collector_forbid(void);
void np_collector_allow(void);
/* A thread's heap is new. */
void np_collector_adopt_heap(struct np_heap *heap);

#endif
