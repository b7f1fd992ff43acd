/* SPDX-License-Identifier: MIT
 *
 * Stopping the world.
 *
 * A stop brings every attached thread to PARKED, or keeps it BLOCKING, PARKED or DETACHED, by one
 * suspend count each, until the world is started again; attaching waits. It does not know why it
 * stops. Stops are served in the order of their requests; a requester is parked until its turn. No
 * claim is held by anybody once the world is stopped.
 *
 * Implemented by stop.c. */
#ifndef NP_THREADS_STOP_H
#define NP_THREADS_STOP_H

#include "threads/thread.h"

enum np_stop_cause { NP_STOP_COLLECT, NP_STOP_FORK, NP_STOP_WALK, NP_STOP_CAUSES };

/* Stops all threads but the caller's. While stopped the caller may act as any thread, and
 * np_thread_claim always succeeds but for its own slot. Not nested. The caller holds no lock that
 * another thread may need to reach its poll. A caller that is not attached, or is in a blocking
 * region, may stop too. */
void np_world_stop(enum np_stop_cause cause);
void np_world_start(void);
bool np_world_is_stopped(void);        /* by the caller */
uint64_t np_world_stopped_since(void); /* for who has stopped it */

/* Times of the last stop that the calling, attached thread has finished. */
struct np_stop_times np_world_last_stop(void);

/* For the floor: the thread, RUNNING, found STOP at its poll: parks until the world starts. */
void np_stop_park(struct np_thread *thread);

/* For the floor: if a stop waits for the slot and the slot is neither RUNNING, nor WAITING to run,
 * nor claimed, it is suspended now. Called by everybody whose change of the word may have made that
 * true, after the change. */
void np_stop_settle(struct np_thread *thread);

/* In a forked child, which has one thread and was made in a stop: nobody else waits for a turn; the
 * stop goes on only if it was the program's own. */
void np_stop_forget(bool goes_on);

#endif
