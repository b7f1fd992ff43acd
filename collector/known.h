/* SPDX-License-Identifier: MIT
 *
 * Known live: immortal objects, as counting has met them. They never die, so the list only grows;
 * what is reachable from them, by their slots as they are at each old collection, needs no counting
 * (trace.h).
 *
 * Implemented by known.c. While the world is stopped; additions by several workers at once. */
#ifndef NP_COLLECTOR_KNOWN_H
#define NP_COLLECTOR_KNOWN_H

#include <stddef.h>

#include "runtime/header.h"

int np_known_init(void); /* 0, or -1 out of address space */
void np_known_fini(void);

/* The object is immortal and not on the list. Without room it is counted like any other each time.
 */
void np_known_add(struct neap_header *header);

size_t np_known_count(void);
struct neap_header *np_known_at(size_t index);

#endif
