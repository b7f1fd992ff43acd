/* SPDX-License-Identifier: MIT
 *
 * fork: docs/threads.md has the contract. One set of atfork handlers, registered when the library
 * is loaded: prepare handlers run last registered first, so ours, which stops the world, runs after
 * those of libraries that the program loads later.
 *
 * Implemented by boot.c, which alone sees every floor. */
#ifndef NP_RUNTIME_FORK_H
#define NP_RUNTIME_FORK_H

/* What boot.c has the files of this floor do around a fork. */
void np_type_before_fork(void); /* takes the lock that unattached threads may hold */
void np_type_after_fork(void);

#endif
