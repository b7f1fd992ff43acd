/* SPDX-License-Identifier: MIT
 *
 * The phase machine: one collection, from the request to the last freed block.
 *
 *   request                              any thread: neap_collect, a heap in debt, out of memory
 *     |  collector.lock, parked          one collection at a time
 *     v
 *   handshake   running                  every thread: batches sent, merge queues drained
 *     v
 *   STOP
 *   fold        stopped  deferred.c      sums of per-thread counts
 *   gather      stopped  universe.c      which pools and large objects
 *   known live  stopped  trace.c         what immortal objects reach is passed over by counting
 *   count       stopped  count.c         counts minus references from inside, in side words
 *   trace       stopped  trace.c         restore what is reachable from what is held from outside
 *   weak, part  stopped  garbage.c       clear weak references, condemn, hold for user code
 *   promote     stopped  universe.c      lists of young and middle pools
 *   START
 *     v
 *   clean       running                  side words back to zero; collector.lock is given up, but
 *                                        kept for the sweep of much garbage, which the crew shares
 *   sweep       running  sweep.c         plain garbage: release what leaves the set, free it
 *   finalize    running, user code       callbacks, finalizers      } at once in neap_collect, else
 *   recheck     lock, handshake, STOP    the held set only          } as a pending item, on the
 *   dispose     running, user code       dispose, release, free     } first thread that may
 *
 * Before all that a heap in debt collects alone (confined.h), which may make the rest unnecessary.
 *
 * No user code runs in a stopped world, under the lock, or inside an allocation. Sets with
 * published peekable members wait on `waiting` for their peek grace period; each automatic
 * collection looks at that list, and neap_collect waits for all of it.
 */
#include "collector/collector.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "alloc/heap.h"
#include "alloc/large.h"
#include "base/check.h"
#include "base/event.h"
#include "base/options.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/probe.h"
#include "collector/audit.h"
#include "collector/collect.h"
#include "collector/concurrent.h"
#include "collector/confined.h"
#include "collector/count.h"
#include "collector/crew.h"
#include "collector/events.h"
#include "collector/garbage.h"
#include "collector/known.h"
#include "collector/pacing.h"
#include "collector/phases.h"
#include "collector/plan.h"
#include "collector/report.h"
#include "collector/saved.h"
#include "collector/scan.h"
#include "collector/sweep.h"
#include "collector/trace.h"
#include "collector/verify.h"
#include "neap/gc.h"
#include "neap/status.h"
#include "runtime/batch.h"
#include "runtime/death.h"
#include "runtime/deferred.h"
#include "runtime/hold.h"
#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/clock.h"
#include "threads/handshake.h"
#include "threads/safepoint.h"

/* Entries of the mark stack: 128 million, 1 GiB of address space; beyond, trace.c rescans. */
#define STACK_ENTRIES ((size_t)1 << 27)

static struct {
    pthread_mutex_t lock;
    struct np_thread
        *walker; /* (L) who holds the lock while user code runs; only its own thread asks */
    struct np_list
        waiting; /* (L) np_garbage whose peek grace period has not passed, oldest first */
} collector = {.lock = PTHREAD_MUTEX_INITIALIZER,
               .waiting = {&collector.waiting, &collector.waiting}};

int np_collector_init(void)
{
    np_list_init(&collector.waiting);
    np_pacing_init();
    np_report_init();
    if (np_side_init() == 0 && np_universe_init() == 0 && np_plan_init() == 0 &&
        np_trace_init(STACK_ENTRIES) == 0 && np_scan_init() == 0 && np_known_init() == 0 &&
        np_sweep_init() == 0) {
        return 0;
    }
    np_collector_fini();
    return -1;
}

void np_collector_fini(void)
{
    np_crew_fini();
    np_concurrent_fini();
    np_confined_fini();
    np_known_fini();
    np_count_fini();
    np_events_fini();
    np_scan_fini();
    np_sweep_fini();
    np_trace_fini();
    np_plan_fini();
    np_universe_fini();
    np_side_fini();
}

