/* SPDX-License-Identifier: MIT
 *
 * The pending list: user code of what was found dead where user code may not run. One list per
 * process, under one lock that is never held while an item runs. */
#ifndef NP_RUNTIME_PENDING_H
#define NP_RUNTIME_PENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "runtime/header.h"

/* An item that is not an object: the collector's, a callback. Runs once on the thread that takes
 * it, with no lock held, at a quiescent point; it owns its own memory. */
struct np_pending_item {
    struct np_list link;
    void (*run)(struct np_pending_item *item);
};

/* Asks every attached thread to run what is pending at its next safepoint: any of them may sleep,
 * or compute, for long. Any thread. */
void np_pending_ask_all(void);
void np_pending_push(struct np_pending_item *item);      /* any thread, also while stopped */
void np_pending_push_object(struct neap_header *header); /* dead, with finalize or dispose */
void np_pending_push_all(struct np_list *items_taken); /* in order; the list is empty afterwards */
void np_pending_run_all(struct np_list *items_taken);  /* here and now */
size_t np_pending_run(size_t most);                    /* items run */
size_t np_pending_run_patient(void);                   /* all but NEAP_PROMPT objects */

extern size_t np_pending_waiting;
static inline size_t np_pending_count(void)
{
    return np_load_relaxed(&np_pending_waiting); /* relaxed: a hint */
}

#endif
