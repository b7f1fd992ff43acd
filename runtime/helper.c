/* SPDX-License-Identifier: MIT
 *
 * The helper sleeps in a blocking region, so nothing waits for it, until the next thing that is
 * due. Waking it is a store and a futex call, and only when it sleeps longer than the new work can
 * wait.
 *
 * Concurrency: `lock` guards starting and stopping. `sleeping` and `word` are the usual pair: the
 * helper announces that it sleeps, then looks for work; who has work makes it visible, then looks
 * whether the helper sleeps.
 */
#include "runtime/helper.h"

#include <pthread.h>

#include "alloc/stats.h"
#include "base/options.h"
#include "base/os.h"
#include "base/perturb.h"
#include "neap/thread.h"
#include "runtime/batch.h"
#include "runtime/death.h"
#include "runtime/grace.h"
#include "runtime/pending.h"
#include "runtime/pressure.h"
#include "runtime/table.h"
#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/safepoint.h"

enum {
    ROUNDS = 1000,
    STEP_NS = 5000000
}; /* the finest the helper looks, while it has something to wait for */

static struct {
    pthread_mutex_t lock;
    pthread_t thread;   /* (L) */
    uint32_t word;      /* (x) raised by every wake: what the helper sleeps on */
    bool running;       /* (L) written; read as a hint */
    unsigned forbidden; /* (L) shutdowns under way; 1 until the first neap_init; read as a hint */
    bool end;           /* (x) asked to leave */
    struct np_thread *slot; /* (x) its registry slot, while attached */
    bool idle;              /* (x) sleeps without an end */
    uint64_t pending_ns;    /* (o) helper: since when something is pending, 0: nothing is */
} helper = {.lock = PTHREAD_MUTEX_INITIALIZER, .forbidden = 1};

/* Pending user code that has waited for finalize_ms. Returns ns until it wants to look again,
 * UINT64_MAX: never. */
static uint64_t serve_pending(uint64_t now_ns, uint64_t *since_ns)
{
    uint64_t patience_ns = np_options.finalize_ms * 1000000;
    if (patience_ns == 0 || np_pending_count() == 0) {
        *since_ns = 0;
        return UINT64_MAX;
    }
    if (*since_ns == 0)
        *since_ns = now_ns;
    if (now_ns - *since_ns < patience_ns)
        return patience_ns - (now_ns - *since_ns);
    /* a chain of objects whose owners sleep comes one link per round */
    unsigned round = 0;
    for (; round < ROUNDS && np_pending_run_patient() > 0; round++) {
        np_death_drain(np_tls.local, 0);
        np_batch_flush(np_tls.local);
        np_death_drain(np_tls.local, 0); /* the link that the delivery found dead */
    }
    if (round < ROUNDS) {
        *since_ns = 0; /* else the rest of a long chain has waited long enough */
        if (np_pending_count() > 0)
            np_pending_ask_all(); /* prompt objects: not the helper's */
    }
    return STEP_NS;
}

/* A hint, asked again under the claim. */
static bool may_have_dead(const struct np_local *local)
{
    bool any = np_load_relaxed(&local->partial) != NULL; /* relaxed, all */
    for (unsigned list = 0; list < NP_DYING_LISTS; list++)
        any |= np_load_relaxed(&local->dying[list]) != NULL;
    return any;
}

/* The dead that threads left behind their budgets when they went to sleep, as far as no user code
 * is needed; the rest becomes pending. */
static void serve_sleepers(void)
{
    np_death_settle(np_tls.local, np_options.release_budget);
    for (uint32_t id = 1; id <= np_thread_high(); id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        struct np_local *local = np_local_of((uint16_t)id);
        if (local == NULL || thread == np_tls.thread || !may_have_dead(local) ||
            !np_thread_claim(thread))
            continue;
        /* what is queued inside a disposal, or by one that is parked on its way, is its own */
        bool asleep = np_thread_state_of(thread) == NP_BLOCKING && !local->destroying;
        np_death_take(local, asleep);
        np_thread_unclaim(thread);
        np_death_settle(np_tls.local, np_options.release_budget);
    }
}

static uint64_t sooner(uint64_t ns, uint64_t other_ns)
{
    return ns < other_ns ? ns : other_ns;
}

/* One round of all background work; the caller is attached and at a quiescent point. */
static uint64_t tick(uint64_t *since_ns)
{
    uint64_t now_ns = np_os_now_ns();
    np_quiescent_point(np_tls.thread);
    if (np_tls.dying > 0)
        return STEP_NS; /* neap_tick inside a dispose */
    np_pressure_serve();
    uint64_t next_ns;
    while ((next_ns = np_alloc_decay(now_ns)) == 0)
        np_quiescent_point(np_tls.thread);
    np_grace_poll(np_tls.local);
    serve_sleepers();
    next_ns = sooner(next_ns, serve_pending(now_ns, since_ns));
    /* what the helper is not to run: whoever polls next does */
    if (np_options.finalize_ms == 0 && np_pending_count() > 0)
        np_pending_ask_all();
    while (np_table_serve())
        np_quiescent_point(np_tls.thread);
    if (np_grace_bytes() > 0 || np_table_wants_service())
        next_ns = STEP_NS;
    return next_ns < STEP_NS ? STEP_NS : next_ns;
}