void np_collector_adopt_heap(struct np_heap *heap)
{
    np_pacing_give_credit(heap);
}

void np_collect_lock(const char *call)
{
    if (np_tls.dying > 0)
        np_panic_at(call, "called by a walker's function, a disposal, a finalizer or a callback");
    np_quiescent_point(np_tls.thread);
    np_lock_parked(&collector.lock);
    np_store_relaxed(&collector.walker, np_tls.thread); /* relaxed: read by this thread alone */
}

bool np_collect_trylock(void)
{
    if (pthread_mutex_trylock(&collector.lock) != 0)
        return false;
    np_store_relaxed(&collector.walker, np_tls.thread); /* relaxed: read by this thread alone */
    return true;
}

void np_collect_unlock(void)
{
    np_store_relaxed(&collector.walker, NULL); /* relaxed: as above */
    pthread_mutex_unlock(&collector.lock);
}

/* ---- the stop ---- */

/* In the first round every thread sends what it has gathered, in the second it merges what it was
 * sent. */
static void handshake(unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        np_batch_settle(np_tls.thread, NULL);
        np_handshake(np_batch_settle, NULL);
    }
    np_batch_settle(np_tls.thread, NULL);
}

static uint64_t collect_stopped(int generation, struct np_findings *ret_findings,
                                struct np_tally *ret_tally, struct np_phases *phases)
{
    np_deferred_fold_stopped();
    np_universe_gather_stopped(generation);
    if (NP_CHECK_LEVEL >= 2)
        np_verify_begin_stopped(generation);
    np_plan_update();
    np_phases_lap(phases, NEAP_GC_PHASE_GATHER);
    np_trace_known_stopped();
    np_phases_lap(phases, NEAP_GC_PHASE_KNOWN);
    np_count_stopped(ret_tally);
    np_phases_lap(phases, NEAP_GC_PHASE_COUNT);
    if (np_unlikely(np_options.audit_visit))
        np_audit_stopped();
    uint64_t garbage = ret_tally->members - np_trace_universe_stopped(ret_tally->members);
    if (NP_CHECK_LEVEL >= 2)
        np_verify_end_stopped();
    np_phases_lap(phases, NEAP_GC_PHASE_TRACE);
    bool save_all = (neap_gc_get_debug() & NEAP_GC_DEBUG_SAVEALL) != 0;
    np_garbage_part_stopped(garbage, ret_tally->unusual, save_all, ret_findings);
    np_phases_lap(phases, NEAP_GC_PHASE_PART);
    np_universe_promote_stopped();
    np_pacing_reset_stopped(generation);
    return garbage;
}

/* The lock is held. Fills in what ret_event can say already. */
static void collect_locked(int generation, enum neap_gc_cause cause,
                           struct np_findings *ret_findings, struct neap_gc_event *ret_event,
                           struct np_phases *phases)
{
    /* who asks wants all found that has been released so far, by any thread */
    unsigned rounds = cause == NEAP_GC_CAUSE_ASKED ? 2 : 1;
    NP_PROBE(gc__start, generation, rounds);
    np_phases_skip(phases);
    struct np_pacing_outcome outcome = {.generation = generation, .start_ns = phases->lap_ns};
    struct np_tally tally;
    if (generation == 2)
        np_count_prepare(np_crew_gather());
    handshake(rounds);
    np_phases_lap(phases, NEAP_GC_PHASE_HANDSHAKE);
    np_world_stop(NP_STOP_COLLECT);
    np_phases_lap_until(phases, NEAP_GC_PHASE_STOP, np_world_stopped_since());
    if (generation == 2) /* all is looked at here: a concurrent cycle reads nothing any more */
        np_concurrent_cancel();
    uint64_t garbage = collect_stopped(generation, ret_findings, &tally, phases);
    np_world_start();
    np_perturb(resumed);
    np_phases_lap_until(phases, NEAP_GC_PHASE_PROMOTE, np_world_last_stop().end_ns);
    outcome.stopped_ns = np_world_last_stop().stopped_ns;
    np_count_clear();
    np_side_clear();
    if (np_unlikely(np_options.audit_visit))
        np_audit_tell();
    np_phases_lap(phases, NEAP_GC_PHASE_CLEAN);
    outcome.end_ns = phases->lap_ns;
    outcome.alive = tally.members + tally.known - garbage;
    outcome.garbage = garbage;
    outcome.promoted = tally.promoted;
    np_pacing_learn(&outcome);
    np_report_stop(generation, outcome.stopped_ns);
    *ret_event = (struct neap_gc_event){
        .generation = generation,
        .collected = ret_findings->plain_count +
                     (ret_findings->user != NULL ? ret_findings->user->count : 0),
        .uncollectable = ret_findings->stuck_count,
        .stopped_ns = outcome.stopped_ns,
        .cause = cause,
    };
}

