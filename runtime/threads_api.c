/* SPDX-License-Identifier: MIT
 *
 * The public thread calls: thin, over threads/, with the runtime's share (user code, destruction
 * backlog) at the points where user code may run (docs/rules.md). */
#include "neap/thread.h"

#include <errno.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/options.h"
#include "base/os.h"
#include "runtime/batch.h"
#include "runtime/contend.h"
#include "runtime/death.h"
#include "runtime/grace.h"
#include "runtime/pending.h"
#include "runtime/pressure.h"
#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/safepoint.h"

int neap_thread_attach(const char *name)
{
    if (!np_usage_alive())
        return NEAP_ESTATE;
    return np_thread_attach(name);
}

void neap_thread_detach(void)
{
    if (!np_usage_alive())
        return;
    np_check(np_tls.attached > 0, "this thread is not attached");
    np_check(np_tls.id != NEAP_OWNER_NOBODY, "called inside a blocking region");
    np_check(np_tls.dying == 0 || np_tls.attached > 1,
             "called inside a dispose, finalizer or callback");
    np_thread_detach();
}

/* On the stack of the creator, who waits until the new thread is attached or was refused: then it
 * can be told of a lack of memory. */
struct start {
    void *(*run)(void *);
    void *arg;
    const char *name;
    uint32_t outcome; /* (x) */
};
enum { STARTING, ATTACHED, REFUSED };

static void *start_routine(void *arg)
{
    struct start *start = arg, own = *start;
    bool attached = np_thread_attach(own.name) == NEAP_OK;
    /* [MM-start-1] release: start is not read any more; pairs with the acquire in wait_for. The
     * waking needs its address only */
    np_store_release(&start->outcome, attached ? (uint32_t)ATTACHED : (uint32_t)REFUSED);
    np_os_wake_all(&start->outcome);
    if (!attached)
        return NULL;
    void *value = own.run(own.arg);
    while (np_tls.attached > 0)
        np_thread_detach();
    return value;
}

/* True: the thread is attached. */
static bool wait_for(const struct start *start, pthread_t thread)
{
    uint32_t outcome;
    np_park(np_tls.thread);
    /* [MM-start-1] acquire: pairs with the release in start_routine */
    while ((outcome = np_load_acquire(&start->outcome)) == STARTING)
        np_os_wait(&start->outcome, STARTING, UINT64_MAX);
    if (outcome == REFUSED)
        pthread_join(thread, NULL);
    np_unpark(np_tls.thread);
    return outcome == ATTACHED;
}

int neap_thread_create(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg)
{
    np_usage_check("neap_thread_create");
    struct start start = {.run = run, .arg = arg, .name = name, .outcome = STARTING};
    int saved = errno;
    bool made = !np_fault() && pthread_create(ret_thread, NULL, start_routine, &start) == 0 &&
                wait_for(&start, *ret_thread);
    errno = saved;
    return made ? NEAP_OK : NEAP_ENOMEM;
}

/* Something was asked: acknowledge, then take a budget of what waits for a place to run user code.
 * What dies releases what it held, in batches for owners that sleep, and only their delivery, at
 * the next turn, tells what died of it: so a chain of a sleeper's objects dies one link per turn.
 */
static np_cold void safepoint_slow(struct np_thread *thread)
{
    uint64_t budget = np_options.release_budget == 0 ? UINT64_MAX : np_options.release_budget;
    uint64_t before;
    bool done;
    do {
        before = budget;
        np_user_point_slow(thread);
        if (np_tls.dying > 0)
            return; /* inside a dispose or finalizer: the outer loop goes on */
        np_grace_poll(np_tls.local);
        np_contend_serve(np_tls.local);
        np_pressure_serve();
        budget -= np_pending_run(budget);
        done = np_death_drain_within(np_tls.local, &budget);
    } while (done && budget > 0 && budget < before && np_batch_is_open(np_tls.local));
    if (!done || np_pending_count() > 0)
        np_thread_request(thread, NP_REQUEST_PENDING);
}

void neap_safepoint_slow(void)
{
    const struct neap_site *site = np_load_relaxed(&np_tls.poll->site); /* relaxed: our own */
    np_usage_check("neap_safepoint");
    struct np_thread *thread = np_tls.thread;
    np_store_relaxed(&thread->site, site); /* relaxed: a hint; it may have been attached just now */
    if (np_load_relaxed(&thread->requests) != 0) /* relaxed: read again with acquire */
        safepoint_slow(thread);
}

void neap_safepoint_at(const struct neap_site *site)
{
    struct neap_poll_point *poll = np_tls.poll;
    np_store_relaxed(&poll->site, site); /* relaxed, both: see neap_safepoint_inline */
    if (np_unlikely(!np_is_zero_relaxed(&poll->requests)))
        neap_safepoint_slow();
}

/* For callers by address: the macro gives a site. */
void(neap_safepoint)(void)
{
    np_usage_check("neap_safepoint");
    struct np_thread *thread = np_tls.thread;
    np_poll_code(thread, __builtin_return_address(0));
    if (np_unlikely(np_load_relaxed(&thread->requests) != 0)) /* relaxed: as above */
        safepoint_slow(thread);
}

size_t neap_run_pending(size_t most)
{
    np_usage_check("neap_run_pending");
    np_poll_code(np_tls.thread, __builtin_return_address(0));
    np_quiescent_point(np_tls.thread);
    np_pressure_serve();
    return np_tls.dying > 0 ? 0 : np_pending_run(most);
}

void neap_blocking_enter(void)
{
    /* not the id too: leaving has just written it, and both in one load would wait for that */
    if (np_unlikely(np_tls.attached == 0))
        np_usage_fail("neap_blocking_enter");
    np_blocking_enter(np_tls.thread);
}

void neap_blocking_leave(void)
{
    np_check(np_tls.attached > 0 && np_tls.thread->blocking_depth > 0,
             "not inside a blocking region");
    np_poll_code(np_tls.thread, __builtin_return_address(0));
    np_blocking_leave(np_tls.thread);
}
