/* SPDX-License-Identifier: MIT
 *
 * Blocking regions, parking and claiming.
 *
 * Both sides look twice, sequentially consistent: who queues work for a thread pushes, then reads
 * its state and claims it if it is not RUNNING; the thread publishes BLOCKING, then looks at its
 * queues, and if they are not empty takes RUNNING back, drains them (no user code) and tries again.
 * A claim that fails is made good by whoever let it fail: the slot's thread is RUNNING or about to
 * and will look itself, or whoever holds the slot looks once more when it lets go. So work that was
 * pushed before a try to claim is never left with a thread that sleeps.
 *
 * Implemented by blocking.c. */
#ifndef NP_THREADS_BLOCKING_H
#define NP_THREADS_BLOCKING_H

#include "threads/thread.h"

/* A blocking region of the program: quiescent for both clocks, np_tls.id reads nobody inside.
 * Nests. errno is preserved. Leaving waits while the slot is suspended. */
void np_blocking_enter(struct np_thread *thread);
void np_blocking_leave(struct np_thread *thread);

/* A wait inside neap: stops, handshakes and claims go on without the thread, the peek clock does
 * not. np_tls.id stays: no code of the program runs meanwhile. Queues are not looked at: work
 * pushed just before waits until the unpark. Not inside a blocking region. */
void np_park(struct np_thread *thread);
void np_unpark(struct np_thread *thread);

/* If the slot is neither RUNNING, nor about to, nor held by somebody else, adds a suspend count and
 * returns true: until np_thread_unclaim the caller alone may act as that thread (its local counts,
 * its heap, its queues). Claims of different slots nest. Meanwhile the caller does not poll, park,
 * block or run user code, and the world does not stop.
 *
 * Any thread. One that is not attached and RUNNING ("foreign") holds no claim but this and waits
 * for nothing until it has let go; others wait for a foreign claim to end, and for nothing else. */
bool np_thread_claim(struct np_thread *thread);

/* Lets go, and on behalf of the slot answers a handshake and drains its queues if somebody asked
 * for that in vain meanwhile (hooks.handler of MERGE and REMOTE; not for a foreign caller, whose
 * claim nobody fails at). */
void np_thread_unclaim(struct np_thread *thread);

/* For the floor: looks for slots that missed a claim and drains them. Attached, RUNNING. */
void np_claim_missed(void);

/* pthread_mutex_lock for our own mutexes: trylock, else parked while waiting. The mutex is never
 * held while the caller waits for a stop to end. Any thread. */
void np_lock_parked(pthread_mutex_t *mutex);

#endif
