/* SPDX-License-Identifier: MIT
 *
 * The registry: one slot per attached thread, in chunks that never move, reused last in first out.
 *
 * A slot's number is the thread's owner id (1 .. NEAP_OWNER_LAST). Whoever takes an exited thread's
 * slot inherits what that thread owned: objects whose headers carry the id, its heap, its merge
 * queue.
 *
 * The slot's state word (threads/word.h has its bits), changed by compare-and-swap only,
 * sequentially consistent:
 *
 *      DETACHED --attach--> RUNNING --enter--> BLOCKING --leave--> RUNNING --detach--> DETACHED
 *                           RUNNING --park---> PARKED   --unpark-> RUNNING
 *
 * Every edge is taken by the slot's own thread. A suspend count sits beside the state: whoever
 * wants the thread to stay as it is (a claimer, the world stopper) adds one while the state is not
 * RUNNING, and takes it away again. Leaving, unparking and attaching go to RUNNING only at suspend
 * count 0; otherwise they set WAITING and sleep on the word. Nobody adds to the count of a slot
 * that is WAITING: a waiter is not suspended a second time before it has run.
 *
 * docs/threads.md draws the whole and says which function may wait for what.
 *
 * Implemented by thread.c. Used by all of threads/ and by runtime/boot.c.
 */
#ifndef NP_THREADS_THREAD_H
#define NP_THREADS_THREAD_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "base/tls.h"

/* Nanoseconds of a stop: request to all stopped, all stopped to start, and when the start was. */
struct np_stop_times {
    uint64_t to_safepoint_ns, stopped_ns, end_ns;
};

enum np_thread_state { NP_DETACHED, NP_RUNNING, NP_BLOCKING, NP_PARKED };

/* Bits of `requests`. STOP and HANDSHAKE are tokens: whoever clears one owes the answer, so that
 * each is given exactly once. The others are hints, cleared by the thread before it does what they
 * ask.
 */
enum np_request {
    NP_REQUEST_STOP = 1 << 0,      /* token: the slot is to be suspended, the world is stopping */
    NP_REQUEST_HANDSHAKE = 1 << 1, /* token: the handshake's function is to be run for the slot */
    NP_REQUEST_CLOCK = 1 << 2,     /* a grace clock waits for this thread */
    NP_REQUEST_MERGE = 1 << 3,     /* objects were queued for merging */
    NP_REQUEST_REMOTE = 1 << 4,    /* blocks were freed to this heap */
    NP_REQUEST_PENDING = 1 << 5,   /* pending user code wants a quiescent point */
    NP_REQUEST_FLUSH = 1 << 6,     /* own batches have become old */
    NP_REQUEST_PEEK = 1 << 7,      /* the peek clock waits: only a quiescent point helps */
    NP_REQUEST_AGAIN = 1 << 8,     /* some suspended slot missed a claim: look for it */
    NP_REQUEST_BITS = 9,
    NP_REQUEST_ALL = (1 << NP_REQUEST_BITS) - 1,
    /* what a stop point can serve; the rest waits for a quiescent point and costs no slow path */
    NP_REQUEST_AT_STOP_POINT = NP_REQUEST_ALL & ~(NP_REQUEST_PENDING | NP_REQUEST_PEEK),
    NP_REQUEST_AT_QUIESCENT = NP_REQUEST_ALL & ~NP_REQUEST_PENDING
};

enum np_clock { NP_CLOCK_OPERATION, NP_CLOCK_PEEK, NP_CLOCK_COUNT };

enum {
    NP_THREAD_NAME_BYTES = 32,
#ifdef NP_TSAN
    NP_EXIT_ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS - 1
#else
    NP_EXIT_ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS /* key destructor rounds until detach */
#endif
};

struct np_thread {
    /* read by the owner at every poll, written by whoever asks */
    uint32_t requests __attribute__((aligned(NP_CACHE_LINE))); /* (x) enum np_request */
    const struct neap_site
        *site; /* (o>) of the last poll; requests and site are a neap_poll_point */

    /* the state word and what sleepers wait on */
    uint32_t state __attribute__((aligned(NP_CACHE_LINE))); /* (x) threads/word.h */

