/* SPDX-License-Identifier: MIT
 *
 * The two grace clocks. A tag taken after something became unreachable for newcomers has passed
 * when every thread that could have seen it has been at a point of the clock's kind since: stop
 * points and blocking or parked states for the operation clock; quiescent points and blocking
 * regions for the peek clock.
 *
 * Implemented by clock.c. Any attached thread, any number at once; never waits. */
#ifndef NP_THREADS_CLOCK_H
#define NP_THREADS_CLOCK_H

#include "threads/thread.h"

uint64_t np_clock_tag(enum np_clock clock);
bool np_clock_passed(enum np_clock clock, uint64_t tag);
/* Sets the request bit of the laggards, so that the tag passes at their next poll. */
void np_clock_ask(enum np_clock clock, uint64_t tag);
/* Calls report for each thread that keeps the tag from passing. Any attached thread. */
void np_clock_laggards(enum np_clock clock, uint64_t tag,
                       void (*report)(const struct np_thread *thread));
/* The thread is at a point of that kind now (called by polls, by blocking.c and for suspended
 * threads). */
void np_clock_note(struct np_thread *thread, enum np_clock clock);
void np_clock_note_both(struct np_thread *thread);

#endif