/* The helper sleeps already, by its word, and what it merged on the way there was not in its last
 * round. */
static uint64_t look_again(const struct np_local *local, uint64_t next_ns)
{
    if (np_grace_bytes() > 0 || !np_death_is_empty(local))
        return STEP_NS;
    uint64_t patience_ns = np_options.finalize_ms * 1000000;
    return np_pending_count() > 0 && patience_ns > 0 ? sooner(next_ns, patience_ns) : next_ns;
}

static void *helper_routine(void *arg)
{
    (void)arg;
    while (np_thread_attach("neap helper") != 0) { /* out of memory: later, perhaps */
        if (np_load_relaxed(&helper.end))
            return NULL;
        np_os_wait(&helper.word, np_load_relaxed(&helper.word), 20 * (uint64_t)STEP_NS);
    }
    np_store_relaxed(&helper.slot, np_tls.thread);
    while (!np_load_relaxed(&helper.end)) {
        uint32_t seen =
            np_load_acquire(&helper.word); /* [MM-helper-1] acquire: work before the wake is seen */
        uint64_t next_ns = tick(&helper.pending_ns);
        struct np_local *local = np_tls.local;
        np_blocking_enter(np_tls.thread);
        next_ns = look_again(local, next_ns);
        /* [MM-helper-2] seq_cst: idle is visible before the word is looked at again in np_os_wait
         */
        np_store_seq_cst(&helper.idle, next_ns > 20 * (uint64_t)STEP_NS);
        np_perturb(helper_idle);
        np_os_wait(&helper.word, seen, next_ns);
        np_blocking_leave(np_tls.thread);
        np_store_relaxed(&helper.idle, false);
    }
    np_store_relaxed(&helper.slot, NULL);
    np_thread_detach();
    return NULL;
}

static void start_locked(void)
{
    np_store_relaxed(&helper.end, false);
    bool started = np_os_start_thread(&helper.thread, helper_routine, NULL);
    np_store_relaxed(&helper.running, started);
}

void np_helper_wake(void)
{
    /* relaxed: equal only on the helper itself, which looks again anyway */
    struct np_thread *self = np_tls.thread;
    if (np_options.helper == 0 || (self != NULL && np_load_relaxed(&helper.slot) == self))
        return;
    if (np_load_relaxed(
            &helper.running)) { /* relaxed: a hint; starting looks again under the lock */
        /* [MM-helper-1] seq_cst: the work comes before; [MM-helper-2] and the look at idle comes
         * after */
        np_fetch_add_seq_cst(&helper.word, 1);
        if (np_load_seq_cst(&helper.idle))
            np_os_wake_all(&helper.word);
        return;
    }
    if (pthread_mutex_trylock(&helper.lock) != 0)
        return; /* somebody is starting or stopping it */
    if (!helper.running && helper.forbidden == 0)
        start_locked();
    pthread_mutex_unlock(&helper.lock);
}

bool np_helper_may_run(void)
{
    return np_options.helper != 0 && np_load_relaxed(&helper.forbidden) == 0; /* relaxed: a hint */
}

void np_helper_forbid(void)
{
    np_lock_parked(&helper.lock);
    np_store_relaxed(&helper.forbidden, helper.forbidden + 1);
    pthread_t thread = helper.thread;
    bool running = np_load_relaxed(&helper.running);
    np_store_relaxed(&helper.running, false);
    np_store_relaxed(&helper.end, true);
    pthread_mutex_unlock(&helper.lock);
    np_fetch_add_seq_cst(&helper.word, 1); /* [MM-helper-1] as in np_helper_wake */
    np_os_wake_all(&helper.word);
    if (running) {
        np_blocking_enter(np_tls.thread);
        pthread_join(thread, NULL);
        np_blocking_leave(np_tls.thread);
    }
}

void np_helper_allow(void)
{
    np_lock_parked(&helper.lock);
    np_store_relaxed(&helper.forbidden, helper.forbidden - 1);
    pthread_mutex_unlock(&helper.lock);
}

void np_helper_forked(void)
{
    pthread_mutex_init(&helper.lock, NULL);
    helper.running = helper.idle = helper.end = false;
    helper.slot = NULL;
}

void neap_tick(void)
{
    static uint64_t
        since_ns; /* (x) relaxed: programs call from one loop; two only look more often */
    np_usage_check("neap_tick");
    /* the caller's own, user code and all: as at a poll, one link per turn */
    while (np_tls.dying == 0 && (!np_death_drain(np_tls.local, np_options.release_budget) ||
                                 np_batch_is_open(np_tls.local))) {
        np_batch_flush(np_tls.local);
        np_quiescent_point(np_tls.thread);
    }
    uint64_t since = np_load_relaxed(&since_ns);
    (void)tick(&since);
    np_store_relaxed(&since_ns, since);
}
