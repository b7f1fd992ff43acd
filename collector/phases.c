/* SPDX-License-Identifier: MIT
 *
 * A clock reading per lap: some 25 ns beside phases of microseconds. */
#include "collector/phases.h"

#include "base/event.h"
#include "base/os.h"

static const char *const names[NEAP_GC_PHASES] = {
    [NEAP_GC_PHASE_HANDSHAKE] = "handshake", [NEAP_GC_PHASE_STOP] = "stop",
    [NEAP_GC_PHASE_GATHER] = "gather",       [NEAP_GC_PHASE_KNOWN] = "known",
    [NEAP_GC_PHASE_COUNT] = "count",         [NEAP_GC_PHASE_TRACE] = "trace",
    [NEAP_GC_PHASE_PART] = "part",           [NEAP_GC_PHASE_PROMOTE] = "promote",
    [NEAP_GC_PHASE_CLEAN] = "clean",         [NEAP_GC_PHASE_SWEEP] = "sweep",
    [NEAP_GC_PHASE_FINALIZE] = "finalize",   [NEAP_GC_PHASE_RECHECK] = "recheck",
    [NEAP_GC_PHASE_DISPOSE] = "dispose"};

const char *neap_gc_phase_name(enum neap_gc_phase phase)
{
    return (unsigned)phase < NEAP_GC_PHASES ? names[phase] : NULL;
}

void np_phases_begin(struct np_phases *phases)
{
    *phases = (struct np_phases){.lap_ns = np_os_now_ns()};
}

void np_phases_lap(struct np_phases *phases, enum neap_gc_phase phase)
{
    np_phases_lap_until(phases, phase, np_os_now_ns());
}

void np_phases_lap_until(struct np_phases *phases, enum neap_gc_phase phase, uint64_t end_ns)
{
    np_event_tell(NP_EVENT_PHASE, phases->lap_ns, end_ns, phase, 0);
    phases->ns[phase] += end_ns - phases->lap_ns;
    phases->lap_ns = end_ns;
}

void np_phases_skip(struct np_phases *phases)
{
    phases->lap_ns = np_os_now_ns();
}
