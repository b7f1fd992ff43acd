/* SPDX-License-Identifier: MIT
 *
 * The slow half of polls. Order: the clocks first (they cost two loads and let others go on), then
 * the stop, then what is left, until nothing is. A stop is served once per poll: a thread that was
 * stopped runs before it is stopped again, even when the next stop waits for it already. */
#include "threads/safepoint.h"

#include "threads/clock.h"
#include "threads/blocking.h"
#include "threads/handshake.h"
#include "threads/stop.h"
#include "threads/watchdog.h"
#include "threads/word.h"

/* Clears the bits that are to be served, before they are. STOP and HANDSHAKE clear themselves. */
static uint32_t take_hints(struct np_thread *thread, uint32_t mask)
{
    mask &= ~(uint32_t)(NP_REQUEST_STOP | NP_REQUEST_HANDSHAKE);
    /* [MM-request-1] seq_cst: the bit goes before the queue or epoch is read; pairs with
     * np_thread_request */
    return np_fetch_and_seq_cst(&thread->requests, ~mask) & mask;
}

static void note_clocks(struct np_thread *thread, bool quiescent)
{
    np_clock_note(thread, NP_CLOCK_OPERATION);
    if (quiescent)
        np_clock_note(thread, NP_CLOCK_PEEK);
}

static void poll_slow(struct np_thread *thread, uint32_t mask, bool quiescent)
{
    np_assert(thread == np_tls.thread && np_tls.operation == 0 && thread->claims == 0);
    if (np_load_relaxed(&thread->caught)) /* relaxed: a report */
        np_watchdog_caught(thread);
    for (;;) {
        /* [MM-request-1] acquire: pairs with np_thread_request */
        uint32_t requests = np_load_acquire(&thread->requests) & mask;
        if (requests == 0)
            return;
        uint32_t hints = take_hints(thread, requests);
        note_clocks(thread, quiescent);
        if (requests & NP_REQUEST_STOP) {
            np_stop_park(thread);
            mask &= ~(uint32_t)NP_REQUEST_STOP;
        }
        if (requests & NP_REQUEST_HANDSHAKE)
            np_handshake_serve(thread);
        if (hints & NP_REQUEST_AGAIN)
            np_claim_missed();
        for (uint32_t rest = hints; rest != 0; rest &= rest - 1)
            np_thread_hooks.handler[__builtin_ctz(rest)](thread);
    }
}

void np_stop_point_slow(struct np_thread *thread)
{
    poll_slow(thread, NP_REQUEST_AT_STOP_POINT, false);
}

void np_quiescent_point_slow(struct np_thread *thread)
{
    poll_slow(thread, NP_REQUEST_AT_QUIESCENT, true);
}

void np_user_point_slow(struct np_thread *thread)
{
    poll_slow(thread, NP_REQUEST_ALL, true);
}
