/* SPDX-License-Identifier: MIT
 *
 * neap: files about a running program, each for a viewer that exists.
 *
 *     neap_heap_snapshot_write("heap.heapsnapshot");    Chrome DevTools (Memory), memlab
 *     neap_trace_start(1, 512 << 10);
 *     serve();
 *     neap_pprof_write("profile.pb.gz");                go tool pprof, Parca, Pyroscope
 *     neap_collapsed_write("profile.txt");              speedscope, flame graphs
 *
 * Not for telling what is alive from inside the program: <neap/gc.h> has walkers, <neap/trace.h>
 * statistics. No file says what objects contain. A file is there in full or not at all: until it is
 * complete, and if it cannot be completed, what had the name before stays (a timeline's grows under
 * its name, and is removed then).
 */
#ifndef NEAP_PROFILE_H
#define NEAP_PROFILE_H

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every object with its type, size, slots and, while tracing is on, place; what is held from
 * outside. The world is stopped only while the references are copied. NEAP_OK, NEAP_ENOMEM or
 * NEAP_EIO; a file that could not be finished is removed.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_heap_snapshot_write(const char *path);

/* The traced memory in pprof's format: alloc_objects, alloc_space, inuse_objects, inuse_space, with
 * labels type, thread and bytes. NEAP_ESTATE while tracing is off, NEAP_ENOMEM or NEAP_EIO.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_pprof_write(const char *path);

/* The same, but viewers show alloc_space first: what was allocated rather than what is alive.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_pprof_write_allocs(const char *path);

/* The traced memory alive as collapsed stacks: a line "outermost;...;innermost;type BYTES" each.
 * Fails as neap_pprof_write.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_collapsed_write(const char *path);

/* The same for heaptrack_print and heaptrack_gui: allocations, temporary ones and what is alive (as
 * "leaked") by place; when each was made and freed is not known. Fails as neap_pprof_write.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_heaptrack_write(const char *path);

/* Spans of collections, stops, times to safepoint and blocking regions of every thread, as Chrome
 * trace events, for Perfetto, chrome://tracing or the Firefox Profiler. Written as the program
 * runs, outside pauses. NEAP_ESTATE while one is being written already, NEAP_EIO, NEAP_ENOMEM.
 * refs: none | user code: no | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_timeline_start(const char *path);

/* Ends the file. NEAP_ESTATE when there is none, NEAP_EIO when it could not be written in full.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_timeline_stop(void);

#ifdef __cplusplus
}
#endif

#endif
