/* SPDX-License-Identifier: MIT
 *
 * Stopping the world: nobody runs in a stop, nobody is missed, nobody is stopped twice before it
 * has run, and everybody comes on beside a tight loop of stops. The counters are plain:
 * ThreadSanitizer checks that a stop orders them. */
#include <signal.h>
#include <string.h>

#include "threads/stop_stats.h"
#include "tests/unit/threads/crew.h"

enum { PLAYERS = 8, STOPS = 1000, STORM = 64 };

static struct crew crew;
static uint32_t finish, ready;
static uint64_t plain[CREW_MOST]; /* by its thread, or in a stop */

static void attach_or_bail(const char *name)
{
    if (np_thread_attach(name) != NEAP_OK)
        bail("attach failed");
}

/* ---- running, blocking and parking threads beside stops ---- */

static void play(unsigned index)
{
    attach_or_bail("player");
    struct np_thread *self = np_tls.thread;
    np_fetch_add_relaxed(&ready, 1);
    while (!np_load_relaxed(&finish)) {
        plain[index]++;
        if (plain[index] % 64 == index) {
            np_blocking_enter(self);
            sched_yield();
            np_blocking_leave(self);
        } else if (plain[index] % 64 == index + 8) {
            np_park(self);
            np_unpark(self);
        } else if (plain[index] % 64 == index + 16) {
            np_thread_detach();
            attach_or_bail("player");
            self = np_tls.thread;
        } else if (plain[index] % 2 == 0) {
            np_quiescent_point(self);
        } else {
            np_stop_point(self);
        }
    }
    np_thread_detach();
}

static uint64_t sum(unsigned count)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < count; i++)
        all += plain[i];
    return all;
}

static void test_nobody_runs(void)
{
    attach_or_bail("stopper");
    crew_start(&crew, PLAYERS, play);
    crew_await(&ready, PLAYERS);
    unsigned moved = 0, running = 0;
    for (unsigned i = 0; i < STOPS; i++) {
        np_world_stop(NP_STOP_COLLECT);
        uint64_t before = sum(PLAYERS);
        for (uint32_t id = 1; id <= np_thread_high(); id++)
            running += np_thread_at((uint16_t)id) != np_tls.thread &&
                       np_thread_state_of(np_thread_at((uint16_t)id)) == NP_RUNNING;
        sched_yield();
        moved += sum(PLAYERS) != before;
        plain[i % PLAYERS] += 64; /* the stopper may act as any thread */
        np_world_start();
        if (i % 64 == 0)
            usleep(100);
    }
    is_int(moved, 0, "nothing moves in %d stops beside %d threads", STOPS, PLAYERS);
    is_int(running, 0, "no thread is RUNNING in a stop");
    np_store_relaxed(&finish, 1);
    crew_join(&crew);
    struct np_stop_stats stats;
    np_stop_stats_read(NP_STOP_COLLECT, &stats);
    is_int(stats.stopped.count, STOPS, "every stop is counted");
    is_int(stats.to_safepoint.count, STOPS, "and its time to safepoint");
    ok(stats.stopped.max_ns >= np_durations_quantile(&stats.stopped, 0.5) &&
           np_durations_quantile(&stats.stopped, 0.5) > 0,
       "the median stop is not longer than the longest");
    diag("to safepoint p50 %llu p99 %llu max %llu ns",
         (unsigned long long)np_durations_quantile(&stats.to_safepoint, 0.5),
         (unsigned long long)np_durations_quantile(&stats.to_safepoint, 0.99),
         (unsigned long long)stats.to_safepoint.max_ns);
    np_thread_detach();
}

/* ---- two and more stoppers, attached and not ---- */

static uint64_t in_turn;
static uint32_t crowded;

static void stop_too(unsigned index)
{
    bool attached = index % 4 != 3;
    if (attached)
        attach_or_bail("stopper");
    for (unsigned i = 0; i < 200; i++) {
        np_world_stop(NP_STOP_WALK);
        uint64_t before = in_turn++;
        sched_yield();
        if (in_turn != before + 1 || !np_world_is_stopped())
            np_fetch_add_relaxed(&crowded, 1);
        np_world_start();
        if (attached)
            np_stop_point(np_tls.thread);
    }
    if (attached)
        np_thread_detach();
}

