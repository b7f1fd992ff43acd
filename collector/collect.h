/* SPDX-License-Identifier: MIT
 *
 * The collector's lock: one collection, walk or freeze at a time; and what becomes of what a stop
 * has found.
 *
 * Implemented by collect.c. Used by inspect.c, retained.c, freeze.c and concurrent.c. */
#ifndef NP_COLLECTOR_COLLECT_H
#define NP_COLLECTOR_COLLECT_H

#include <stdbool.h>

/* At a quiescent point, parked while somebody else has it. Panics, naming the call, where the
 * caller is inside a walk or runs user code of a collection: `call` is the public function. */
void np_collect_lock(const char *call);
/* False: somebody has it, maybe the caller. */
bool np_collect_trylock(void);
void np_collect_unlock(void);

struct np_findings;
struct np_phases;

/* Of an automatic collection, after its stop: the lock is held. Sets that wait for their peek grace
 * period go where others wait. */
void np_collect_wait_locked(struct np_findings *findings);
/* And without the lock: frees what needs no user code and leaves the rest pending. */
void np_collect_carry_out(struct np_findings *findings, struct np_phases *phases);

#endif
