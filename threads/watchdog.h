/* SPDX-License-Identifier: MIT
 *
 * The watchdog: names the thread that keeps a stop or a handshake waiting. It needs no thread of
 * its own: whoever waits wakes up after the limit and reports once, then goes on waiting.
 *
 * Implemented by watchdog.c. */
#ifndef NP_THREADS_WATCHDOG_H
#define NP_THREADS_WATCHDOG_H

#include "threads/thread.h"

struct np_straggler {
    char name[NP_THREAD_NAME_BYTES];
    int os_id;
    uint16_t id;
    enum np_thread_state state;   /* RUNNING, or at rest and claimed by another */
    const struct neap_site *site; /* of its last poll; or NULL, then */
    const void *code;             /* a code address of its last poll; NULL: none yet */
    uint32_t token;               /* what waits: NP_REQUEST_STOP or NP_REQUEST_HANDSHAKE */
    uint64_t waited_ns;
};

/* limit_ns 0: off (as at the start). report NULL: one line on standard error. It is called on the
 * waiting thread, which may be PARKED or about to stop the world: it takes no lock that an attached
 * thread may hold and calls nothing of neap. */
void np_watchdog_set(uint64_t limit_ns, void (*report)(const struct np_straggler *straggler));

/* Stragglers reported so far. */
uint64_t np_watchdog_count(void);

/* Whether a thread that was named prints its stack at the end of its lateness, as a list that
 * addr2line takes. */
void np_watchdog_set_backtrace(bool wanted);

/* For the floor: the calling thread, which is at a poll or about to block, has thread->caught set.
 */
void np_watchdog_caught(struct np_thread *thread);

/* One wait of somebody for others. */
struct np_watch {
    uint64_t since_ns;
    uint32_t token; /* NP_REQUEST_STOP or NP_REQUEST_HANDSHAKE: who still has it is late */
    bool reported;
};

/* For those who wait: how many nanoseconds to sleep at most. When the limit has passed it reports,
 * once per wait, every thread that still has the token. */
uint64_t np_watchdog_look(struct np_watch *watch);

#endif
