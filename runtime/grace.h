/* SPDX-License-Identifier: MIT
 *
 * Peekable objects between death and destruction: a peeked pointer stays readable until its
 * thread's next quiescent point, so the dead wait for a period of the peek clock.
 *
 * Two lists per thread: one waits for its tag, the other gathers; when the first has passed they
 * move up. A leaving thread's lists go to a common pair that every thread's polls serve.
 *
 * Implemented by grace.c. */
#ifndef NP_RUNTIME_GRACE_H
#define NP_RUNTIME_GRACE_H

#include "runtime/local.h"

/* Must the dead object wait? (peekable, published, has not waited yet) */
static inline bool np_grace_wanted(const struct neap_header *header, const struct neap_type *type)
{
    return (type->flags & NEAP_PEEKABLE) && !(header->gc & NP_GC_WAITED) &&
           (np_load_relaxed(&header->shared) & NP_PUBLISHED) != 0;
}

/* The object is dead and wanted to wait. */
void np_grace_add(struct neap_header *header);

/* Moves what has waited long enough to the calling thread's death lists, and frees retired blocks
 * (retire.h). At stop points and polls. */
void np_grace_poll(struct np_local *local);

/* The thread leaves. */
void np_grace_abandon(struct np_local *local);

/* Bytes of blocks that wait here and in retire.h, in the whole process; a hint. */
size_t np_grace_bytes(void);

#endif