/* Looks again at a held set, after user code or a grace period. */
static void recheck(struct np_garbage *garbage)
{
    np_death_drain(np_tls.local, 0);
    np_lock_parked(&collector.lock);
    handshake(2);
    np_world_stop(NP_STOP_COLLECT);
    np_deferred_fold_stopped();
    np_garbage_validate_stopped(garbage);
    np_world_start();
    uint64_t stopped_ns = np_world_last_stop().stopped_ns;
    np_side_clear();
    pthread_mutex_unlock(&collector.lock);
    np_report_stop(garbage->generation, stopped_ns);
    np_report_revived(garbage->generation, garbage->alive_count);
    np_garbage_release_alive(garbage);
}

/* ---- user code ---- */

/* The grace period is over, or the caller is at a quiescent point and may wait for it. */
static void await_peeks(const struct np_garbage *garbage)
{
    while (!np_clock_passed(NP_CLOCK_PEEK, garbage->peek_tag)) {
        np_clock_ask(NP_CLOCK_PEEK, garbage->peek_tag);
        np_blocking_enter(np_tls.thread);
        sched_yield();
        np_blocking_leave(np_tls.thread);
    }
}

/* Takes the set to its end; returns how many of its members were garbage to the last. */
static size_t finish(struct np_garbage *garbage, struct np_phases *phases)
{
    np_phases_skip(phases);
    if (garbage->stage == NP_GARBAGE_PEEKED) {
        await_peeks(garbage);
        recheck(garbage);
        np_phases_lap(phases, NEAP_GC_PHASE_RECHECK);
    }
    if (garbage->stage == NP_GARBAGE_FINALIZE) {
        np_garbage_finalize(garbage);
        np_phases_lap(phases, NEAP_GC_PHASE_FINALIZE);
        recheck(garbage);
        np_phases_lap(phases, NEAP_GC_PHASE_RECHECK);
    }
    size_t freed = garbage->count;
    if (garbage->stage == NP_GARBAGE_SAVED)
        np_garbage_save(garbage);
    else
        np_garbage_dispose(garbage);
    if (np_tls.dying == 0)
        np_death_drain(np_tls.local, 0);
    np_phases_lap(phases, NEAP_GC_PHASE_DISPOSE);
    return freed;
}

/* Of an earlier collection: its event has been told already. */
static void finish_alone(struct np_garbage *garbage)
{
    struct np_phases phases;
    int generation = garbage->generation;
    np_phases_begin(&phases);
    uint64_t start_ns = phases.lap_ns;
    (void)finish(garbage, &phases);
    np_report_phases(generation, phases.ns);
    np_event_tell(NP_EVENT_FINISH, start_ns, 0, (uint32_t)generation, 0);
}

static void finish_all(struct np_list *list)
{
    while (!np_list_empty(list)) {
        struct np_list *node = list->next;
        np_list_remove(node);
        finish_alone(np_container_of(node, struct np_garbage, item.link));
    }
}

static void run_item(struct np_pending_item *item)
{
    finish_alone(np_container_of(item, struct np_garbage, item));
}

