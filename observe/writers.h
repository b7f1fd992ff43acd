/* SPDX-License-Identifier: MIT
 *
 * The writers of <neap/profile.h> to a stream that is open already: what the monitor serves and a
 * recording leaves behind. Attached callers; statuses as there.
 *
 * Implemented by heapsnapshot.c and pprof.c. */
#ifndef NP_OBSERVE_WRITERS_H
#define NP_OBSERVE_WRITERS_H

#include <stdio.h>

int np_heap_snapshot_to(FILE *out);
int np_pprof_to(FILE *out);
int np_collapsed_to(FILE *out);

#endif
