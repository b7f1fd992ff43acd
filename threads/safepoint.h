/* SPDX-License-Identifier: MIT
 *
 * Polls. A stop point is where the world may be stopped; a quiescent point is where, besides, peeks
 * end. The fast path of both is one load and one branch on the thread's request word.
 *
 * Implemented by safepoint.c. */
#ifndef NP_THREADS_SAFEPOINT_H
#define NP_THREADS_SAFEPOINT_H

#include "threads/thread.h"

void np_stop_point_slow(struct np_thread *thread) np_cold;
void np_quiescent_point_slow(struct np_thread *thread) np_cold;
/* Clears PENDING too; the caller, which runs user code, sets it again if some is left. */
void np_user_point_slow(struct np_thread *thread) np_cold;

/* Allocation's slow path and other internal loops: acknowledges stops, handshakes and the operation
 * clock, runs the handlers that need no user code. Peeks and borrows survive. */
static inline void np_stop_point(struct np_thread *thread)
{
    /* relaxed: the slow path reads again with acquire */
    if (np_unlikely((np_load_relaxed(&thread->requests) & NP_REQUEST_AT_STOP_POINT) != 0))
        np_stop_point_slow(thread);
}

/* Acknowledges both clocks too. Pending user code goes on waiting, and its bit stays. */
static inline void np_quiescent_point(struct np_thread *thread)
{
    /* relaxed: the slow path reads again with acquire */
    if (np_unlikely((np_load_relaxed(&thread->requests) & NP_REQUEST_AT_QUIESCENT) != 0))
        np_quiescent_point_slow(thread);
}

/* Where the thread polls, for the watchdog, where no site is given: a code address of the program's
 * (__builtin_return_address(0) of the public function). Before the poll. */
static inline void np_poll_code(struct np_thread *thread, const void *code)
{
    np_store_relaxed(&thread->code, code); /* relaxed, both: read as hints */
    np_store_relaxed(&thread->site, NULL);
}

#endif
