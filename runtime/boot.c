/* SPDX-License-Identifier: MIT
 *
 * The composition root: the one file that sees every floor. It wires them (who is called when a
 * thread comes, goes, blocks, or is asked for something) and owns the life of the runtime: init,
 * shutdown, version.
 *
 * Order of init: options, alloc, threads, weak table, collector, then the caller is attached.
 * Shutdown runs the other way and leaves memory mapped while anything in it is alive: a program may
 * still hold pointers.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc/heap.h"
#include "alloc/large.h"
#include "alloc/trace.h"
#include "base/cgroup.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/options.h"
#include "base/os.h"
#include "collector/collector.h"
#include "neap/gc.h"
#include "neap/runtime.h"
#include "neap/thread.h"
#include "observe/leaks.h"
#include "observe/record.h"
#include "observe/timeline.h"
#include "observe/tracer.h"
#include "runtime/batch.h"
#include "runtime/collect_hooks.h"
#include "runtime/contend.h"
#include "runtime/death.h"
#include "runtime/deferred.h"
#include "runtime/dynamic.h"
#include "runtime/ephemeron.h"
#include "runtime/fork.h"
#include "runtime/grace.h"
#include "runtime/helper.h"
#include "runtime/pending.h"
#include "runtime/pressure.h"
#include "runtime/string.h"
#include "runtime/table.h"
#include "runtime/usage.h"
#include "runtime/watch.h"
#include "threads/address_lock.h"
#include "threads/blocking.h"
#include "threads/clock.h"
#include "threads/fork.h"
#include "threads/safepoint.h"
#include "threads/thread.h"
#include "threads/watchdog.h"

static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* init and shutdown; not while user code runs */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
enum { LEAK_CHECK_EXIT = 2, LEAK_EXIT_CODE = 23 };
static unsigned nesting; /* (L) */
static bool ending;      /* (L) the last shutdown is at work, without the lock */
static pthread_t ender;  /* (L) who does it */

/* ---- threads ---- */

static bool attached(struct np_thread *thread)
{
    if (thread->heap == NULL) {
        thread->heap = np_heap_acquire(thread->id);
        if (thread->heap == NULL)
            return false;
    }
    if (thread->local == NULL) {
        thread->local = np_local_make(thread->id);
        if (thread->local == NULL)
            return false;
    }
    thread->heap->trace_quick = NULL; /* the slot's last thread's */
    np_tls.heap = thread->heap;
    np_tls.local = thread->local;
    np_tls.cells = thread->local->cells;
    np_tls_open_cache();
    if (!np_batch_provide(thread->local)) {
        np_tls.heap = NULL;
        np_tls.local = NULL;
        np_tls.cells = NULL;
        return false;
    }
    np_collector_adopt_heap(thread->heap);
    np_pressure_attached(thread);
    return true;
}

/* No user code: batches and foreign frees on their way, queues emptied. */
static void flush(struct np_thread *thread)
{
    np_batch_flush(thread->local);
    np_heap_flush_outgoing(thread->heap);
}

static void drain_queues(struct np_thread *thread)
{
    np_batch_drain(thread->local);
    np_heap_drain_remote(thread->heap);
}

/* The usual case of a thread that is about to sleep. What others have queued for it is looked at
 * after it published that it sleeps, and drained by the handlers. */
static bool is_settled(struct np_thread *thread)
{
    const struct np_local *local = thread->local;
    return !np_batch_is_open(local) && np_death_is_empty(local) && np_pending_count() == 0 &&
           np_grace_bytes() == 0 && np_heap_is_settled(thread->heap);
}

static np_noinline void settle_before_blocking(struct np_thread *thread)
{
    int saved = errno;
    flush(thread);
    np_grace_abandon(thread->local); /* others may poll while this thread sleeps */
    thread->local->destroying = np_tls.dying > 0;
    if (np_pending_count() > 0 || np_grace_bytes() > 0 || !np_death_is_empty(thread->local))
        np_helper_wake(); /* nobody else may come by */
    errno = saved;
}

static void before_blocking(struct np_thread *thread)
{
    if (np_unlikely(!is_settled(thread)))
        settle_before_blocking(thread);
}

/* A thread that leaves for good has no later poll: what it merged while it left must be dead and
 * gone too. */
static bool has_work(struct np_thread *thread)
{
    if (np_unlikely(np_batch_has_queued(thread->local) || np_heap_has_remote(thread->heap)))
        return true;
    bool leaving = thread->blocking_depth == 0 && thread == np_tls.thread;
    return leaving && !np_death_is_empty(thread->local);
}

/* Everything that is pending runs here; what the user code of one round makes, the next round
 * takes. */
static void detaching(struct np_thread *thread)
{
    bool done;
    np_pressure_serve();
    do {
        drain_queues(thread);
        before_blocking(thread);
        np_contend_serve(thread->local);
        np_grace_poll(thread->local);
        size_t ran = np_pending_run(SIZE_MAX);
        done = np_death_drain(thread->local, 0) && ran == 0 && !np_batch_is_open(thread->local) &&
               !thread->local->contended_held;
    } while (!done);
    flush(thread);
    np_grace_abandon(thread->local);
    np_deferred_fold_local(thread->local);
    np_heap_abandon(thread->heap);
    if (np_pending_count() > 0 || np_grace_bytes() > 0)
        np_helper_wake();
}