/* Sets whose grace period has passed become pending. The lock is held. */
static void serve_waiting_locked(void)
{
    NP_LIST_EACH_SAFE (node, after, &collector.waiting) {
        struct np_garbage *garbage = np_container_of(node, struct np_garbage, item.link);
        if (np_clock_passed(NP_CLOCK_PEEK, garbage->peek_tag)) {
            np_list_remove(node);
            np_pending_push(&garbage->item);
        } else {
            np_clock_ask(NP_CLOCK_PEEK, garbage->peek_tag);
        }
    }
}

/* ---- requests ---- */

static void leave_pending(struct np_garbage *garbage)
{
    garbage->item.run = run_item;
    np_pending_push(&garbage->item);
}

void np_collect_wait_locked(struct np_findings *findings)
{
    struct np_garbage *user = findings->user;
    if (user != NULL && user->stage == NP_GARBAGE_PEEKED) {
        user->item.run = run_item;
        np_list_push_back(&collector.waiting, &user->item.link);
        findings->user = NULL;
    }
    serve_waiting_locked();
}

static void leave_findings(struct np_findings *findings)
{
    np_pending_push_all(&findings->calls);
    if (findings->user != NULL)
        leave_pending(findings->user);
    if (findings->stuck != NULL)
        leave_pending(findings->stuck);
}

void np_collect_carry_out(struct np_findings *findings, struct np_phases *phases)
{
    np_phases_skip(phases);
    np_sweep(findings, NP_QUIET);
    np_phases_lap(phases, NEAP_GC_PHASE_SWEEP);
    leave_findings(findings);
}

/* What a concurrent cycle that was ended, by a stopped collection or a fork, held back. */
static void return_held(void)
{
    if (!np_hold_wanted(NP_HOLD_LARGE))
        np_hold_return();
}

/* The lock is held and given up in here. */
static void sweep_unlock(const struct np_findings *findings, enum np_manner manner,
                         struct np_phases *phases)
{
    if (!findings->plain_shared)
        pthread_mutex_unlock(&collector.lock);
    np_phases_skip(phases);
    np_sweep(findings, manner);
    if (findings->plain_shared)
        pthread_mutex_unlock(&collector.lock);
    np_phases_lap(phases, NEAP_GC_PHASE_SWEEP);
}

/* An automatic collection, at a stop point: what needs user code is left pending. The lock is held
 * and given up in here. */
static void collect_quietly_unlock(int generation, enum neap_gc_cause cause)
{
    struct np_findings findings;
    struct neap_gc_event event;
    struct np_phases phases;
    np_phases_begin(&phases);
    uint64_t start_ns = phases.lap_ns;
    collect_locked(generation, cause, &findings, &event, &phases);
    np_collect_wait_locked(&findings);
    sweep_unlock(&findings, NP_QUIET, &phases);
    return_held();
    leave_findings(&findings);
    event.total_ns = np_os_now_ns() - start_ns;
    memcpy(event.phase_ns, phases.ns, sizeof event.phase_ns);
    np_report_collection(&event);
    np_report_phases(generation, phases.ns);
    np_report_span(&event, start_ns);
    np_events_print(&event);
    np_events_call_later(&event);
}

/* False: somebody else has it, and there is no need to wait. A walker's function may run for long:
 * nobody waits for that. */
static bool lock_if_due(void)
{
    if (np_pacing_due() < 0)
        return false;
    if (pthread_mutex_trylock(&collector.lock) == 0)
        return true;
    /* relaxed: a hint */
    if (np_load_relaxed(&collector.walker) != NULL || !np_pacing_is_behind())
        return false;
    np_lock_parked(&collector.lock);
    return true;
}

void np_collector_serve_debt(struct np_heap *heap)
{
    bool large = np_large_is_due(heap);
    int64_t made = np_pacing_take_debt(heap);
    if (large)
        np_large_set_due(heap, NP_CONFINED_LARGE); /* or what the collection finds better */
    if (np_pacing_is_on())
        np_confined_collect(heap, made, large);
    np_concurrent_throttle();
    if (!lock_if_due())
        return;
    int generation = np_pacing_due();
    if (generation == 2 && np_concurrent_takes())
        generation = np_pacing_due_younger();
    if (generation >= 0)
        collect_quietly_unlock(generation, NEAP_GC_CAUSE_PACED);
    else
        pthread_mutex_unlock(&collector.lock);
}

