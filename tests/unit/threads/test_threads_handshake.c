/* SPDX-License-Identifier: MIT
 *
 * Handshakes run once per slot, whatever the slot's thread is doing, and by one thread at a time.
 */
#include "tests/unit/threads/crew.h"

enum { RUNNERS = 3, BLOCKERS = 3, PARKERS = 2, CHANGERS = 4, SHAKES = 100 };
enum { ALL = RUNNERS + BLOCKERS + PARKERS + CHANGERS };

static struct crew crew;
static uint32_t ready, finish;
static uint32_t *answers; /* by slot number, in this handshake: plain, the slot's */

static void attach_or_bail(void)
{
    if (np_thread_attach("hand") != NEAP_OK)
        bail("attach failed");
}

/* The hooks of the runtime: the thread's state hangs at np_tls while it is attached. */
static char state_of_all;

static bool on_attach(struct np_thread *thread)
{
    thread->heap = (struct np_heap *)(void *)&state_of_all;
    np_tls.heap = thread->heap;
    return true;
}

static void on_detach(struct np_thread *thread)
{
    (void)thread;
    np_tls.heap = NULL;
}

static const struct np_thread_hooks hooks = {.attached = on_attach, .detaching = on_detach};
static uint32_t stateless;

static void answer(struct np_thread *thread, void *arg)
{
    if (np_tls.heap == NULL || thread->heap == NULL)
        np_fetch_add_relaxed(&stateless, 1);
    uint32_t *counts = arg;
    counts[thread->id]++;
}

static void rest(unsigned index)
{
    struct np_thread *self = np_tls.thread;
    if (index < RUNNERS) {
        np_stop_point(self);
    } else if (index < RUNNERS + BLOCKERS) {
        np_blocking_enter(self);
        while (!np_load_relaxed(&finish))
            usleep(1000);
        np_blocking_leave(self);
    } else if (index < RUNNERS + BLOCKERS + PARKERS) {
        np_park(self);
        while (!np_load_relaxed(&finish))
            usleep(1000);
        np_unpark(self);
    } else if (index % 2 == 0) {
        np_blocking_enter(self);
        np_blocking_leave(self);
    } else {
        np_park(self);
        np_unpark(self);
        np_thread_detach();
        attach_or_bail();
    }
}

static void take_part(unsigned index)
{
    attach_or_bail();
    np_fetch_add_acq_rel(&ready, 1);
    np_blocking_enter(np_tls.thread);
    crew_await(&ready, ALL); /* so that each slot there will ever be is there */
    np_blocking_leave(np_tls.thread);
    while (!np_load_relaxed(&finish))
        rest(index);
    np_thread_detach();
}

static void test_once_each(void)
{
    attach_or_bail();
    crew_start(&crew, ALL, take_part);
    crew_await(&ready, ALL);
    uint32_t high = np_thread_high();
    /* for every id there may be: who comes back meanwhile may get a new slot */
    answers = calloc((size_t)NEAP_OWNER_LAST + 1, sizeof *answers);
    if (answers == NULL)
        bail("out of memory");
    for (unsigned i = 0; i < SHAKES; i++)
        np_handshake(answer, answers);
    unsigned wrong = 0;
    for (uint32_t id = 1; id <= high; id++)
        wrong += answers[id] != SHAKES;
    is_int(wrong, 0, "%d handshakes run once each for %d slots in every state", SHAKES, (int)high);
    np_store_relaxed(&finish, 1);
    crew_join(&crew);
    np_handshake(answer, answers);
    is_int(np_thread_high(), ALL + 1, "every slot was there from the start");
    wrong = 0;
    for (uint32_t id = 1; id <= high; id++)
        wrong += answers[id] != SHAKES + 1;
    is_int(wrong, 0, "detached slots are answered on their behalf");
    is_int(stateless, 0, "who answers has an attached thread's state, also while it detaches");
    free(answers);
    np_thread_detach();
}

/* ---- beside each other and beside stops ---- */

static uint64_t total;

static void add_up(struct np_thread *thread, void *arg)
{
    (void)thread;
    np_fetch_add_relaxed((uint64_t *)arg, (uint64_t)1);
}

static void shake_and_stop(unsigned index)
{
    attach_or_bail();
    np_fetch_add_acq_rel(&ready, 1);
    np_blocking_enter(np_tls.thread);
    crew_await(&ready, 6);
    np_blocking_leave(np_tls.thread);
    for (unsigned i = 0; i < 60; i++) {
        if (index < 4) {
            np_handshake(add_up, &total);
        } else {
            np_world_stop(NP_STOP_COLLECT);
            np_world_start();
        }
        np_stop_point(np_tls.thread);
    }
    np_blocking_enter(np_tls.thread);
    np_fetch_add_acq_rel(&finish, 1);
    crew_await(&finish, 6);
    np_blocking_leave(np_tls.thread);
    np_thread_detach();
}

static void test_many_requesters(void)
{
    ready = finish = 0;
    uint32_t high = np_thread_high();
    crew_start(&crew, 6, shake_and_stop);
    crew_join(&crew);
    is_int(np_thread_high(), high, "slots are reused");
    is_int(total, 4 * 60 * high, "4 requesters beside 2 stoppers: once per slot and handshake");
}

int main(void)
{
    plan_lazy();
    crew_begin(&hooks);
    test_once_each();
    test_many_requesters();
    np_threads_fini();
    return done();
}