static void merge(struct np_thread *thread)
{
    np_batch_drain(thread->local);
}

static void take_remote(struct np_thread *thread)
{
    np_heap_drain_remote(thread->heap);
}

static const struct np_thread_hooks thread_hooks = {
    .attached = attached,
    .detaching = detaching,
    .has_work = has_work,
    .before_blocking = before_blocking,
    .handler = {[3] = merge, [4] = take_remote, [6] = flush},
};
_Static_assert(NP_REQUEST_MERGE == 1 << 3 && NP_REQUEST_REMOTE == 1 << 4 &&
                   NP_REQUEST_FLUSH == 1 << 6,
               "handlers are indexed by bit");

/* ---- alloc ---- */

static bool claim(uint16_t id, void (*function)(struct np_heap *heap))
{
    struct np_thread *thread = np_thread_at(id);
    if (np_thread_claim(thread)) {
        function(thread->heap);
        np_thread_unclaim(thread);
        return true;
    }
    np_thread_request(thread, NP_REQUEST_REMOTE);
    return false;
}

static uint64_t operation_tag(void)
{
    return np_clock_tag(NP_CLOCK_OPERATION);
}

static bool operation_passed(uint64_t tag)
{
    return np_clock_passed(NP_CLOCK_OPERATION, tag);
}

static void operation_ask(uint64_t tag)
{
    np_clock_ask(NP_CLOCK_OPERATION, tag);
}

static const struct np_alloc_hooks alloc_hooks = {
    .claim = claim,
    .clock_tag = operation_tag,
    .clock_passed = operation_passed,
    .clock_ask = operation_ask,
    .idle = np_helper_wake,
    .may_fail = np_fault,
    .pressed = np_pressure_raise,
};

/* ---- collector ---- */

/* Out of memory: an old collection without user code, and what waits for a grace period. */
static void reclaim(void)
{
    np_collector_reclaim(NEAP_GC_CAUSE_MEMORY);
    np_large_reclaim();
}

/* ---- life ---- */

static int start_floors(void)
{
    if (np_alloc_init(&alloc_hooks) != 0)
        return NEAP_ENOMEM;
    np_pressure_init();
    if (np_threads_init(&thread_hooks) != 0) {
        np_alloc_fini();
        return NEAP_ENOMEM;
    }
    if (np_collector_init() != 0) {
        np_threads_fini();
        np_alloc_fini();
        return NEAP_ENOMEM;
    }
    np_collect_hooks = (struct np_collect_hooks){np_collector_serve_debt, reclaim};
    return NEAP_OK;
}

static void stop_floors(void)
{
    np_collect_hooks = (struct np_collect_hooks){NULL, NULL};
    np_collector_fini();
    np_pressure_fini();
    np_deferred_fini();
    np_string_fini();
    np_ephemeron_fini();
    np_watch_fini();
    np_address_locks_fini();
    np_threads_fini();
    np_batch_free_all();
    np_alloc_fini();
    np_fault_disarm();
}

static int first_init(const struct neap_options *options)
{
    char error[256];
    const char *text = np_os_privileged() ? NULL : getenv("NEAP_OPTIONS");
    if (np_options_load(options, text, error, sizeof error) != 0) {
        if (text != NULL)
            fprintf(stderr, "neap: NEAP_OPTIONS: %s\n", error);
        return NEAP_EINVAL;
    }
    np_cgroup_apply("", &np_options);
    np_fault_arm(np_options.fail_nth, np_options.fail_one_in, np_options.fail_seed);
    int status = start_floors();
    if (status != NEAP_OK) {
        np_fault_disarm();
        return status;
    }
    np_watchdog_set(np_options.safepoint_warn_ms * 1000000, NULL);
    np_watchdog_set_backtrace(np_options.safepoint_backtrace != 0);
    np_usage_set_alive(true);
    status = np_thread_attach("main");
    if (status != NEAP_OK) {
        np_usage_set_alive(false);
        stop_floors();
        return status;
    }
    np_helper_allow(); /* no earlier: a start that fails would leave it allowed */
    np_collector_allow();
    return NEAP_OK;
}

int neap_init(const struct neap_options *options)
{
    np_lock_parked(&lock);
    int status;
    bool first = false;
    if (ending && pthread_equal(ender, pthread_self())) {
        status = NEAP_ESTATE;
    } else {
        while (ending)
            pthread_cond_wait(&changed, &lock);
        first = nesting == 0;
        status = first ? first_init(options) : np_thread_attach(NULL);
        if (status == NEAP_OK)
            nesting++;
    }
    pthread_mutex_unlock(&lock);
    if (first && status == NEAP_OK)
        np_record_begin();
    return status;
}

/* The dead release what they held, which is batched for owners that are gone, whose merging makes
 * new dead: a chain of objects dies one link per turn. Returns the pending items run. */
