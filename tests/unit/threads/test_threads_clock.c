/* SPDX-License-Identifier: MIT
 *
 * The grace clocks never pass early: readers hold a pointer between two points of a clock's kind, a
 * writer replaces it, waits for the clock and poisons the old one. A poisoned read fails, and under
 * ThreadSanitizer an unordered one does too, because the poison is a plain store. */
#include "tests/unit/threads/crew.h"

enum { READERS = 4, ROUNDS = 800 };

struct thing {
    uint64_t value, check;
};

static struct thing *shared;
static struct thing things[ROUNDS + 1];
static enum np_clock kind;
static uint32_t finish, poisoned, ready;
static struct crew crew;

static void attach_or_bail(void)
{
    if (np_thread_attach("reader") != NEAP_OK)
        bail("attach failed");
}

static void look(const struct thing *thing)
{
    if (thing->value != ~thing->check)
        np_fetch_add_relaxed(&poisoned, 1);
}

/* Between two points of the clock's kind the thing is held; what comes between does not end that.
 */
static void hold(unsigned round, struct np_thread *self)
{
    const struct thing *thing = np_load_acquire(&shared);
    look(thing);
    for (unsigned i = 0; i < round % 50; i++)
        np_spin_hint();
    look(thing);
    if (kind == NP_CLOCK_PEEK) {
        np_stop_point(self);
        look(thing);
        if (round % 7 == 0) {
            np_park(self);
            np_unpark(self);
            look(thing);
        }
    }
}

static void reach_point(unsigned round, struct np_thread *self)
{
    if (round % 5 == 0) {
        np_blocking_enter(self);
        if (round % 15 == 0)
            sched_yield();
        np_blocking_leave(self);
    } else if (round % 11 == 0 && kind == NP_CLOCK_OPERATION) {
        np_park(self);
        np_unpark(self);
    } else if (round % 13 == 0) {
        np_thread_detach();
        attach_or_bail();
    } else if (kind == NP_CLOCK_OPERATION) {
        np_stop_point(self);
    } else {
        np_quiescent_point(self);
    }
}

static void read_on(unsigned index)
{
    attach_or_bail();
    np_fetch_add_acq_rel(&ready, 1);
    for (unsigned round = index; !np_load_relaxed(&finish); round++) {
        hold(round, np_tls.thread);
        reach_point(round, np_tls.thread);
    }
    np_thread_detach();
}

static void test_never_early(enum np_clock clock, const char *name, bool with_stops)
{
    kind = clock;
    poisoned = finish = ready = 0;
    for (unsigned i = 0; i <= ROUNDS; i++)
        things[i] = (struct thing){i, ~(uint64_t)i};
    np_store_release(&shared, &things[0]);
    attach_or_bail();
    crew_start(&crew, READERS, read_on);
    crew_await(&ready, READERS);
    unsigned late = 0;
    for (unsigned i = 1; i <= ROUNDS && late == 0; i++) {
        struct thing *old = &things[i - 1];
        np_store_release(&shared, &things[i]);
        uint64_t tag = np_clock_tag(clock);
        np_clock_ask(clock, tag);
        uint64_t end = np_os_now_ns() + UINT64_C(20000000000);
        while (!np_clock_passed(clock, tag)) {
            np_quiescent_point(np_tls.thread);
            sched_yield();
            late += np_os_now_ns() > end;
            if (late > 0)
                break;
        }
        old->value = 0;
        old->check = 0;
        if (with_stops && i % 8 == 0) {
            np_world_stop(NP_STOP_COLLECT);
            np_world_start();
        }
    }
    np_store_relaxed(&finish, 1);
    crew_join(&crew);
    np_thread_detach();
    is_int(late, 0, "the %s clock passes", name);
    is_int(poisoned, 0, "and never while somebody holds what it guards");
}

/* ---- one by one ---- */

static uint32_t state_reached, go_on;

