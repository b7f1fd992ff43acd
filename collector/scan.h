/* SPDX-License-Identifier: MIT
 *
 * Tracing in the order of memory. What is reached is marked grey in its side word and visited when
 * a pass over the words comes by: objects are read in the order in which they lie, and only the
 * words of their targets are touched out of order. A pass goes up or down; what it leaves grey
 * behind it is for the next one.
 *
 *   pass over the words, by all workers ----> nothing grey left: done
 *     ^        | two passes in a row, up and down, found little
 *     |        v
 *     +---- spread: breadth first from the grey, until they are many again
 *              | they stay few: a long chain out of order
 *              v
 *           the rest is for trace.c, which goes depth first
 *
 * Each worker passes over a stretch of its own. A mark is a plain store: two workers that mark the
 * same object at once both count it and it may be visited twice, which changes nothing.
 *
 * Concurrency: stopped world, every pool covered (np_side.whole). Workers are the crew's.
 *
 * Implemented by scan.c. Used by trace.c. */
#ifndef NP_COLLECTOR_SCAN_H
#define NP_COLLECTOR_SCAN_H

#include <stddef.h>

#include "runtime/header.h"

int np_scan_init(void); /* 0, or -1 out of address space */
void np_scan_fini(void);

/* Marks members that are held from outside and what is reachable from them. Returns how many are
 * marked and not visited: np_scan_left(0), np_scan_left(1) ... */
size_t np_scan_members_stopped(unsigned workers);
/* Before counting: marks the objects known to live and what is reachable from them, members or not.
 * Each goes up one generation. */
size_t np_scan_known_stopped(unsigned workers);

struct neap_header *np_scan_left(size_t index);

#endif
