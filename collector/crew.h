/* SPDX-License-Identifier: MIT
 *
 * The crew: threads that do one piece of work together, while the world is stopped or between two
 * stop points of the collecting thread. That thread is worker 0; the others are threads of the
 * library, made when they are first wanted, attached to nothing, with all signals blocked. They
 * touch side words, headers, bodies and free bits of objects; they allocate nothing, take no lock
 * but their own, and run no code of the program but a type's visit, that only in a stop.
 *
 * Concurrency: one crew, used under collect.c's lock. np_crew_run begins and ends with an order:
 * workers see what the caller wrote before, the caller sees what they wrote. So does each
 * np_crew_barrier.
 *
 * Implemented by crew.c. Used by count.c, scan.c, trace.c and sweep.c.
 */
#ifndef NP_COLLECTOR_CREW_H
#define NP_COLLECTOR_CREW_H

#include "neap/gc.h"

enum { NP_CREW_MOST = 8 };

/* Workers that can be had, a power of two of at most option collector_threads: makes the threads
 * that are missing. Not while the world is stopped. */
unsigned np_crew_gather(void);
/* As gathered last. */
unsigned np_crew_size(void);

/* Runs work(index, arg) on workers 0 .. workers - 1, the caller being worker 0, and returns when
 * all have returned. workers is at most np_crew_size(). The timeline shows it as part of `phase`.
 */
void np_crew_run(enum neap_gc_phase phase, unsigned workers,
                 void (*work)(unsigned index, void *arg), void *arg);

/* Inside work: waits for all workers of the run. */
void np_crew_barrier(void);

void np_crew_fini(void);   /* ends the threads */
void np_crew_forked(void); /* in a forked child: there are no threads any more */

#endif
