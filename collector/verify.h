/* SPDX-License-Identifier: MIT
 *
 * The verifier: a second collector, slow and simple, that shares nothing with the fast one but the
 * visit of an object's slots. Paranoid builds run it beside every collection and compare the
 * verdicts.
 *
 * It walks the whole heap whatever the generation, so it also proves that the young and middle
 * lists are complete. It keeps addresses in a sorted table and finds the target of a reference by
 * bisection.
 *
 * Implemented by verify.c. Used by collect.c, while the world is stopped.
 */
#ifndef NP_COLLECTOR_VERIFY_H
#define NP_COLLECTOR_VERIFY_H

#include <stddef.h>

#include "runtime/header.h"

/* Before counting: computes what this collection should find. Without memory it does nothing. */
void np_verify_begin_stopped(int generation);
/* After tracing: panics where the side words say otherwise, naming the object's type. */
void np_verify_end_stopped(void);

/* Panics where one of these is reachable; `who` says that it is garbage. */
void np_verify_garbage_stopped(struct neap_header *const *garbage, size_t count, const char *who);

/* The world runs, and the caller has the collector's lock: stops it and panics where one of these
 * is reachable (confined.h). */
void np_verify_candidates(struct neap_header *const *candidates, size_t count);

#endif