static void test_turns(void)
{
    crew_start(&crew, 8, stop_too);
    crew_join(&crew);
    is_int(crowded, 0, "stops of 8 threads, two of them unattached, never overlap");
    is_int(in_turn, 1600, "and all take place");
}

/* ---- a waiter runs before it is stopped again ---- */

static uint32_t step, ran;

static void wait_to_leave(unsigned index)
{
    (void)index;
    attach_or_bail("waiter");
    for (unsigned i = 1; i <= 200; i++) {
        np_blocking_enter(np_tls.thread);
        np_store_release(&ready, i);
        crew_await(&step, i);
        np_blocking_leave(np_tls.thread);
        np_store_release(&ran, i);
        np_stop_point(np_tls.thread);
    }
    np_thread_detach();
}

static void test_runs_between_stops(void)
{
    unsigned early = 0, twice = 0;
    ready = 0;
    attach_or_bail("stopper");
    crew_start(&crew, 1, wait_to_leave);
    for (unsigned i = 1; i <= 200; i++) {
        crew_await(&ready, i);
        np_world_stop(NP_STOP_COLLECT);
        np_store_release(&step, i);
        struct np_thread *waiter = NULL;
        for (uint32_t id = 1; id <= np_thread_high(); id++)
            if (np_thread_state_of(np_thread_at((uint16_t)id)) == NP_BLOCKING)
                waiter = np_thread_at((uint16_t)id);
        while (waiter != NULL && !(np_word_load(waiter) & NP_WORD_WAITING))
            sched_yield();
        early += np_load_acquire(&ran) >= i;
        np_world_start();
        np_world_stop(NP_STOP_COLLECT);
        twice += np_load_acquire(&ran) < i;
        np_world_start();
    }
    is_int(early, 0, "a waiter does not leave its region in a stop");
    is_int(twice, 0, "and has left it before the next stop is complete");
    crew_join(&crew);
    np_thread_detach();
}

static void poll_only(unsigned index)
{
    (void)index;
    attach_or_bail("poller");
    while (!np_load_relaxed(&finish)) {
        np_fetch_add_relaxed(&ran, 1);
        np_stop_point(np_tls.thread);
    }
    np_thread_detach();
}

static void test_polls_between_stops(void)
{
    unsigned twice = 0;
    finish = ran = 0;
    attach_or_bail("stopper");
    crew_start(&crew, 1, poll_only);
    crew_await(&ran, 1);
    for (unsigned i = 0; i < 300; i++) {
        np_world_stop(NP_STOP_COLLECT);
        uint32_t before = np_load_relaxed(&ran);
        np_world_start();
        np_world_stop(NP_STOP_COLLECT);
        twice += np_load_relaxed(&ran) == before;
        np_world_start();
    }
    is_int(twice, 0, "a thread that parked at its poll runs before the next stop is complete");
    np_store_relaxed(&finish, 1);
    crew_join(&crew);
    np_thread_detach();
}

/* ---- 64 threads attach and detach beside a tight loop of stops ---- */

static uint32_t pairs[STORM];

static void attach_and_detach(unsigned index)
{
    np_fetch_add_acq_rel(&ready, 1);
    while (!np_load_relaxed(&finish)) {
        attach_or_bail("storm");
        plain[index]++;
        np_stop_point(np_tls.thread);
        np_thread_detach();
        np_fetch_add_relaxed(&pairs[index], 1);
    }
}

