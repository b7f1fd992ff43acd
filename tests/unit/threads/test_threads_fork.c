/* SPDX-License-Identifier: MIT
 *
 * fork from any thread, beside everything that this floor does: the parent goes on, the child has
 * one thread and a floor that works. A child that hangs is killed and counts as failed. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/threads/crew.h"
#include "threads/fork.h"

enum { PLAYERS = 6, FORKS = 60 };

static struct crew crew;
static uint32_t ready, finish, failures;
static uint64_t shakes;
static __thread unsigned vanished_count;

static void attach_or_bail(void)
{
    if (np_thread_attach("fork") != NEAP_OK)
        bail("attach failed");
}

static void count_vanished(struct np_thread *thread)
{
    vanished_count += thread != NULL;
}

/* Not a handler of pthread_atfork: boot.c does that; here the calls stand in the open. */
static pid_t fork_with_handlers(void)
{
    np_threads_fork_prepare();
    pid_t child = fork();
    if (child == 0)
        np_threads_fork_child(count_vanished);
    else
        np_threads_fork_parent();
    return child;
}

static void add_one(struct np_thread *thread, void *arg)
{
    (void)thread;
    np_fetch_add_relaxed((uint64_t *)arg, (uint64_t)1);
}

#ifndef NP_TSAN /* which refuses threads in the child of a process that had several */
enum { CHILDS_OWN = 12 };
static struct crew own;
static uint32_t inside, ids[CHILDS_OWN];

static void come_and_go(unsigned index)
{
    for (unsigned i = 0; i < 50; i++) {
        if (np_thread_attach("child's") != NEAP_OK)
            return;
        ids[index] = np_tls.id;
        if (i == 0) {
            np_blocking_enter(np_tls.thread);
            np_fetch_add_acq_rel(&inside, 1);
            crew_await(&inside, CHILDS_OWN);
            np_blocking_leave(np_tls.thread);
        }
        np_stop_point(np_tls.thread);
        np_thread_detach();
    }
}

/* Threads of the child's own get a slot each, and stop. */
static bool try_threads(void)
{
    inside = 0;
    crew_start(&own, CHILDS_OWN, come_and_go);
    np_blocking_enter(np_tls.thread);
    bool all = crew_await(&inside, CHILDS_OWN);
    np_blocking_leave(np_tls.thread);
    for (unsigned i = 0; i < 20; i++) {
        np_world_stop(NP_STOP_COLLECT);
        np_world_start();
    }
    crew_join(&own);
    return all && np_thread_attached_count() == 1;
}
#else
static bool try_threads(void)
{
    return true;
}
#endif

/* 0, or which of the child's steps failed. */
static int try_everything(bool attached)
{
    if ((np_tls.thread != NULL) != attached)
        return 1;
    if (np_thread_attached_count() != (attached ? 1 : 0))
        return 2;
    if (!attached)
        attach_or_bail();
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        bool right = thread == np_tls.thread ? np_word_load(thread) == NP_RUNNING
                                             : np_word_load(thread) == NP_DETACHED;
        if (!right)
            return 3;
    }
    uint64_t before = np_load_relaxed(&shakes);
    np_handshake(add_one, &shakes);
    if (np_load_relaxed(&shakes) == before)
        return 4;
    np_world_stop(NP_STOP_COLLECT);
    np_world_start();
    if (!try_threads())
        return 5;
    uint64_t tag = np_clock_tag(NP_CLOCK_PEEK);
    np_clock_ask(NP_CLOCK_PEEK, tag);
    np_quiescent_point(np_tls.thread);
    if (!np_clock_passed(NP_CLOCK_PEEK, tag))
        return 6;
    np_thread_detach();
    return np_thread_attached_count() == 0 ? 0 : 7;
}

static void fork_once(bool attached)
{
    pid_t child = fork_with_handlers();
    if (child < 0)
        bail("fork failed");
    if (child == 0) {
        alarm(40);
        _exit(try_everything(attached));
    }
    if (attached)
        np_blocking_enter(np_tls.thread);
    int status = 0;
    waitpid(child, &status, 0);
    if (attached)
        np_blocking_leave(np_tls.thread);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        diag("a child ended with %#x (attached %d)", (unsigned)status, attached);
        np_fetch_add_relaxed(&failures, 1);
    }
}

