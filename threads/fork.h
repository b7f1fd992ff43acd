/* SPDX-License-Identifier: MIT
 *
 * fork: docs/threads.md has the contract. The handlers are called in this order, on the thread that
 * forks, attached or not, in a blocking region or not; boot.c registers one set of atfork handlers
 * that calls every floor's.
 *
 * Implemented by fork.c. */
#ifndef NP_THREADS_FORK_H
#define NP_THREADS_FORK_H

#include "threads/thread.h"

/* Stops the world (unless the caller has) and holds the registry: no claim, handshake function or
 * poll is under way, no other attached thread runs. Unattached threads go on. */
void np_threads_fork_prepare(void);

/* In the parent: everything goes on. */
void np_threads_fork_parent(void);

/* In the child: the calling thread is the only one; attached if it was. Every other slot is free
 * for reuse. vanished (may be NULL) is called once for each slot whose thread was attached and is
 * gone, before that: its references leak by design, its heap and queues are the next owner's. */
void np_threads_fork_child(void (*vanished)(struct np_thread *thread));

#endif
