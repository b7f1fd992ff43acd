/* SPDX-License-Identifier: MIT */
#include "runtime/hold.h"

#include "alloc/heap.h"
#include "alloc/large.h"
#include "runtime/local.h"
#include "threads/safepoint.h"

enum { POLL_EVERY = 1024 }; /* blocks given back between two stop points */

uint32_t np_hold;

static struct neap_header *held; /* (x) */
static uint64_t large_bytes;     /* (x) relaxed: a gauge */

void np_hold_set(enum np_hold hold)
{
    /* [MM-hold-2] release: our reading of what was held comes before; pairs with the acquire in
     * np_hold_wanted. What comes late is given back next time. To hold: the handshake that follows
     * orders it */
    np_store_release(&np_hold, (uint32_t)hold);
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

void np_hold_take_large(struct neap_header *header)
{
    np_fetch_add_relaxed(&large_bytes, (uint64_t)np_large_of(header)->bytes); /* relaxed: a gauge */
    np_hold_take(header);
}

uint64_t np_hold_large_bytes(void)
{
    return np_load_relaxed(&large_bytes); /* relaxed: a gauge */
}

static void return_large(struct neap_header *header)
{
    if (np_hold_wanted(NP_HOLD_LARGE)) {
        np_hold_take(header); /* once more */
        return;
    }
    np_fetch_add_relaxed(&large_bytes,
                         -(uint64_t)np_large_of(header)->bytes); /* relaxed: a gauge */
    /* relaxed: nobody else writes it any more */
    np_large_free(header, (np_load_relaxed(&header->shared) & NP_PUBLISHED) != 0);
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
        if (np_unlikely(!np_region_has(header))) {
            return_large(header);
        } else {
            np_pool_note_reuse(np_tls.heap, np_pool_of(header));
            np_heap_give(np_tls.heap, header);
        }
        if (done % POLL_EVERY == 0) {
            np_tls.local->returning = next; /* a fork may take the thread away */
            np_stop_point(np_tls.thread);
            np_tls.local->returning = NULL;
        }
    }
}

void np_hold_forked(void)
{
    for (uint32_t id = 1; id <= np_thread_high(); id++) {
        struct np_local *local = np_local_of((uint16_t)id);
        while (local != NULL && local->returning != NULL) {
            struct neap_header *header = local->returning;
            local->returning = np_link_load(header);
            np_hold_take(header);
        }
    }
}