static void play(unsigned index)
{
    if (index == 5) { /* never attached: forks from outside */
        np_fetch_add_acq_rel(&ready, 1);
        for (unsigned i = 0; i < FORKS / 2; i++)
            fork_once(false);
        np_fetch_add_acq_rel(&finish, 1);
        return;
    }
    attach_or_bail();
    np_fetch_add_acq_rel(&ready, 1);
    for (unsigned round = 0; np_load_acquire(&finish) < 2; round++) {
        struct np_thread *self = np_tls.thread;
        if (index == 0) {
            np_blocking_enter(self);
            usleep(200);
            np_blocking_leave(self);
        } else if (index == 1) {
            np_handshake(add_one, &shakes);
        } else if (index == 2) {
            np_thread_detach();
            attach_or_bail();
        } else if (index == 3 && round % 16 == 0) {
            np_world_stop(NP_STOP_COLLECT);
            np_world_start();
        }
        np_quiescent_point(np_tls.thread);
        if (index == 3)
            sched_yield();
    }
    np_thread_detach();
}

static void test_storm(void)
{
    attach_or_bail();
    crew_start(&crew, PLAYERS, play);
    np_blocking_enter(np_tls.thread);
    crew_await(&ready, PLAYERS);
    np_blocking_leave(np_tls.thread);
    for (unsigned i = 0; i < FORKS / 2; i++) {
        fork_once(true);
        np_quiescent_point(np_tls.thread);
    }
    np_fetch_add_acq_rel(&finish, 1);
    crew_join(&crew);
    is_int(failures, 0, "%d children work, forked from attached and other threads", FORKS);
    is_int(np_thread_attached_count(), 1, "and the parent has come through");
    np_thread_detach();
}

/* ---- what the child sees ---- */

static void sleep_attached(unsigned index)
{
    attach_or_bail();
    np_fetch_add_acq_rel(&ready, 1);
    if (index % 2 == 0)
        np_blocking_enter(np_tls.thread);
    while (!np_load_acquire(&finish)) {
        if (index % 2 != 0)
            np_quiescent_point(np_tls.thread);
        usleep(100);
    }
    if (index % 2 == 0)
        np_blocking_leave(np_tls.thread);
    np_thread_detach();
}

static int inspect_child(bool blocking, bool stopped)
{
    if (np_requests_load(np_tls.thread) & NP_REQUEST_HANDSHAKE)
        return 8;
    if (vanished_count != 4)
        return 1;
    if (np_world_is_stopped() != stopped)
        return 2;
    if (stopped)
        np_world_start();
    if (np_tls.thread->blocking_depth != (blocking ? 1 : 0))
        return 3;
    if (blocking)
        np_blocking_leave(np_tls.thread);
    return np_world_is_stopped() ? 4 : try_everything(true);
}

static void expect_child(bool blocking, bool stopped, const char *name)
{
    int status = 0;
    if (blocking)
        np_blocking_enter(np_tls.thread);
    if (stopped)
        np_world_stop(NP_STOP_WALK);
    pid_t child = fork_with_handlers();
    if (child == 0) {
        alarm(40);
        _exit(inspect_child(blocking, stopped));
    }
    is_int(np_world_is_stopped(), stopped, "%s: the parent's world is as before", name);
    if (stopped)
        np_world_start();
    if (blocking)
        np_blocking_leave(np_tls.thread);
    waitpid(child, &status, 0);
    is_int(status, 0, "%s: the child takes over from 4 threads that vanished", name);
}

static void shake_once(unsigned index)
{
    (void)index;
    attach_or_bail();
    np_handshake(add_one, &shakes);
    np_blocking_enter(np_tls.thread);
    crew_await(&finish, 1);
    np_blocking_leave(np_tls.thread);
    np_thread_detach();
}

static void test_open_handshake(void)
{
    static struct crew shaker;
    ready = finish = 0;
    attach_or_bail();
    crew_start(&crew, 3, sleep_attached);
    crew_await(&ready, 3);
    crew_start(&shaker, 1, shake_once);
    while (!(np_requests_load(np_tls.thread) & NP_REQUEST_HANDSHAKE))
        sched_yield();
    expect_child(false, false, "with a handshake open");
    np_quiescent_point(np_tls.thread);
    np_store_release(&finish, 1);
    crew_join(&crew);
    crew_join(&shaker);
    np_thread_detach();
}

static void test_child(void)
{
    ready = finish = 0;
    attach_or_bail();
    crew_start(&crew, 4, sleep_attached);
    crew_await(&ready, 4);
    expect_child(false, false, "attached");
    expect_child(true, false, "in a blocking region");
    expect_child(false, true, "in a stop of its own");
    np_store_release(&finish, 1);
    crew_join(&crew);
    np_thread_detach();
}

int main(void)
{
    plan_lazy();
    crew_begin(NULL);
    test_child();
    test_open_handshake();
    ready = finish = 0;
    test_storm();
    np_threads_fini();
    return done();
}
