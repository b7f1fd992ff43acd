/* SPDX-License-Identifier: MIT
 *
 * Merge requests travel in batches: objects whose QUEUED bit this thread has set, gathered per
 * owner, pushed to the owner's merge queue by one exchange. Flushed when full, at every poll, on
 * entering a blocking region, at detach, and at once for NEAP_PROMPT types. Who flushes to an owner
 * that is blocked, parked or gone claims it and merges on its behalf.
 *
 * Both sides look twice, sequentially consistent (docs/memory-model.md, MM-look).
 *
 * Implemented by batch.c.
 */
#ifndef NP_RUNTIME_BATCH_H
#define NP_RUNTIME_BATCH_H

#include "runtime/count.h"
#include "runtime/local.h"
#include "threads/thread.h"

/* The caller has just set QUEUED; the queue inherits its reference. */
void np_batch_add(struct neap_header *header, enum np_manner manner);

/* Sends every open batch. Deaths that this brings about on behalf of others are quiet. */
void np_batch_flush(struct np_local *local);

/* Merges what others have queued for the slot. The caller is that thread or has claimed it; the
 * dead go to the calling thread's death list. */
void np_batch_drain(struct np_local *local);

/* The handshake before a stop: nothing of the thread stays batched or queued. Fits np_handshake. */
void np_batch_settle(struct np_thread *thread, void *arg);

static inline bool np_batch_has_queued(const struct np_local *local)
{
    return !np_queue_empty(&local->merges);
}

/* Is anything gathered that has not been sent? */
static inline bool np_batch_is_open(const struct np_local *local)
{
    for (unsigned i = 0; i < NP_BATCHES_OPEN; i++)
        if (local->open[i] != NULL)
            return true;
    return false;
}

/* Figures of all threads since they began: references given back, by who did it, and those in
 * queues now. */
struct np_batch_figures {
    uint64_t merged[NP_MERGED_KINDS], queued;
};
void np_batch_figures(struct np_batch_figures *ret_figures);

/* Gives the slot its spare batches, or takes them all back (shutdown). False: out of memory. */
bool np_batch_provide(struct np_local *local);
void np_batch_free_all(void);

#endif
