/* SPDX-License-Identifier: MIT
 *
 * The collector's lock: one collection, walk or freeze at a time.
 *
 * Implemented by collect.c. Used by inspect.c, retained.c and freeze.c. */
#ifndef NP_COLLECTOR_COLLECT_H
#define NP_COLLECTOR_COLLECT_H

#include <stdbool.h>

/* At a quiescent point, parked while somebody else has it. Panics, naming the call, where the
 * caller is inside a walk or runs user code of a collection: `call` is the public function. */
void np_collect_lock(const char *call);
/* False: somebody has it, maybe the caller. */
bool np_collect_trylock(void);
void np_collect_unlock(void);

#endif
