/* SPDX-License-Identifier: MIT
 *
 * The two walks through the state word that a slot's own thread makes: away from RUNNING and back.
 */
#include "threads/word.h"

#include "base/os.h"
#include "base/perturb.h"
#include "threads/handshake.h"
#include "threads/stop.h"
#include "threads/watchdog.h"

static void publish(struct np_thread *thread, enum np_thread_state state)
{
    uint32_t seen = NP_RUNNING;
    if (!np_word_change(thread, &seen, state))
        np_panic("slot %u is not running but %#x", thread->id, seen);
}

static np_cold void settle(struct np_thread *thread, uint32_t requests)
{
    if (requests & NP_REQUEST_STOP)
        np_stop_settle(thread);
    if (np_load_relaxed(&thread->caught)) /* relaxed: a report */
        np_watchdog_caught(thread);
}

np_noinline bool np_word_try_leave(struct np_thread *thread, enum np_thread_state state, bool look)
{
    np_assert(thread == np_tls.thread && thread->claims == 0 && np_tls.operation == 0);
    publish(thread, state);
    np_perturb(word_left);
    /* [MM-look-1] seq_cst: after the change of the word in the total order; its acquire keeps the
     * queues' reads behind it. So the state is published before the queues are read; pairs with the
     * full barrier of np_queue_push before the sender's np_thread_claim */
    uint32_t requests = np_requests_load(thread);
    if ((requests & NP_REQUEST_HANDSHAKE) || (look && np_thread_hooks.has_work(thread))) {
        np_word_enter(thread);
        return false;
    }
    if (np_unlikely((requests & NP_REQUEST_STOP) || np_load_relaxed(&thread->caught)))
        settle(thread, requests);
    return true;
}

/* Apart, so that the first try, which succeeds nearly always, saves no registers. */
static np_cold void leave_again(struct np_thread *thread, enum np_thread_state state, bool look)
{
    do {
        np_handshake_serve(thread);
        if (look) {
            np_thread_hooks.handler[__builtin_ctz(NP_REQUEST_MERGE)](thread);
            np_thread_hooks.handler[__builtin_ctz(NP_REQUEST_REMOTE)](thread);
            np_thread_hooks.before_blocking(thread);
        }
    } while (!np_word_try_leave(thread, state, look));
}

void np_word_leave(struct np_thread *thread, enum np_thread_state state, bool look)
{
    if (np_unlikely(!np_word_try_leave(thread, state, look)))
        leave_again(thread, state, look);
}

/* What all waiters of all slots sleep on, so that a start of the world wakes them by one system
 * call: a stopper that wakes them one by one is overtaken by the first and leaves the others
 * asleep. */
static uint32_t wakes __attribute__((aligned(NP_CACHE_LINE))); /* (x) a count of wake-ups */

void np_word_wake(void)
{
    /* [MM-wake-1] seq_cst: after the change of a word; pairs with the waiter, which reads the count
     * before it reads its word for the last time */
    np_fetch_add_seq_cst(&wakes, 1);
    np_os_wake_all(&wakes);
}

void np_word_enter(struct np_thread *thread)
{
    uint32_t word = np_load_relaxed(&thread->state); /* relaxed: np_word_change decides */
    np_perturb(word_enter);
    for (;;) {
        if ((word & NP_WORD_SUSPENDS) == 0) {
            /* AGAIN goes too: this thread looks at its queues itself */
            if (np_word_change(thread, &word, NP_RUNNING))
                return;
        } else if (word & NP_WORD_WAITING) {
            uint32_t count = np_load_seq_cst(&wakes); /* [MM-wake-1] before the word */
            word = np_word_load(thread);
            if (word & NP_WORD_SUSPENDS) {
                np_os_wait(&wakes, count, UINT64_MAX);
                word = np_word_load(thread);
            }
        } else {
            (void)np_word_change(thread, &word, word | NP_WORD_WAITING);
        }
    }
}
