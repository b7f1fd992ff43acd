/* SPDX-License-Identifier: MIT
 *
 * A lock for long waits that serves in the order of arrival: a ticket, and a futex on the number
 * that is served. What takes it may hold it for a whole stop or handshake, and an attached, RUNNING
 * thread waits for it parked. A mutex would let a thread that stops in a tight loop pass all
 * others.
 *
 * No recursion. Zero is the free state. */
#ifndef NP_THREADS_TURNSTILE_H
#define NP_THREADS_TURNSTILE_H

#include "base/os.h"
#include "threads/blocking.h"

struct np_turnstile {
    uint32_t next __attribute__((aligned(NP_CACHE_LINE))); /* (x) the next ticket */
    uint32_t serving;                                      /* (x) the ticket inside */
};

/* parked: the calling thread if it is attached and RUNNING, else NULL. */
static inline void np_turnstile_enter(struct np_turnstile *turnstile, struct np_thread *parked)
{
    /* [MM-turn-1] seq_cst: the ticket is taken before serving is read; pairs with
     * np_turnstile_leave, which writes serving before it reads next: one of the two sees the other
     */
    uint32_t ticket = np_fetch_add_seq_cst(&turnstile->next, 1);
    uint32_t serving = np_load_seq_cst(&turnstile->serving); /* [MM-turn-1] as above */
    if (serving == ticket)
        return;
    if (parked != NULL)
        np_park(parked);
    do {
        np_os_wait(&turnstile->serving, serving, UINT64_MAX);
        serving = np_load_seq_cst(&turnstile->serving); /* [MM-turn-1] as above */
    } while (serving != ticket);
    if (parked != NULL)
        np_unpark(parked);
}

static inline void np_turnstile_leave(struct np_turnstile *turnstile)
{
    uint32_t after = np_load_relaxed(&turnstile->serving) + 1; /* relaxed: only the inside writes */
    np_store_seq_cst(&turnstile->serving, after);   /* [MM-turn-1] hands what was done inside on */
    if (np_load_seq_cst(&turnstile->next) != after) /* [MM-turn-1] as above */
        np_os_wake_all(&turnstile->serving);
}

#endif
