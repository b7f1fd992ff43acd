/* SPDX-License-Identifier: MIT
 *
 * Threads: what polling, blocking regions, attaching and object locks cost, and how long the world
 * takes to stop and start.
 *
 * pairs: neap's pair of calls beside pthread_mutex_lock and unlock of a free mutex, the cheapest
 * thing that a program does around a system call. attach has no peer.
 *
 * stop: eight threads that poll (two cores here: most of them are waiting for a processor) and 0,
 * 64 or 1000 that sleep in a blocking region; the time is one stop and start, nothing is done in
 * between, and 50 us pass between two. safepoint_* is from the request to all stopped. On fewer
 * cores than threads it contains the scheduler's run queue: what it says about neap is the
 * difference between the rows.
 *
 * Leaves out: threads that compute between their polls (the stop then waits for the next poll),
 * locks that are contended. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/os.h"
#include "bench/measure.h"
#include "bench/shim.h"
#include "neap/neap.h"
#include "threads/stop.h"

/* ---- pairs ---- */

#define PAIRS(name, enter, leave) \
    static void name(struct bench_state *state, const void *arg) \
    { \
        (void)arg; \
        while (bench_keep_running(state, 256)) { \
            for (int i = 0; i < 256; i++) { \
                enter; \
                __asm__ volatile("" ::: "memory"); \
                leave; \
            } \
        } \
    }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long place;

PAIRS(run_mutex, pthread_mutex_lock(&mutex), pthread_mutex_unlock(&mutex))
PAIRS(run_blocking, neap_blocking_enter(), neap_blocking_leave())
PAIRS(run_lock, neap_lock(&place), neap_unlock(&place))
PAIRS(run_safepoint, neap_safepoint(), (void)0)

enum { ATTACHES = 10000 }; /* per thread made, which costs as much as a few dozen of them */

static void *attach_and_detach(void *arg)
{
    for (int i = 0; i < ATTACHES; i++) {
        if (neap_thread_attach("bench") != NEAP_OK)
            abort();
        neap_thread_detach();
    }
    return arg;
}

/* On a thread of its own: the bench's are attached once and for all. */
static void run_attach(struct bench_state *state, const void *arg)
{
    (void)arg;
    while (bench_keep_running(state, ATTACHES)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, attach_and_detach, NULL) != 0)
            abort();
        pthread_join(thread, NULL);
    }
}

/* ---- stops ---- */

enum { RUNNERS = 8, SLEEPERS_MOST = 1000, GAP_NS = 50000 };

struct crowd {
    pthread_t threads[RUNNERS + SLEEPERS_MOST];
    unsigned count;
    uint32_t ready, finish;
};

static void *run_and_poll(void *arg)
{
    struct crowd *crowd = arg;
    neap_thread_attach("runner");
    __atomic_fetch_add(&crowd->ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&crowd->finish, __ATOMIC_RELAXED))
        neap_safepoint();
    neap_thread_detach();
    return NULL;
}

static void *sleep_blocked(void *arg)
{
    struct crowd *crowd = arg;
    neap_thread_attach("sleeper");
    __atomic_fetch_add(&crowd->ready, 1, __ATOMIC_RELEASE);
    neap_blocking_enter();
    while (!__atomic_load_n(&crowd->finish, __ATOMIC_ACQUIRE))
        np_os_wait(&crowd->finish, 0, UINT64_MAX);
    neap_blocking_leave();
    neap_thread_detach();
    return NULL;
}

static void gather(struct crowd *crowd, unsigned sleepers)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    for (unsigned i = 0; i < sleepers + RUNNERS; i++)
        if (pthread_create(&crowd->threads[i], &attributes,
                           i < sleepers ? sleep_blocked : run_and_poll, crowd) != 0)
            abort();
    pthread_attr_destroy(&attributes);
    crowd->count = sleepers + RUNNERS;
    NEAP_BLOCKING
    {
        while (__atomic_load_n(&crowd->ready, __ATOMIC_ACQUIRE) < crowd->count)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static void disperse(struct crowd *crowd)
{
    __atomic_store_n(&crowd->finish, 1, __ATOMIC_RELEASE);
    np_os_wake_all(&crowd->finish);
    for (unsigned i = 0; i < crowd->count; i++)
        neap_thread_join(crowd->threads[i], NULL);
}

static void tell(struct bench_state *state, const char *const names[3],
                 const struct bench_histogram *histogram)
{
    bench_counter(state, names[0], (double)bench_histogram_at(histogram, 0.5), BENCH_SUM);
    bench_counter(state, names[1], (double)bench_histogram_at(histogram, 0.99), BENCH_SUM);
    bench_counter(state, names[2], (double)histogram->maximum, BENCH_SUM);
}

static void run_stop(struct bench_state *state, const void *arg)
{
    static const char *const safepoint[] = {"safepoint_p50_ns", "safepoint_p99_ns",
                                            "safepoint_max_ns"},
                             *const stopped[] = {"stopped_p50_ns", "stopped_p99_ns",
                                                 "stopped_max_ns"};
    struct crowd *crowd = calloc(1, sizeof *crowd);
    struct bench_histogram *histograms = calloc(2, sizeof *histograms);
    if (crowd == NULL || histograms == NULL)
        abort();
    gather(crowd, *(const unsigned *)arg);
    while (bench_keep_running(state, 1)) {
        np_world_stop(NP_STOP_WALK);
        np_world_start();
        bench_pause(state);
        struct np_stop_times times = np_world_last_stop();
        bench_histogram_add(&histograms[0], times.to_safepoint_ns);
        bench_histogram_add(&histograms[1], times.stopped_ns);
        for (uint64_t began = bench_now_ns(); bench_now_ns() - began < GAP_NS;)
            neap_safepoint();
        bench_resume(state);
    }
    disperse(crowd);
    tell(state, safepoint, &histograms[0]);
    tell(state, stopped, &histograms[1]);
    free(histograms);
    free(crowd);
}

int main(int argc, char **argv)
{
    static const unsigned sleepers[] = {0, 64, 1000};
    static const struct bench_case cases[] = {
        {.name = "threads/pair/mutex", .run = run_mutex, .attached = true},
        {.name = "threads/pair/neap_blocking", .run = run_blocking, .attached = true},
        {.name = "threads/pair/neap_lock", .run = run_lock, .attached = true},
        {.name = "threads/pair/neap_safepoint", .run = run_safepoint, .attached = true},
        {.name = "threads/pair/neap_attach", .run = run_attach, .process_time = true},
        {.name = "threads/stop/neap_0_blocked",
         .run = run_stop,
         .arg = &sleepers[0],
         .attached = true,
         .iterations = 500},
        {.name = "threads/stop/neap_64_blocked",
         .run = run_stop,
         .arg = &sleepers[1],
         .attached = true,
         .iterations = 500},
        {.name = "threads/stop/neap_1000_blocked",
         .run = run_stop,
         .arg = &sleepers[2],
         .attached = true,
         .iterations = 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        bench_add(&cases[i]);
    return bench_main(argc, argv);
}