static size_t settle_deaths(struct np_thread *thread)
{
    size_t ran = 0;
    do {
        drain_queues(thread);
        before_blocking(thread);
        np_user_point_slow(thread);
        np_grace_poll(thread->local);
        ran += np_pending_run(SIZE_MAX);
        np_death_drain(thread->local, 0);
    } while (np_batch_is_open(thread->local) || !np_death_is_empty(thread->local));
    return ran;
}

/* Until nothing more comes of it: a finalizer may make or drop what the next round finds. */
static void settle_everything(void)
{
    for (unsigned round = 0; round < 100; round++) {
        uint64_t faults = np_fault_count(); /* a round that lacked memory proves nothing */
        size_t ran = settle_deaths(np_tls.thread);
        ptrdiff_t found = neap_collect(2);
        ran += settle_deaths(np_tls.thread);
        if (found == 0 && faults == np_fault_count() && ran == 0 && np_pending_count() == 0 &&
            np_grace_bytes() == 0)
            return;
    }
}

/* The outermost shutdown. User code runs in here: without the lock. */
static size_t end_runtime(struct neap_leaks **ret_leaks)
{
    np_record_end();
    np_collector_end();
    settle_everything();
    np_dynamic_end();
    np_table_end();
    struct neap_leaks *own = NULL;
    bool check = np_options.leak_check != 0;
    size_t leaked = np_leaks_count(ret_leaks != NULL ? ret_leaks : check ? &own : NULL);
    if (check && leaked > 0)
        neap_leaks_print(ret_leaks != NULL ? *ret_leaks : own, stderr);
    neap_leaks_free(own);
    np_tracer_end();
    while (np_tls.attached > 0)
        np_thread_detach();
    np_usage_set_alive(false);
    stop_floors();
    return leaked;
}

size_t neap_shutdown(struct neap_leaks **ret_leaks)
{
    if (!np_usage_alive())
        return 0;
    np_usage_check("neap_shutdown");
    /* not under the lock: what it runs may call neap_init */
    np_helper_forbid();
    np_collector_forbid();
    np_lock_parked(&lock);
    size_t leaked = 0;
    bool last = nesting == 1 && !ending && np_tls.dying == 0 && np_thread_attached_count() == 1;
    if (last) {
        ending = true;
        ender = pthread_self();
    } else if (nesting > 1) {
        nesting--;
    } else {
        leaked = SIZE_MAX;
    }
    pthread_mutex_unlock(&lock);
    if (!last) {
        np_helper_allow();
        np_collector_allow();
        if (leaked == 0)
            np_thread_detach(); /* may run user code */
    }
    if (leaked == SIZE_MAX)
        return leaked;
    if (ret_leaks != NULL)
        *ret_leaks = NULL;
    if (last) {
        leaked = end_runtime(ret_leaks);
        np_lock_parked(&lock);
        nesting = 0;
        ending = false;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        if (leaked > 0 && np_options.leak_check == LEAK_CHECK_EXIT)
            exit(LEAK_EXIT_CODE);
    }
    return leaked;
}

/* ---- fork ---- */

static bool forked_alive; /* (L) of the fork at hand: the runtime was up */

/* In the order of their ranks: no lock is taken that a stopped thread may hold. */
static void before_fork(void)
{
    np_lock_parked(&lock);
    forked_alive = np_usage_alive();
    np_tracer_before_fork();
    np_timeline_before_fork();
    np_table_before_fork();
    if (forked_alive) {
        np_collector_before_fork();
        np_threads_fork_prepare();
        np_collector_before_fork_stopped();
    }
    np_pressure_lock();
    np_tracer_before_fork_stopped();
    np_type_before_fork();
    np_alloc_before_fork();
}

static void release_locks(void)
{
    np_alloc_after_fork();
    np_type_after_fork();
    np_tracer_after_fork();
    np_pressure_unlock();
    np_table_after_fork();
    if (forked_alive)
        np_collector_after_fork();
}

static void after_fork_parent(void)
{
    release_locks();
    np_timeline_after_fork_parent();
    if (forked_alive)
        np_threads_fork_parent();
    pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
    release_locks();
    np_timeline_after_fork_child();
    np_helper_forked();
    if (forked_alive) {
        np_collector_forked();
        np_threads_fork_child(NULL);
        np_address_locks_forget_waiters();
    }
    pthread_mutex_unlock(&lock);
}

static __attribute__((constructor)) void prepare(void)
{
    np_trace_hooks = np_tracer_hooks;
    np_alloc_register();
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

const char *neap_version(void)
{
    return NEAP_VERSION;
}

const char *neap_strerror(int status)
{
    switch (status) {
    case NEAP_OK:
        return "no error";
    case NEAP_ENOMEM:
        return "out of memory, threads or slots";
    case NEAP_EINVAL:
        return "an argument or option is out of range";
    case NEAP_ESTATE:
        return "the call does not fit the state the library is in";
    case NEAP_EUNSUPPORTED:
        return "not supported by this build or system";
    case NEAP_EIO:
        return "a file or stream could not be written";
    default:
        return "not a neap status";
    }
}
