/* SPDX-License-Identifier: MIT
 *
 * neap: line by line, how much memory a function takes and gives back (Python's memory_profiler).
 *
 *     static void load(int count)
 *     {
 *         NEAP_PROFILE;
 *         struct route *best = pick(count);    what pick makes is told of this line
 *         neap_release(best);                  and what dies here of this one
 *     }
 *
 * NEAP_OPTIONS=profile=1 ./program prints a table for each marked function that ran:
 *
 * Line #    Mem usage    Increment  Occurrences   Line Contents
 * =============================================================
 *  3        0.004 MiB    0.004 MiB            1       NEAP_PROFILE;
 *  4        3.819 MiB    3.815 MiB            1       struct route *best = pick(count);
 *  5        0.004 MiB   -3.815 MiB            1       neap_release(best);
 *
 * Lines are found in debug information: build with -g, and with -O0 or -Og so that what a line
 * calls is not inlined into it. Not for programs at work: every block that a marked function makes
 * or frees costs an unwinding. Off, a mark costs a call at each end of the function.
 */
#ifndef NEAP_LINE_PROFILE_H
#define NEAP_LINE_PROFILE_H

#include <stdint.h>
#include <stdio.h>

#include <neap/export.h>
#include <neap/site.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Machinery of NEAP_PROFILE: a marked function under way. */
struct neap_profiled_ {
    const struct neap_site *site; /* NULL: nothing is measured */
    struct neap_profiled_ *outer;
    uintptr_t check; /* tells a mark from what longjmp left of one */
};

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_profile_enter_(struct neap_profiled_ *call, const struct neap_site *site);
/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_profile_leave_(struct neap_profiled_ *call);

/* First in a function's body: its lines are measured while every allocation is traced
 * (neap_trace_start with sample_bytes 0, or the option profile). Of marked functions that call each
 * other each is told of what happens inside. longjmp out of one loses the marks of its callers
 * until they return. */
#define NEAP_PROFILE \
    struct neap_profiled_ neap_profiled_ __attribute__((cleanup(neap_profile_leave_), unused)); \
    neap_profile_enter_(&neap_profiled_, NEAP_HERE)

/* A table for each marked function that ran since tracing started. Per line: bytes of traced blocks
 * alive in the program after it last ran; by how much it and what it called changed that; how many
 * blocks were made or freed. The mark's own line has what was alive when the function was first
 * called, and the number of calls. What a line lets die on another thread or later, at a stop
 * point, is not counted there. NEAP_ESTATE while not every allocation is traced, NEAP_ENOMEM,
 * NEAP_EIO.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_profile_print(FILE *out);

#ifdef __cplusplus
}
#endif

#endif