static void be_in_state(unsigned index)
{
    attach_or_bail();
    struct np_thread *self = np_tls.thread;
    if (index == 0)
        np_blocking_enter(self);
    else if (index == 1)
        np_park(self);
    np_store_release(&state_reached, 1);
    crew_await(&go_on, 1);
    if (index == 0)
        np_blocking_leave(self);
    else if (index == 1)
        np_unpark(self);
    np_store_release(&go_on, 2);
    crew_await(&go_on, 3);
    np_quiescent_point(self);
    np_store_release(&go_on, 4);
    crew_await(&go_on, 5);
    np_thread_detach();
}

static void be_running(unsigned index)
{
    (void)index;
    be_in_state(2);
}

static void be_parked(unsigned index)
{
    (void)index;
    be_in_state(1);
}

static void be_blocking(unsigned index)
{
    (void)index;
    be_in_state(0);
}

static bool own_tag_passes(enum np_clock clock)
{
    uint64_t tag = np_clock_tag(clock);
    np_clock_ask(clock, tag);
    if (np_tls.thread != NULL)
        np_quiescent_point(np_tls.thread);
    return np_clock_passed(clock, tag);
}

/* operation, peek: do these clocks pass while the thread is in the state, and when it has left it
 * without any point since? */
static void test_state(void (*run)(unsigned index), const char *state, bool operation, bool peek)
{
    state_reached = go_on = 0;
    crew_start(&crew, 1, run);
    crew_await(&state_reached, 1);
    uint64_t tags[4];
    for (unsigned i = 0; i < 2; i++) {
        tags[i] = np_clock_tag((enum np_clock)i);
        np_clock_ask((enum np_clock)i, tags[i]);
    }
    is_int(np_clock_passed(NP_CLOCK_OPERATION, tags[0]), operation,
           "a %s thread: the operation clock", state);
    is_int(np_clock_passed(NP_CLOCK_PEEK, tags[1]), peek, "a %s thread: the peek clock", state);
    for (unsigned i = 0; i < 2; i++) /* looked at when the thread has left the state */
        tags[2 + i] = np_clock_tag((enum np_clock)i);
    np_store_release(&go_on, 1);
    crew_await(&go_on, 2);
    is_int(np_clock_passed(NP_CLOCK_OPERATION, tags[2]), operation,
           "a thread that was %s since: the operation clock", state);
    is_int(np_clock_passed(NP_CLOCK_PEEK, tags[3]), peek,
           "a thread that was %s since: the peek clock", state);
    np_store_release(&go_on, 3);
    crew_await(&go_on, 4);
    ok(np_clock_passed(NP_CLOCK_OPERATION, tags[0]) && np_clock_passed(NP_CLOCK_PEEK, tags[1]),
       "both have passed after its next quiescent point");
    np_store_release(&go_on, 5);
    crew_join(&crew);
}

static void test_alone(void)
{
    ok(own_tag_passes(NP_CLOCK_OPERATION) && own_tag_passes(NP_CLOCK_PEEK),
       "without any attached thread a tag passes at once");
    attach_or_bail();
    uint64_t tag = np_clock_tag(NP_CLOCK_PEEK);
    np_clock_ask(NP_CLOCK_PEEK, tag);
    ok(!np_clock_passed(NP_CLOCK_PEEK, tag), "a thread's own tag waits for the thread");
    np_clock_ask(NP_CLOCK_OPERATION, np_clock_tag(NP_CLOCK_OPERATION));
    np_stop_point(np_tls.thread);
    ok(!np_clock_passed(NP_CLOCK_PEEK, tag), "a stop point does not move the peek clock");
    np_quiescent_point(np_tls.thread);
    ok(np_clock_passed(NP_CLOCK_PEEK, tag), "its next quiescent point does");
    is_int(np_load_relaxed(&np_tls.thread->requests), 0, "and nothing is asked any more");
    np_thread_detach();
}

int main(void)
{
    plan_lazy();
    crew_begin(NULL);
    test_alone();
    test_state(be_running, "RUNNING", false, false);
    test_state(be_parked, "PARKED", true, false);
    test_state(be_blocking, "BLOCKING", true, true);
    test_never_early(NP_CLOCK_OPERATION, "operation", false);
    test_never_early(NP_CLOCK_PEEK, "peek", true);
    np_threads_fini();
    return done();
}
