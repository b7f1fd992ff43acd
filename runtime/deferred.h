/* SPDX-License-Identifier: MIT
 *
 * Deferred counts: for objects that every thread retains and releases. Each thread counts in a cell
 * of its own; the sum, taken while the world is stopped, decides.
 *
 *   merged --neap_defer--> deferred --stop finds the sum 0--> dying
 *                          deferred --neap_undefer, next stop--> merged
 *
 * A deferred object's header has owner = deferred and local = index; `shared` goes on counting for
 * calls that were on their way when it was deferred, raised by a bias so that none of them finds it
 * 0. A deferred object dies in a stop only, and no slot operation spans a stop: so a thread that
 * reads `deferred` in a header may count in its cell at once, and an index may be reused after the
 * stop in which its object died.
 *
 * Implemented by deferred.c. */
#ifndef NP_RUNTIME_DEFERRED_H
#define NP_RUNTIME_DEFERRED_H

#include "runtime/local.h"

/* Adds delta to the calling thread's count of a deferred object. */
void np_deferred_add(struct neap_header *header, int64_t delta);

/* World stopped: sums every cell; objects with sum 0 die quietly, undeferred ones are counted
 * ordinarily again. */
void np_deferred_fold_stopped(void);

/* The slot's thread leaves: its cells go into the common sums. */
void np_deferred_fold_local(struct np_local *local);

/* The sum as far as it can be seen without stopping anybody. */
int64_t np_deferred_sum(const struct neap_header *header);

/* A deferred object becomes immortal: its sum is out of reach, so that it sticks if it is
 * undeferred. */
void np_deferred_immortalize(struct neap_header *header);

bool np_deferred_is_immortal(const struct neap_header *header);

void np_deferred_fini(void);

#endif
