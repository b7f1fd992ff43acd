/* SPDX-License-Identifier: MIT
 *
 * The timeline and fork; the public face is <neap/profile.h>.
 *
 * Implemented by timeline.c. */
#ifndef NP_OBSERVE_TIMELINE_H
#define NP_OBSERVE_TIMELINE_H

void np_timeline_before_fork(void); /* the buffered file is flushed by neither process twice */
void np_timeline_after_fork_parent(void);
void np_timeline_after_fork_child(void);

#endif
