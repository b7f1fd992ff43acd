/* SPDX-License-Identifier: MIT
 *
 * The watchdog names who keeps a stop or a handshake waiting, where that thread polled last, and
 * for how long; once per wait, and nobody who did nothing wrong. */
#include <string.h>

#include "tests/unit/threads/crew.h"
#include "threads/watchdog.h"

static struct crew crew;
static uint32_t ready, finish;
static struct np_straggler seen[4];
static uint32_t seen_count;

static void note(const struct np_straggler *straggler)
{
    if (seen_count < 4)
        seen[seen_count] = *straggler;
    seen_count++;
    np_store_release(&finish, 1); /* lets the straggler go on: the wait ends after the report */
}

static char place;

static void be_late(unsigned index)
{
    np_thread_attach(index == 0 ? "late" : "polite");
    np_fetch_add_acq_rel(&ready, 1);
    if (index == 0) {
        np_poll_code(np_tls.thread, &place);
        crew_await(&finish, 1);
        np_stop_point(np_tls.thread);
    } else {
        np_blocking_enter(np_tls.thread);
        crew_await(&finish, 1);
        np_blocking_leave(np_tls.thread);
    }
    np_thread_detach();
}

static void do_nothing(struct np_thread *thread, void *arg)
{
    (void)thread;
    (void)arg;
}

static void test_wait(bool stop, const char *what)
{
    ready = finish = seen_count = 0;
    uint64_t before = np_watchdog_count();
    crew_start(&crew, 2, be_late);
    np_blocking_enter(np_tls.thread);
    crew_await(&ready, 2);
    np_blocking_leave(np_tls.thread);
    while (np_thread_state_of(np_thread_at(2)) != NP_BLOCKING &&
           np_thread_state_of(np_thread_at(3)) != NP_BLOCKING)
        sched_yield();
    if (stop) {
        np_world_stop(NP_STOP_COLLECT);
        np_world_start();
    } else {
        np_handshake(do_nothing, NULL);
    }
    is_int(seen_count, 1, "one straggler is named in a %s", what);
    is_str(seen[0].name, "late", "it is the one that does not poll");
    ok(seen[0].site == NULL && seen[0].code == &place, "with the place of its last poll");
    is_int(seen[0].state, NP_RUNNING, "and its state");
    is_int(seen[0].token, stop ? NP_REQUEST_STOP : NP_REQUEST_HANDSHAKE, "what waits is told");
    ok(seen[0].waited_ns >= 20000000 && seen[0].os_id != np_os_thread_id(), "and how long");
    is_int((intmax_t)(np_watchdog_count() - before), 1, "reports are counted");
    crew_join(&crew);
}

/* The default report: one line on standard error, caught in a pipe. */
static void *end_wait(void *arg)
{
    usleep(200000);
    np_store_release(&finish, 1);
    return arg;
}

static void test_line(void)
{
    int ends[2], saved = dup(STDERR_FILENO);
    char text[1024];
    if (saved < 0 || pipe(ends) != 0)
        bail("pipe failed");
    np_watchdog_set(20000000, NULL);
    ready = finish = 0;
    crew_start(&crew, 1, be_late);
    crew_await(&ready, 1);
    pthread_t timer;
    pthread_create(&timer, NULL, end_wait, NULL);
    dup2(ends[1], STDERR_FILENO);
    np_world_stop(NP_STOP_COLLECT);
    np_world_start();
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    ok(strstr(text, "thread \"late\"") != NULL && strstr(text, "stop waiting") != NULL,
       "without a function of the program's a line says it");
    ok(strstr(text, "addr2line") != NULL, "and how to find the place");
    diag("%s", text);
    close(ends[0]);
    close(saved);
    pthread_join(timer, NULL);
    crew_join(&crew);
}

int main(void)
{
    plan_lazy();
    crew_begin(NULL);
    np_thread_attach("main");
    np_watchdog_set(20000000, note);
    test_wait(true, "stop");
    test_wait(false, "handshake");
    test_line();
    np_watchdog_set(0, NULL);
    np_thread_detach();
    np_threads_fini();
    return done();
}
