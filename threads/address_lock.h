/* SPDX-License-Identifier: MIT
 *
 * Locks by address: any address can be locked, nothing is stored there. What is locked now, and who
 * waits for it, is in a table; an address that nobody has locked has no entry and costs nothing.
 *
 * When not to use it: for a lock taken millions of times a second, or by threads that are not
 * attached. Uncontended it costs about two mutex pairs.
 *
 * Not recursive. The owner is the attached thread that locked it. A thread that waits is in a
 * blocking region. Passing is by chance, but a waiter that was overtaken OVERTAKEN_MOST times is
 * handed the lock.
 *
 * Implemented by address_lock.c. Caller: attached, RUNNING, outside claims and stops. */
#ifndef NP_THREADS_ADDRESS_LOCK_H
#define NP_THREADS_ADDRESS_LOCK_H

#include "threads/thread.h"

/* Quiescent points. Panic: held by the caller already; no memory for a table entry. */
void np_address_lock(const void *address);

/* Panics when the caller does not hold it. */
void np_address_unlock(const void *address);

/* Both, in the order of their addresses: two threads that lock the same pair cannot wait for each
 * other. a == b is one lock. */
void np_address_lock2(const void *a, const void *b);
void np_address_unlock2(const void *a, const void *b);

/* In a forked child: the threads that waited are gone. What was held by a thread that is gone stays
 * locked, because nobody knows what state it left behind. */
void np_address_locks_forget_waiters(void);

/* The table goes back to the system; what is locked still is forgotten. No other thread. */
void np_address_locks_fini(void);

#endif
