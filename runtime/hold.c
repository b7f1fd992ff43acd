/* SPDX-License-Identifier: MIT */
#include "runtime/hold.h"

#include "alloc/heap.h"
#include "threads/safepoint.h"

enum { POLL_EVERY = 1024 }; /* blocks given back between two stop points */

bool np_hold_on;

static struct neap_header *held; /* (x) */

void np_hold_begin(void)
{
    np_store_relaxed(&np_hold_on, true); /* relaxed: the handshake that follows orders it */
}

void np_hold_end(void)
{
    /* [MM-hold-2] release: our reading of what was held comes before; pairs with the acquire in
     * np_hold_wanted. What comes late is given back next time */
    np_store_release(&np_hold_on, false);
}

void np_hold_take(struct neap_header *header)
{
    struct neap_header *first = np_load_relaxed(&held); /* relaxed: the swap decides */
    do {
        np_link_store(header, first);
        /* [MM-hold-1] release: the link, and all that was done with the block, come before; pairs
         * with the acquire in np_hold_return */
    } while (!np_cas_release(&held, &first, header));
}

void np_hold_return(void)
{
    if (np_load_relaxed(&held) == NULL) /* relaxed: a hint */
        return;
    /* [MM-hold-1] acquire: the links are seen; pairs with the release in np_hold_take */
    struct neap_header *next = np_exchange_acquire(&held, NULL);
    for (size_t done = 1; next != NULL; done++) {
        struct neap_header *header = next;
        next = np_link_load(header);
        np_pool_note_reuse(np_tls.heap, np_pool_of(header));
        np_heap_give(np_tls.heap, header);
        if (done % POLL_EVERY == 0)
            np_stop_point(np_tls.thread);
    }
}
