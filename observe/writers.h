/* SPDX-License-Identifier: MIT
 *
 * The writers of <neap/profile.h> to a stream that is open already: what the monitor serves and a
 * recording leaves behind. Attached callers; statuses as there.
 *
 * Implemented by heapsnapshot.c and pprof.c. */
#ifndef NP_OBSERVE_WRITERS_H
#define NP_OBSERVE_WRITERS_H

#include <stdio.h>

#include "observe/snapshot.h"
#include "observe/symbols.h"

int np_heap_snapshot_to(FILE *out);
int np_pprof_to(FILE *out);
int np_collapsed_to(FILE *out);

/* Has a snapshot of what is traced written, in a blocking region: NEAP_ESTATE while tracing is off,
 * NEAP_ENOMEM, or what write says. */
int np_with_trace_snapshot(FILE *out, int (*write)(const struct neap_snapshot *snapshot,
                                                   struct np_symbols *symbols, FILE *out));

#endif
