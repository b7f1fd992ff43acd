/* SPDX-License-Identifier: MIT
 *
 * The bits of a slot's state word. thread.h draws the states; docs/threads.md the whole word.
 *
 * Who sets what: the slot's thread the state and WAITING; a claimer CLAIMED, FOREIGN and one of the
 * suspend count; the stopper one of the suspend count; whoever failed to claim a suspended slot
 * sets AGAIN. Invariants: RUNNING stands alone (no other bit); FOREIGN implies CLAIMED; CLAIMED
 * implies a count; the count is at most 2 (a stop's and the stopper's own claim). */
#ifndef NP_THREADS_WORD_H
#define NP_THREADS_WORD_H

#include "base/atomics.h"
#include "base/check.h"
#include "threads/thread.h"

enum {
    NP_WORD_STATE = 3,         /* enum np_thread_state */
    NP_WORD_WAITING = 1 << 2,  /* its thread wants to run and sleeps: let it run first */
    NP_WORD_CLAIMED = 1 << 3,  /* somebody acts as this thread, alone */
    NP_WORD_FOREIGN = 1 << 4,  /* the claimer is not an attached, RUNNING thread */
    NP_WORD_AGAIN = 1 << 5,    /* a claim failed: who lets go looks at the queues once more */
    NP_WORD_SUSPEND = 1 << 8,  /* one suspend count; the field goes to bit 15 */
    NP_WORD_SUSPENDS = 0xFF00, /* 0: its thread may run */
};

static inline enum np_thread_state np_word_state(uint32_t word)
{
    return (enum np_thread_state)(word & NP_WORD_STATE);
}

static inline bool np_word_is_legal(uint32_t word)
{
    if (np_word_state(word) == NP_RUNNING)
        return word == NP_RUNNING;
    if ((word & NP_WORD_FOREIGN) && !(word & NP_WORD_CLAIMED))
        return false;
    if ((word & NP_WORD_CLAIMED) && (word & NP_WORD_SUSPENDS) == 0)
        return false;
    return (word & NP_WORD_SUSPENDS) <= 2 * NP_WORD_SUSPEND;
}

/* Takes *seen to wanted; on failure *seen is what was found instead. */
static inline bool np_word_change(struct np_thread *thread, uint32_t *seen, uint32_t wanted)
{
    np_assert(np_word_is_legal(*seen) && np_word_is_legal(wanted));
    /* [MM-word-1] seq_cst: one total order of every slot's transitions with the request bits, the
     * queues and the clocks' epochs; pairs with every other np_word_change and np_word_load */
    return np_cas_seq_cst(&thread->state, seen, wanted);
}

static inline uint32_t np_word_load(const struct np_thread *thread)
{
    return np_load_seq_cst(&thread->state); /* [MM-word-1] as above */
}

/* Takes a token out of the thread's requests; true for exactly one taker. */
static inline bool np_token_take(struct np_thread *thread, uint32_t token)
{
    /* [MM-token-1] seq_cst: takes over from who set it; pairs with np_thread_request */
    return (np_fetch_and_seq_cst(&thread->requests, ~token) & token) != 0;
}

static inline uint32_t np_requests_load(const struct np_thread *thread)
{
    /* [MM-token-2] seq_cst: after a change of the word. Either this load sees the token, or who set
     * it finds the changed word afterwards; pairs with np_thread_request before np_word_load */
    return np_load_seq_cst(&thread->requests);
}

/* For the floor, in word.c: the walks of the slot's own thread. Try: publishes a state; if a
 * handshake asks or look is true and the queues are not empty, comes back to RUNNING and returns
 * false. Leave: tries until it succeeds, doing between what is asked. Enter: back to RUNNING,
 * waiting while the slot is suspended. */
bool np_word_try_leave(struct np_thread *thread, enum np_thread_state state, bool look);
void np_word_leave(struct np_thread *thread, enum np_thread_state state, bool look);
void np_word_enter(struct np_thread *thread);

/* Wakes the threads that sleep in np_word_enter: after the change of their words that lets them
 * run. */
void np_word_wake(void);

#endif