static void test_storm(void)
{
    uint32_t least, most = 0;
    finish = 0;
    attach_or_bail("stopper");
    ready = 0;
    crew_start(&crew, STORM, attach_and_detach);
    np_blocking_enter(np_tls.thread);
    crew_await(&ready, STORM);
    np_blocking_leave(np_tls.thread);
    unsigned stops = 0, moved = 0;
    uint64_t begin = np_os_now_ns();
    do {
        np_world_stop(NP_STOP_COLLECT);
        uint64_t before = sum(STORM);
        np_spin_hint();
        moved += sum(STORM) != before;
        np_world_start();
        stops++;
        least = UINT32_MAX;
        for (unsigned i = 0; i < STORM; i++)
            least = np_load_relaxed(&pairs[i]) < least ? np_load_relaxed(&pairs[i]) : least;
    } while ((least < 20 || stops < 10) && np_os_now_ns() - begin < UINT64_C(50000000000));
    np_store_relaxed(&finish, 1);
    for (unsigned i = 0; i < STORM; i++)
        most = np_load_relaxed(&pairs[i]) > most ? np_load_relaxed(&pairs[i]) : most;
    ok(least >= 20, "every one of %d threads comes on beside a tight loop of stops", STORM);
    is_int(moved, 0, "and none runs in a stop");
    diag("%u stops, pairs per thread %u to %u, %llu ms", stops, least, most,
         (unsigned long long)((np_os_now_ns() - begin) / 1000000));
    crew_join(&crew);
    np_thread_detach();
}

/* ---- locks of ours ---- */

static pthread_mutex_t ours = PTHREAD_MUTEX_INITIALIZER;
static uint64_t guarded;

static void take_our_lock(unsigned index)
{
    attach_or_bail("locker");
    for (unsigned i = 0; i < 2000; i++) {
        np_lock_parked(&ours);
        guarded++;
        if (i % 64 == index)
            sched_yield();
        pthread_mutex_unlock(&ours);
        np_stop_point(np_tls.thread);
    }
    np_thread_detach();
}

static void test_lock_in_a_stop(void)
{
    attach_or_bail("stopper");
    crew_start(&crew, 4, take_our_lock);
    for (unsigned i = 0; i < 300; i++) {
        np_world_stop(NP_STOP_COLLECT);
        np_lock_parked(&ours); /* would hang if a stopped thread could hold it */
        guarded++;
        pthread_mutex_unlock(&ours);
        np_world_start();
    }
    crew_join(&crew);
    is_int(guarded, 4 * 2000 + 300, "a stopper takes the locks that others park for");
    np_thread_detach();
}

static void park_for_lock(unsigned index)
{
    (void)index;
    attach_or_bail("locker");
    np_lock_parked(&ours);
    pthread_mutex_unlock(&ours);
    np_thread_detach();
}

static void test_lock_given_in_a_stop(void)
{
    attach_or_bail("stopper");
    pthread_mutex_lock(&ours);
    crew_start(&crew, 1, park_for_lock);
    unsigned parked = 0;
    while (parked == 0) {
        sched_yield();
        for (uint32_t id = 1; id <= np_thread_high(); id++)
            parked += np_thread_state_of(np_thread_at((uint16_t)id)) == NP_PARKED;
    }
    usleep(1000); /* into pthread_mutex_lock */
    np_world_stop(NP_STOP_COLLECT);
    pthread_mutex_unlock(&ours);
    usleep(5000);
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    is_int(pthread_mutex_timedlock(&ours, &limit), 0,
           "a thread that gets a lock while it is stopped gives it back");
    pthread_mutex_unlock(&ours);
    np_world_start();
    crew_join(&crew);
    np_thread_detach();
}

/* ---- no signals ---- */

/* A copy of what the process does on each signal; the handlers' addresses are enough. */
static void read_handlers(void (*handlers[])(int))
{
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        sigaction(signal, NULL, &action);
        handlers[signal] = action.sa_handler;
    }
}

static void (*handlers_before[NSIG])(int), (*handlers_after[NSIG])(int);

static void test_no_signals(void)
{
    read_handlers(handlers_after);
    ok(memcmp(handlers_before, handlers_after, sizeof handlers_before) == 0,
       "no signal's handling has changed");
}

int main(void)
{
    plan_lazy();
    read_handlers(handlers_before);
    crew_begin(NULL);
    test_nobody_runs();
    test_turns();
    test_runs_between_stops();
    test_polls_between_stops();
    test_storm();
    test_lock_in_a_stop();
    test_lock_given_in_a_stop();
    test_no_signals();
    np_threads_fini();
    return done();
}
