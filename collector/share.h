/* SPDX-License-Identifier: MIT
 *
 * Work between tracing workers: a small common stack of objects to be traced from, and the exact
 * end.
 *
 * A worker that has plenty gives some away while somebody is idle; one that has nothing takes some
 * or waits. All work is done when everybody waits and the common stack is empty: decided under one
 * lock, so it is neither missed nor guessed.
 *
 * Implemented by share.c. Used by trace.c, while the world is stopped. */
#ifndef NP_COLLECTOR_SHARE_H
#define NP_COLLECTOR_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/header.h"

enum { NP_SHARE_CHUNK = 64 };

/* Before a run of so many workers. */
void np_share_begin(unsigned workers);

/* Is anybody waiting for work? A hint. */
bool np_share_wanted(void);

/* Gives NP_SHARE_CHUNK objects away; false: there is no room. */
bool np_share_give(struct neap_header **objects);

/* Takes up to NP_SHARE_CHUNK objects, waiting for them; 0: all work is done. */
size_t np_share_take(struct neap_header **ret_objects);

#endif
