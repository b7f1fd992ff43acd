/* SPDX-License-Identifier: MIT
 *
 * Ragged handshakes, the default tool, beside stopping the world (threads/stop.h).
 *
 * A handshake runs a function once for every slot that has an owner's state (slots whose first
 * attach is complete, detached ones too): on the thread itself at its next poll or when it blocks,
 * on its behalf by the requester, or by whoever holds its claim, while it is not RUNNING. Threads
 * that attach meanwhile are new and not asked.
 *
 * The requester is attached and RUNNING, has not stopped the world, is parked while it waits, and
 * holds no lock that another thread may need to reach its poll. The function allocates nothing,
 * waits for nothing and runs no user code. Handshakes are served in the order of their requests.
 *
 * Implemented by handshake.c. */
#ifndef NP_THREADS_HANDSHAKE_H
#define NP_THREADS_HANDSHAKE_H

#include "threads/stop.h"
#include "threads/thread.h"

void np_handshake(void (*function)(struct np_thread *thread, void *arg), void *arg);

/* If a handshake waits for the slot, answers it. The caller is the slot's thread, RUNNING, or holds
 * its claim. */
void np_handshake_serve(struct np_thread *thread);

/* In a forked child: whatever handshake was open is forgotten. */
void np_handshake_forget(void);

#endif
