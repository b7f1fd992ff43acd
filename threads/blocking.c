/* SPDX-License-Identifier: MIT
 *
 * Blocking regions and parking are walks through the state word (word.c) with what belongs to each:
 * the nesting depth, the id, the clocks. Claims are one compare-and-swap each way; what a failed
 * one owes is in np_thread_unclaim.
 *
 * Why a failed claim is never lost, by what it found:
 *   RUNNING             the thread looks at its queues after it publishes its next state
 *   WAITING             the same: it becomes RUNNING before anybody can suspend it again
 *   CLAIMED             AGAIN is set by compare-and-swap on the claimed word, so the claimer's drop
 *                       sees it and goes round once more
 *   suspended by a stop AGAIN, and np_world_start looks for it (np_claim_missed)
 *   FOREIGN             not a failure: tried again until the foreign claim has ended
 */
#include "threads/blocking.h"

#include "base/event.h"
#include "base/os.h"
#include <sched.h>

#include "base/check.h"
#include "base/perturb.h"
#include "threads/clock.h"
#include "threads/handshake.h"
#include "threads/stop.h"
#include "threads/word.h"

/* ---- blocking regions ---- */

void np_blocking_enter(struct np_thread *thread)
{
    if (np_unlikely(thread->blocking_depth++ > 0))
        return;
    np_thread_hooks.before_blocking(thread);
    thread->blocked_ns = np_event_is_wanted() ? np_os_now_ns() : 0;
    np_word_leave(thread, NP_BLOCKING, true);
    np_tls_become_nobody();
}

void np_blocking_leave(struct np_thread *thread)
{
    np_check(thread->blocking_depth > 0, "not inside a blocking region");
    if (--thread->blocking_depth > 0)
        return;
    np_word_enter(thread);
    np_clock_note_both(thread);
    np_tls_become(thread);
    np_event_tell(NP_EVENT_BLOCKING, thread->blocked_ns, 0, 0, 0);
}

/* ---- parking ---- */

void np_park(struct np_thread *thread)
{
    np_word_leave(thread, NP_PARKED, false);
}

void np_unpark(struct np_thread *thread)
{
    np_word_enter(thread);
    np_clock_note(thread, NP_CLOCK_OPERATION);
}

/* Runs again only if that needs no waiting. */
static bool try_unpark(struct np_thread *thread)
{
    uint32_t word = np_word_load(thread);
    while ((word & NP_WORD_SUSPENDS) == 0) {
        if (np_word_change(thread, &word, NP_RUNNING)) {
            np_clock_note(thread, NP_CLOCK_OPERATION);
            return true;
        }
    }
    return false;
}

static bool is_running(void)
{
    return np_tls.thread != NULL && np_tls.id != NEAP_OWNER_NOBODY;
}

void np_lock_parked(pthread_mutex_t *mutex)
{
    if (pthread_mutex_trylock(mutex) == 0)
        return;
    struct np_thread *thread = np_tls.thread;
    /* The stopper's slot is RUNNING for the whole stop, and a claimer may not park. */
    if (!is_running() || np_world_is_stopped() || thread->claims > 0) {
        pthread_mutex_lock(mutex);
        return;
    }
    for (;;) {
        np_park(thread);
        pthread_mutex_lock(mutex);
        if (try_unpark(thread))
            return;
        pthread_mutex_unlock(mutex); /* the stopper may need it */
        np_unpark(thread);
        if (pthread_mutex_trylock(mutex) == 0)
            return;
    }
}

/* ---- claims ---- */

bool np_thread_claim(struct np_thread *thread)
{
    bool stopper = np_world_is_stopped(), running = is_running();
    uint32_t word = np_word_load(thread);
    for (;;) {
        if (np_word_state(word) == NP_RUNNING)
            return false;
        if (word & NP_WORD_FOREIGN) {
            sched_yield();
            word = np_word_load(thread);
        } else if (stopper) {
            np_check(!(word & NP_WORD_CLAIMED), "slot %u is claimed already", thread->id);
            if (np_word_change(thread, &word, (word + NP_WORD_SUSPEND) | NP_WORD_CLAIMED))
                break;
        } else if ((word & (NP_WORD_WAITING | NP_WORD_SUSPENDS)) == 0) {
            uint32_t claimed = (word + NP_WORD_SUSPEND) | NP_WORD_CLAIMED;
            if (np_word_change(thread, &word, running ? claimed : claimed | NP_WORD_FOREIGN))
                break;
        } else if ((word & NP_WORD_WAITING) || (word & NP_WORD_AGAIN)) {
            /* The change of the word that the loop's next reader of AGAIN or WAITING makes comes
             * after this load, hence after what the caller pushed. */
            return false;
        } else if (np_word_change(thread, &word, word | NP_WORD_AGAIN)) {
            return false;
        }
    }
    if (running)
        np_tls.thread->claims++;
    np_perturb(claimed);
    return true;
}

/* Gives the claim's count back; returns the word before. AGAIN stays while somebody else's count
 * does. Wakes the thread if it may run. */
static uint32_t drop_claim(struct np_thread *thread)
{
    uint32_t word = np_word_load(thread), free;
    do {
        np_assert(word & NP_WORD_CLAIMED);
        free = (word & ~(uint32_t)(NP_WORD_CLAIMED | NP_WORD_FOREIGN)) - NP_WORD_SUSPEND;
        if ((free & NP_WORD_SUSPENDS) == 0)
            free &= ~(uint32_t)NP_WORD_AGAIN;
    } while (!np_word_change(thread, &word, free));
    if ((free & NP_WORD_WAITING) && (free & NP_WORD_SUSPENDS) == 0)
        np_word_wake();
    return word;
}

/* The caller holds the claim and is attached and RUNNING. */
static void serve_on_behalf(struct np_thread *thread, bool drain)
{
    np_handshake_serve(thread);
    /* relaxed: the claim orders; before it the slot may be half made */
    if (!drain || !np_load_relaxed(&thread->ready))
        return;
    static const uint32_t bits[] = {NP_REQUEST_MERGE, NP_REQUEST_REMOTE};
    for (unsigned i = 0; i < np_count_of(bits); i++) {
        /* [MM-request-1] seq_cst: the bit goes before the queue is read; pairs with the bit set
         * after the push in np_thread_request */
        np_fetch_and_seq_cst(&thread->requests, ~bits[i]);
        np_thread_hooks.handler[__builtin_ctz(bits[i])](thread);
    }
}

void np_thread_unclaim(struct np_thread *thread)
{
    bool running = is_running();
    for (;;) {
        uint32_t before = drop_claim(thread);
        np_perturb(unclaimed);
        if (running)
            np_tls.thread->claims--;
        if (np_world_is_stopped())
            return; /* np_world_start looks for what was missed */
        uint32_t requests = np_requests_load(thread);
        if (requests & NP_REQUEST_STOP)
            np_stop_settle(thread);
        bool again = (before & NP_WORD_AGAIN) != 0;
        if (!running || (!again && !(requests & NP_REQUEST_HANDSHAKE)))
            return;
        if (!np_thread_claim(thread))
            return; /* it runs and looks itself, or whoever holds it now owes the look */
        serve_on_behalf(thread, again);
    }
}

void np_claim_missed(void)
{
    np_assert(is_running());
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if ((np_word_load(thread) & NP_WORD_AGAIN) && np_thread_claim(thread))
            np_thread_unclaim(thread);
    }
}
