/* SPDX-License-Identifier: MIT
 *
 * How long each phase of a collection takes: a stop watch with one lap per phase, each a span of
 * the timeline. Where the world stands still, laps begin and end with the stop, so that spans nest.
 *
 * Implemented by phases.c. Used by collect.c and concurrent.c; a watch belongs to the thread that
 * has made it. */
#ifndef NP_COLLECTOR_PHASES_H
#define NP_COLLECTOR_PHASES_H

#include <stdint.h>

#include "neap/gc.h"

struct np_phases {
    uint64_t lap_ns; /* when the phase at hand began */
    uint64_t ns[NEAP_GC_PHASES];
};

/* The watch starts at zero. */
void np_phases_begin(struct np_phases *phases);
/* What has passed since the last lap belongs to this phase. */
void np_phases_lap(struct np_phases *phases, enum neap_gc_phase phase);
/* The same, until `end_ns`: what has passed since then belongs to the next lap. */
void np_phases_lap_until(struct np_phases *phases, enum neap_gc_phase phase, uint64_t end_ns);
/* What has passed since the last lap belongs to nobody. */
void np_phases_skip(struct np_phases *phases);

#endif
