/* SPDX-License-Identifier: MIT
 *
 * The line profile (neap/line_profile.h): what marked functions make and free, by the place in each
 * marked function that was being run, which unwinding finds. Figures stand in a table of fixed
 * size under a lock that is held for nothing else, so that nothing is allocated where the program
 * allocates.
 *
 * Implemented by line_profile.c; told by tracer.c, and printed at the end by record.c. */
#ifndef NP_OBSERVE_LINE_PROFILE_H
#define NP_OBSERVE_LINE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* 0, or -1 out of address space. Keeps what is there. */
int np_line_profile_init(void);

/* The calling thread has just made (or freed: negative) a traced block of so many bytes. */
void np_line_profile_note(int64_t bytes);

/* The calling thread is in a marked function: np_line_profile_note is to be called for each block.
 */
bool np_line_profile_is_inside(void);

/* From now on marked functions are measured, or not; nobody is inside a hook. */
void np_line_profile_switch(int on);
void np_line_profile_clear(void);

void np_line_profile_lock(void); /* for fork */
void np_line_profile_unlock(void);

#endif
