/* SPDX-License-Identifier: MIT
 *
 * tidepool: references to release later. A command that takes something out of the keyspace puts it
 * here, and it is released when the command holds no lock any more: destroying a long list must not
 * keep others from their keys.
 *
 * Concurrency: belongs to one command. */
#ifndef TIDEPOOL_GRAVEYARD_H
#define TIDEPOOL_GRAVEYARD_H

#include <stddef.h>

#define GRAVEYARD_NEAR 8

struct graveyard {
    const void *near[GRAVEYARD_NEAR];
    const void **far; /* neap_alloc; NULL until near is full */
    size_t count, far_room;
};

/* Takes over the caller's reference; NULL is fine. Without memory for it, it is released at once.
 */
void graveyard_add(struct graveyard *graveyard, const void *object);

/* Releases everything. No lock is held. */
void graveyard_release(struct graveyard *graveyard);

/* Lets what has been released die to its end, cycles too. It does so in steps: an object of another
 * thread's dies once that thread's count is merged, one with a dispose when its turn comes, a ring
 * when the collector finds that nothing points to it any more. No lock is held. */
void graveyard_settle(void);

#endif
