/* SPDX-License-Identifier: MIT
 *
 * The public thread calls: thin, over threads/, with the runtime's share (user code, destruction
 * backlog) at the points where design.md allows it. */
#include "neap/thread.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/options.h"
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

struct start {
    void *(*run)(void *);
    void *arg;
    char name[32];
};

static void *start_routine(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    if (np_thread_attach(start.name) != NEAP_OK)
        np_panic_at("neap_thread_create", "thread \"%s\" could not be attached: out of memory",
                    start.name);
    void *value = start.run(start.arg);
    while (np_tls.attached > 0)
        np_thread_detach();
    return value;
}

int neap_thread_create(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg)
{
    np_usage_check("neap_thread_create");
    struct start *start = np_fault_calloc(1, sizeof *start);
    if (start == NULL)
        return NEAP_ENOMEM;
    start->run = run;
    start->arg = arg;
    for (size_t i = 0; name != NULL && name[i] != '\0' && i < sizeof start->name - 1; i++)
        start->name[i] = name[i];
    int saved = errno;
    int failed = np_fault() ? EAGAIN : pthread_create(ret_thread, NULL, start_routine, start);
    errno = saved;
    if (failed != 0) {
        free(start);
        return NEAP_ENOMEM;
    }
    return NEAP_OK;
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
