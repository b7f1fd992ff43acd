/* SPDX-License-Identifier: MIT
 *
 * What the tests of the threads floor share: the floor with hooks of the test's choice, threads
 * that start together, and waiting with a limit, so that a lost wake-up fails instead of hanging.
 */
#ifndef NP_TESTS_CREW_H
#define NP_TESTS_CREW_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/os.h"
#include "neap/status.h"
#include "tests/tap.h"
#include "threads/blocking.h"
#include "threads/clock.h"
#include "threads/handshake.h"
#include "threads/safepoint.h"
#include "threads/stop.h"
#include "threads/word.h"

enum { CREW_MOST = 1024, CREW_LIMIT_S = 60 };

struct crew {
    unsigned count;
    void (*run)(unsigned index);
    pthread_t threads[CREW_MOST];
    uint32_t next, gate;
};

static inline void *crew_main(void *arg)
{
    struct crew *crew = arg;
    unsigned index = np_fetch_add_relaxed(&crew->next, 1);
    while (np_load_acquire(&crew->gate) == 0)
        np_os_wait(&crew->gate, 0, UINT64_MAX);
    crew->run(index);
    return NULL;
}

/* The threads are not attached. */
static inline void crew_start(struct crew *crew, unsigned count, void (*run)(unsigned index))
{
    crew->count = count;
    crew->run = run;
    crew->next = crew->gate = 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&crew->threads[i], &attributes, crew_main, crew) != 0)
            bail("pthread_create failed");
    pthread_attr_destroy(&attributes);
    np_store_release(&crew->gate, 1);
    np_os_wake_all(&crew->gate);
}

/* In a blocking region if the caller is attached. */
static inline void crew_join(struct crew *crew)
{
    bool inside = np_tls.thread != NULL;
    if (inside)
        np_blocking_enter(np_tls.thread);
    for (unsigned i = 0; i < crew->count; i++)
        pthread_join(crew->threads[i], NULL);
    if (inside)
        np_blocking_leave(np_tls.thread);
}

/* Waits without polling until *word is at least wanted; false after CREW_LIMIT_S seconds. */
static inline bool crew_await(const uint32_t *word, uint32_t wanted)
{
    uint64_t end = np_os_now_ns() + CREW_LIMIT_S * UINT64_C(1000000000);
    for (unsigned round = 0; np_load_acquire(word) < wanted; round++) {
        if (np_os_now_ns() > end)
            return false;
        if (round > 100)
            usleep(50);
        else
            sched_yield();
    }
    return true;
}

/* A test that hangs is a test that failed: ends it with a line that says so. */
static inline void crew_limit(void)
{
    alarm(CREW_LIMIT_S + 30);
}

static inline void crew_begin(const struct np_thread_hooks *hooks)
{
    static const struct np_thread_hooks none;
    crew_limit();
    if (np_threads_init(hooks != NULL ? hooks : &none) != 0)
        bail("np_threads_init failed");
}

#endif
