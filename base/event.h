/* SPDX-License-Identifier: MIT
 *
 * What the floors tell the timeline: spans that have just ended. Off, a teller pays one load and a
 * branch; times are read only when somebody listens.
 *
 * The hook is observe's (timeline.c). It runs on the thread that tells, in a stopped world too,
 * takes no lock and allocates nothing. */
#ifndef NP_BASE_EVENT_H
#define NP_BASE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"

enum np_event_kind {
    NP_EVENT_TO_SAFEPOINT, /* the stopper: from the request of a stop to the last thread's */
    NP_EVENT_WORLD,        /* the stopper: the world was stopped; value: cause */
    NP_EVENT_STOPPED,      /* a thread was stopped at its poll */
    NP_EVENT_BLOCKING,     /* a blocking region */
    NP_EVENT_COLLECTION,   /* from its request to its end; value: generation, cause << 8 */
    NP_EVENT_CONFINED,     /* a young collection of the thread's own objects */
    NP_EVENT_FINISH,       /* user code that a collection has left pending; value: generation */
    NP_EVENT_PHASE,        /* of one of the three, or a helper's part of it; value: phase */
    NP_EVENT_KINDS
};

/* (o) From 1: the calling thread is a helper, which is never attached, and tells as one; else 0. */
extern __thread uint32_t np_event_helper __attribute__((tls_model("initial-exec")));
enum { NP_EVENT_HELPERS = 8 }; /* at most */

/* serial tells stops apart; 0 for spans that belong to none. */
typedef void np_event_fn(enum np_event_kind kind, uint64_t start_ns, uint64_t end_ns,
                         uint32_t value, uint32_t serial);
extern np_event_fn *np_event_hook; /* (x) relaxed: NULL: nobody listens */

static inline bool np_event_is_wanted(void)
{
    return np_unlikely(np_load_relaxed(&np_event_hook) != NULL);
}

/* start_ns 0: nobody listened when it began. end_ns 0: now. */
static inline void np_event_tell(enum np_event_kind kind, uint64_t start_ns, uint64_t end_ns,
                                 uint32_t value, uint32_t serial)
{
    np_event_fn *hook = np_load_relaxed(&np_event_hook); /* relaxed: a function, there for good */
    if (np_unlikely(hook != NULL && start_ns != 0))
        hook(kind, start_ns, end_ns, value, serial);
}

#endif