void np_collector_reclaim(enum neap_gc_cause cause)
{
    /* relaxed: only our own value matters */
    if (np_load_relaxed(&collector.walker) == np_tls.thread)
        return; /* inside a walker's function: the lock is ours */
    np_lock_parked(&collector.lock);
    collect_quietly_unlock(2, cause);
    if (cause == NEAP_GC_CAUSE_MEMORY) {
        np_concurrent_await_end();
        np_hold_return();
    }
}

/* What one call found and may run user code for. */
static size_t finish_findings(struct np_findings *findings, struct np_list *waiting,
                              struct np_phases *phases)
{
    np_tls.dying++;
    np_pending_run_all(&findings->calls);
    np_tls.dying--;
    np_phases_lap(phases, NEAP_GC_PHASE_FINALIZE);
    size_t found = findings->plain_count + findings->stuck_count;
    if (findings->user != NULL)
        found += finish(findings->user, phases);
    if (findings->stuck != NULL)
        (void)finish(findings->stuck, phases);
    finish_all(waiting);
    np_death_drain(np_tls.local, 0);
    return found;
}

ptrdiff_t neap_collect(int generation)
{
    if (generation < 0 || generation > 2)
        return NEAP_EINVAL;
    np_usage_check("neap_collect");
    if (np_tls.dying > 0)
        return NEAP_ESTATE;
    np_events_call(&(struct neap_gc_event){.start = true, .generation = generation});
    struct np_phases phases;
    np_phases_begin(&phases);
    uint64_t start_ns = phases.lap_ns;
    np_quiescent_point(np_tls.thread);
    np_death_drain(np_tls.local, 0);
    np_lock_parked(&collector.lock);
    struct np_findings findings;
    struct neap_gc_event event;
    struct np_list waiting;
    collect_locked(generation, NEAP_GC_CAUSE_ASKED, &findings, &event, &phases);
    np_list_init(&waiting);
    np_list_append_all(&waiting, &collector.waiting);
    sweep_unlock(&findings, NP_LOUD, &phases);
    return_held();
    event.total_ns = phases.lap_ns - start_ns;
    np_report_collection(&event);
    size_t found = finish_findings(&findings, &waiting, &phases);
    np_report_phases(generation, phases.ns);
    np_report_span(&event, start_ns);
    event.collected = found - findings.stuck_count;
    event.total_ns = np_os_now_ns() - start_ns;
    memcpy(event.phase_ns, phases.ns, sizeof event.phase_ns);
    np_events_print(&event);
    np_events_call(&event);
    (void)np_pending_run(SIZE_MAX); /* the dead of the fold among them */
    np_death_drain(np_tls.local, 0);
    return (ptrdiff_t)found;
}

void np_collector_end(void)
{
    neap_gc_set_debug(0);
    np_saved_drop();
    np_hold_return();
}

/* ---- fork ---- */

static bool is_walking(void)
{
    /* relaxed: equal only if this thread wrote it */
    return np_tls.thread != NULL && np_load_relaxed(&collector.walker) == np_tls.thread;
}

/* A walker's function may fork: its thread has the lock already, in the child too. */
void np_collector_before_fork(void)
{
    if (!is_walking())
        np_lock_parked(&collector.lock);
}

void np_collector_forbid(void)
{
    np_concurrent_forbid();
}

void np_collector_allow(void)
{
    np_concurrent_allow();
}

void np_collector_before_fork_stopped(void)
{
    np_report_lock();
    np_events_lock();
}

void np_collector_after_fork(void)
{
    np_events_unlock();
    np_report_unlock();
    if (!is_walking())
        pthread_mutex_unlock(&collector.lock);
}

void np_collector_forked(void)
{
    np_crew_forked();
    np_concurrent_forked();
}