    /* written by the owner, read as a hint or by the clocks */
    uint64_t clock_seen[NP_CLOCK_COUNT] __attribute__((aligned(NP_CACHE_LINE))); /* (o>) */
    const void *code;        /* (o>) where the last poll was that has no site: a code address */
    uint16_t id;             /* (c) slot number = owner id */
    uint16_t blocking_depth; /* (o) nesting of blocking regions */
    uint16_t claims;         /* (o) slots claimed now: no poll, no wait */
    uint16_t exit_rounds;    /* (o) key destructor rounds that have passed it by */
    int os_id;               /* (o>) gettid */
    uint16_t next_free;      /* (x) free list link, relaxed; see thread.c */
    uint8_t caught;          /* (x) relaxed: the watchdog has named it; it is to tell where it is */
    uint8_t ready;           /* (o>) hooks.attached has succeeded once: heap and local are there */
    struct np_stop_times last_stop;  /* (o) of the last stop by this thread */
    uint64_t blocked_ns;             /* (o) when it blocked, if the timeline was on; else 0 */
    char name[NP_THREAD_NAME_BYTES]; /* (o>) bytewise relaxed: np_thread_name */
    struct np_heap *heap;            /* (c) once made: alloc's, for this slot */
    struct np_local *local;          /* (c) once made: runtime's, for this slot */
};

/* Installed by boot.c. attached, detaching and before_blocking are called on the thread itself,
 * which is RUNNING. has_work and the handlers of MERGE and REMOTE are also called on behalf of a
 * claimed slot by an attached, RUNNING thread: they go by their argument. NULL: nothing to do. */
struct np_thread_hooks {
    bool (*attached)(struct np_thread *thread); /* false: out of memory, attach fails */
    /* Everything of the thread's own; may run user code. Called again when work came in before
     * DETACHED was published. */
    void (*detaching)(struct np_thread *thread);
    bool (*has_work)(struct np_thread *thread); /* queues not empty: look again before blocking */
    /* Flushes batches, drains queues; no user code. Before every blocking region; keeps errno. */
    void (*before_blocking)(struct np_thread *thread);
    void (*handler[NP_REQUEST_BITS])(struct np_thread *thread); /* by bit number */
};

int np_threads_init(const struct np_thread_hooks *hooks); /* 0, or -1 */
void np_threads_fini(void);

/* NEAP_OK, NEAP_ENOMEM (memory, slots or a hook's refusal), NEAP_ESTATE (the thread's exit has
 * detached it for good). Nests. Sets np_tls.thread and np_tls.id. Never stops the world; waits at
 * most for the stop in progress. The thread is detached by itself when it exits; one that attaches
 * for the first time inside a key destructor detaches itself. */
int np_thread_attach(const char *name);
/* Inverse; the outermost runs hooks.detaching, then publishes DETACHED, then looks at the queues
 * again. */
void np_thread_detach(void);

/* The thread's exit has detached it for good; only a destructor of another library's can ask. For
 * one call of such a thread: return attaches it (as np_thread_attach), depart detaches it again.
 */
bool np_thread_has_exited(void);
int np_thread_return(void);
void np_thread_depart(void);

/* Slots ever used are 1 .. np_thread_high(); np_thread_at(id) never moves. */
uint32_t np_thread_high(void);
struct np_thread *np_thread_at(uint16_t id);
size_t np_thread_attached_count(void);
enum np_thread_state np_thread_state_of(const struct np_thread *thread);

/* The name given at attach, "" if none; a copy that may be half of two names while the slot changes
 * hands. */
void np_thread_name(const struct np_thread *thread, char ret_name[NP_THREAD_NAME_BYTES]);

/* np_tls says that the caller is this thread, outside blocking regions. */
static inline void np_tls_become(struct np_thread *thread)
{
    np_tls.id = thread->id;
    np_tls.poll = (struct neap_poll_point *)(void *)thread;
    np_tls_open_cache();
}

/* Sets bits in the thread's request word (any thread). */
void np_thread_request(struct np_thread *thread, uint32_t bits);

extern struct np_thread_hooks np_thread_hooks; /* (c) from init to fini; threads' own, no NULL */

/* The stopper's side of the registry. Closing makes slots that come into being from then on start
 * with a suspend count of one; both return np_thread_high() as of that moment. */
uint32_t np_registry_close(void);
uint32_t np_registry_open(void);

/* For fork: no slot comes into being meanwhile. Rebuild: in the child, instead of unlocking; every
 * slot but the caller's is free. */
void np_registry_lock(void);
void np_registry_unlock(void);
void np_registry_rebuild(bool closed);

#endif
