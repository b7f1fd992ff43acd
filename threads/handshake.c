/* SPDX-License-Identifier: MIT
 *
 * One handshake at a time, in turn. Every slot gets the HANDSHAKE token and is counted; who takes
 * the token has the slot to itself (it is the slot's RUNNING thread, or holds its claim), runs the
 * function and uncounts it. After setting a token the requester tries to claim the slot: if that
 * fails, the slot's thread runs and will find the token at its next poll or after it published
 * another state, or whoever holds the slot finds AGAIN when it lets go. */
#include "threads/handshake.h"

#include "base/check.h"
#include "base/os.h"
#include "base/perturb.h"
#include "threads/blocking.h"
#include "threads/stop_stats.h"
#include "threads/turnstile.h"
#include "threads/watchdog.h"
#include "threads/word.h"

static struct {
    struct np_turnstile turnstile;
    void (*function)(struct np_thread *thread, void *arg);    /* (c) while a token is out */
    void *arg;                                                /* (c) while a token is out */
    uint32_t pending __attribute__((aligned(NP_CACHE_LINE))); /* (x) tokens out, and one: asking */
} handshake;

static bool answered(void)
{
    /* [MM-handshake-1] acq_rel: what the function did is seen by the requester; pairs with the
     * acquire in await_all */
    bool last = np_fetch_sub_acq_rel(&handshake.pending, 1) == 1;
    if (last)
        np_os_wake_all(&handshake.pending);
    return last;
}

void np_handshake_serve(struct np_thread *thread)
{
    if (!np_token_take(thread, NP_REQUEST_HANDSHAKE))
        return;
    handshake.function(thread, handshake.arg);
    answered();
}

static void await_all(struct np_thread *self)
{
    struct np_watch watch = {.since_ns = np_os_now_ns(), .token = NP_REQUEST_HANDSHAKE};
    uint32_t pending;
    np_park(self);
    while ((pending = np_load_acquire(&handshake.pending)) != 0) /* [MM-handshake-1] */
        np_os_wait(&handshake.pending, pending, np_watchdog_look(&watch));
    np_unpark(self);
}

void np_handshake(void (*function)(struct np_thread *thread, void *arg), void *arg)
{
    struct np_thread *self = np_tls.thread;
    np_check(self != NULL && np_tls.id != NEAP_OWNER_NOBODY, "not attached, or blocking");
    np_check(!np_world_is_stopped(), "a handshake in a stopped world would wait for ever");
    np_assert(self->claims == 0 && np_tls.operation == 0);
    uint64_t asked_ns = np_os_now_ns();
    np_turnstile_enter(&handshake.turnstile, self);
    uint64_t began_ns = np_os_now_ns();
    handshake.function = function;
    handshake.arg = arg;
    np_store_relaxed(&handshake.pending, 1); /* relaxed: nobody answers before a token is set */
    function(self, arg);
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        /* [MM-ready-1] acquire: heap and local are there; pairs with the release in attach */
        if (thread == self || !np_load_acquire(&thread->ready))
            continue;
        np_fetch_add_relaxed(&handshake.pending, 1); /* relaxed: the token publishes it */
        np_thread_request(thread, NP_REQUEST_HANDSHAKE);
        np_perturb(handshake);
        if (np_thread_claim(thread)) {
            np_handshake_serve(thread);
            np_thread_unclaim(thread);
        }
    }
    if (!answered())
        await_all(self);
    np_stop_stats_note_handshake(began_ns - asked_ns, np_os_now_ns() - began_ns);
    np_turnstile_leave(&handshake.turnstile);
}

void np_handshake_forget(void)
{
    handshake.turnstile = (struct np_turnstile){0, 0};
    np_store_relaxed(&handshake.pending, 0);
}
