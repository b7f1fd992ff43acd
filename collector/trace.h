/* SPDX-License-Identifier: MIT
 *
 * Tracing: marks what is reachable, inside the set of members, from the members that are held from
 * outside. The rest of the set is garbage.
 *
 * Marked members whose children have not been looked at yet wait on a stack in memory that is
 * reserved at init. When the stack is full they are not pushed: they are found again by their
 * MARKED bits in a second pass over the side words. Looking at an object twice changes nothing.
 *
 * Implemented by trace.c. Used by collect.c and garbage.c while the world is stopped.
 */
#ifndef NP_COLLECTOR_TRACE_H
#define NP_COLLECTOR_TRACE_H

#include "collector/side.h"

int np_trace_init(size_t stack_entries); /* 0, or -1 out of address space */
void np_trace_fini(void);

/* Told of every member once, when it is marked. */
typedef void np_trace_marked(struct neap_header *header, void *arg);

/* Marks the member, unless it is marked, and what is reachable from it. */
void np_trace_from_stopped(struct neap_header *header, np_trace_marked *marked, void *arg);

/* Before counting: marks what is reachable from known.h's objects. Counting passes over it, and it
 * is no member. Old collections only. */
void np_trace_known_stopped(void);

/* members: how many there are. Marks every member of the universe that is held from outside and
 * what is reachable from it. Returns the number of members marked. Panics when a member has more
 * references inside the universe than counts. */
uint64_t np_trace_universe_stopped(uint64_t members);

/* The member's type broke its promise: names it. */
_Noreturn void np_trace_panic_overcount(const struct neap_header *header);

/* Calls function for every member whose state bits are exactly `state`. */
void np_trace_each_stopped(uint32_t state, void (*function)(struct neap_header *header, void *arg),
                           void *arg);

#endif
