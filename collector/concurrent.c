/* SPDX-License-Identifier: MIT
 *
 * `word` and `wanted` are the usual pair: who asks makes its wish visible, raises the word and
 * wakes; the thread reads the word, then looks at the wishes, then sleeps on the word it has read.
 */
#include "collector/concurrent.h"

#include <pthread.h>
#include <string.h>

#include "alloc/meta.h"
#include "base/options.h"
#include "base/os.h"
#include "base/perturb.h"
#include "collector/collect.h"
#include "collector/collector.h"
#include "collector/events.h"
#include "collector/judge.h"
#include "collector/pacing.h"
#include "collector/partner.h"
#include "collector/phases.h"
#include "collector/proposal.h"
#include "collector/report.h"
#include "collector/side.h"
#include "runtime/batch.h"
#include "runtime/death.h"
#include "runtime/hold.h"
#include "threads/blocking.h"
#include "threads/handshake.h"
#include "threads/safepoint.h"

enum {
    MARGIN = 4,            /* a slice is planned for so much less than the target */
    SHARE = 2,             /* times as long as a stop, at least, the world runs before the next */
    SHORT_NS = 50000,      /* no sleep is so short */
    OBJECT_NS = 500,       /* of a stop, as long as nothing has been measured */
    LEAST = 16,            /* candidates of a slice */
    DEATHS_AT_ONCE = 1000, /* destroyed between two polls */
    OUTSIDE_SHARE = 4,     /* so much more outside is worth a stop */
    /* Growth while a cycle is under way, in 32nds of what was alive: from 5 on a thread waits as
     * long as it has worked, from 7 on twice, from 8 on four times as long, from 10 on as long as
     * a wait may be, and from 64 on the world stops. */
    WAIT_FROM = 5,
    WAIT_TWICE_FROM = 7,
    WAIT_LONGER_FROM = 8,
    WAIT_MOST_FROM = 10,
    STOP_FROM = 64,
    WAIT_MOST_NS = 10000000,
    WAIT_MOST_TURNS = 10000, /* for the end of a cycle */
    HELD_SHARE = 8,          /* of all memory; if more is held back the cycle ends, */
    HELD_LEAST = 32 << 20    /* and more than these bytes */
};

static struct {
    pthread_mutex_t lock; /* guards starting and ending; never held at a stop point */
    pthread_t thread;     /* (L) */
    uint32_t word;        /* (x) raised by every wish: what the thread sleeps on */
    bool running;         /* (L) written; read as a hint */
    unsigned forbidden;   /* (L) shutdowns under way; 1 until the first neap_init */
    bool end;             /* (x) the thread is to leave */
    bool busy;            /* (x) a cycle is asked for or under way */
    bool cancelled;       /* (x) it is to end without judging any more */
    bool waited;          /* (x) for the last cycle, by some thread */
    uint64_t cycles;      /* (x) written by the thread */
} concurrent = {.lock = PTHREAD_MUTEX_INITIALIZER, .forbidden = 1};

/* What cycles leave to a stop, and how much there is beside it. */
struct outside {
    uint64_t objects, large_bytes, members;
};

/* The thread's own. */
static struct {
    struct np_proposal proposal;
    struct np_phases phases;
    uint64_t object_ns; /* per candidate's weight, of the stops so far; 0: nothing measured */
    uint64_t collected, uncollectable, stopped_ns; /* of the cycle at hand */
    uint64_t rest_until_ns;                        /* no stop before */
    unsigned since_stopped;                 /* cycles since everything was looked at in a stop */
    bool was_stopped;                       /* the next cycle is the first one after that */
    struct outside outside, outside_before; /* of the last cycle, and of that first one */
} cycle;

static bool is_over(void)
{
    /* relaxed, both: hints, asked for again and again */
    return np_load_relaxed(&concurrent.cancelled) || np_load_relaxed(&concurrent.end);
}

/* Large objects die faster than the cycle can let go of them. */
static void end_if_heavy(void)
{
    uint64_t held = np_hold_large_bytes();
    if (np_unlikely(held > (uint64_t)HELD_LEAST) && held > np_committed() / HELD_SHARE)
        np_concurrent_cancel();
}

static bool is_over_by_now(void)
{
    end_if_heavy();
    return is_over();
}

/* ---- slices ---- */

static uint64_t slice_limit(void)
{
    uint64_t object_ns = cycle.object_ns > 0 ? cycle.object_ns : OBJECT_NS;
    uint64_t limit = np_options.pause_target_us * 1000 / MARGIN / object_ns;
    return limit > LEAST ? limit : LEAST;
}

static void learn_stop(uint64_t stopped_ns, size_t weight)
{
    uint64_t now = stopped_ns / weight + 1, before = cycle.object_ns;
    cycle.object_ns = now > before ? now : before - before / 8 + now / 8;
}

static size_t component_end(size_t at)
{
    const struct np_proposal *proposal = &cycle.proposal;
    do
        at++;
    while (at < proposal->count && !((uintptr_t)proposal->candidates[at] & NP_PROPOSAL_FIRST));
    return at;
}

static size_t weight_of(struct neap_header *const *candidates, size_t count)
{
    size_t weight = 0;
    for (size_t i = 0; i < count; i++)
        weight += np_proposal_weight(
            (const struct neap_header *)((uintptr_t)candidates[i] & ~(uintptr_t)NP_PROPOSAL_FIRST));
    return weight;
}

/* The first candidate behind the next slice: whole components. */
static size_t slice_end(size_t at)
{
    struct neap_header *const *candidates = cycle.proposal.candidates;
    uint64_t limit = slice_limit();
    size_t end = component_end(at), weight = weight_of(candidates + at, end - at);
    while (end < cycle.proposal.count) {
        size_t next = component_end(end);
        weight += weight_of(candidates + end, next - end);
        if (weight > limit)
            break;
        end = next;
    }
    return end;
}

static void clear_first(size_t at, size_t end)
{
    struct neap_header **candidates = cycle.proposal.candidates;
    for (; at < end; at++)
        candidates[at] =
            (struct neap_header *)((uintptr_t)candidates[at] & ~(uintptr_t)NP_PROPOSAL_FIRST);
}

/* The world runs for so long; less when something is wished for. */
static void rest_until(uint64_t until_ns)
{
    for (uint64_t now; !is_over() && (now = np_os_now_ns()) + SHORT_NS < until_ns;) {
        uint32_t seen = np_load_relaxed(&concurrent.word); /* relaxed: it ends by itself */
        np_blocking_enter(np_tls.thread);
        np_os_wait(&concurrent.word, seen, until_ns - now);
        np_blocking_leave(np_tls.thread);
    }
}

/* One stop, at most. False: there was nothing to judge. */
static bool judge_slice(struct neap_header **candidates, size_t count, bool one)
{
    struct np_findings findings;
    np_collect_lock("a concurrent collection");
    count = is_over() ? 0 : np_judge_prepare(candidates, count);
    if (count == 0) {
        np_side_clear();
        np_collect_unlock();
        return false;
    }
    size_t weight = weight_of(candidates, count);
    np_phases_skip(&cycle.phases);
    np_world_stop(NP_STOP_COLLECT);
    np_phases_lap_until(&cycle.phases, NEAP_GC_PHASE_STOP, np_world_stopped_since());
    size_t garbage = np_judge_stopped(candidates, count, &findings);
    np_world_start();
    np_perturb(resumed);
    np_phases_lap_until(&cycle.phases, NEAP_GC_PHASE_PART, np_world_last_stop().end_ns);
    uint64_t stopped_ns = np_world_last_stop().stopped_ns;
    np_side_clear();
    np_phases_lap(&cycle.phases, NEAP_GC_PHASE_CLEAN);
    np_collect_wait_locked(&findings);
    np_collect_unlock();
    learn_stop(stopped_ns, weight);
    np_report_stop(2, stopped_ns);
    if (one && weight > slice_limit())
        np_events_print_giant(garbage, stopped_ns);
    cycle.collected += garbage;
    cycle.uncollectable += findings.stuck_count;
    cycle.stopped_ns += stopped_ns;
    cycle.rest_until_ns = np_os_now_ns() + SHARE * stopped_ns;
    np_collect_carry_out(&findings, &cycle.phases);
    return true;
}

static void judge_all(void)
{
    struct np_proposal *proposal = &cycle.proposal;
    for (size_t at = 0, end; at < proposal->count && !is_over_by_now(); at = end) {
        end = slice_end(at);
        bool one = component_end(at) == end;
        clear_first(at, end);
        if (!judge_slice(proposal->candidates + at, end - at, one))
            continue;
        np_death_settle(np_tls.local, DEATHS_AT_ONCE);
        rest_until(cycle.rest_until_ns);
    }
}

/* ---- a cycle ---- */

static void shake_hands(void)
{
    for (unsigned round = 0; round < 2; round++) {
        np_batch_settle(np_tls.thread, NULL);
        np_handshake(np_batch_settle, NULL);
    }
    np_batch_settle(np_tls.thread, NULL);
}

static enum np_proposal_result propose(void)
{
    struct np_proposal *proposal = &cycle.proposal;
    /* who waits for a cycle leaves a processor to it */
    np_partner_want(np_load_relaxed(&concurrent.waited) || NP_PERTURB); /* relaxed: a hint */
    np_store_relaxed(&concurrent.waited, false);
    np_hold_set(NP_HOLD_ALL);
    shake_hands();
    np_phases_lap(&cycle.phases, NEAP_GC_PHASE_HANDSHAKE);
    enum np_proposal_result result = np_proposal_count(proposal, is_over_by_now);
    np_phases_lap(&cycle.phases, NEAP_GC_PHASE_COUNT);
    if (result == NP_PROPOSED)
        result = np_proposal_trace(proposal, is_over_by_now);
    if (result == NP_PROPOSED)
        result = np_proposal_order(proposal, is_over_by_now);
    np_phases_lap(&cycle.phases, NEAP_GC_PHASE_TRACE);
    bool judges_large = result == NP_PROPOSED && proposal->has_large;
    np_hold_set(judges_large ? NP_HOLD_LARGE : NP_HOLD_NOTHING);
    np_hold_return();
    return result;
}

/* Takes long where there is much: nobody has to wait for it. */
static void drop_proposal(void)
{
    np_proposal_drop(&cycle.proposal);
    np_blocking_enter(np_tls.thread);
    np_proposal_give_back();
    np_blocking_leave(np_tls.thread);
}

static void report(uint64_t start_ns)
{
    struct neap_gc_event event = {
        .generation = 2,
        .collected = cycle.collected - cycle.uncollectable,
        .uncollectable = cycle.uncollectable,
        .stopped_ns = cycle.stopped_ns,
        .total_ns = np_os_now_ns() - start_ns,
        .cause = NEAP_GC_CAUSE_CONCURRENT,
    };
    memcpy(event.phase_ns, cycle.phases.ns, sizeof event.phase_ns);
    np_report_collection(&event);
    np_report_phases(2, cycle.phases.ns);
    np_events_print(&event);
    np_events_call_later(&event);
}

static void measure_outside(uint64_t members)
{
    cycle.outside = (struct outside){cycle.proposal.opaque, cycle.proposal.opaque_bytes, members};
    if (cycle.was_stopped)
        cycle.outside_before = cycle.outside;
    cycle.was_stopped = false;
}

/* Garbage may have piled up that only a stop can find: if there is more outside than there was, or
 * so much more inside that what is outside may hold it. */
static bool outside_has_grown(void)
{
    const struct outside *now = &cycle.outside, *before = &cycle.outside_before;
    return now->objects > 0 &&
           (now->objects > before->objects + before->objects / OUTSIDE_SHARE ||
            now->large_bytes > before->large_bytes + before->large_bytes / OUTSIDE_SHARE ||
            now->members > 2 * before->members);
}

static void run_cycle(uint64_t start_ns)
{
    cycle.collected = cycle.uncollectable = cycle.stopped_ns = 0;
    enum np_proposal_result result = propose();
    np_perturb(concurrent_proposed);
    uint64_t members = cycle.proposal.members;
    if (result == NP_PROPOSED)
        judge_all();
    np_hold_set(NP_HOLD_NOTHING);
    np_hold_return();
    if (result == NP_PROPOSED)
        measure_outside(members - cycle.collected);
    np_phases_skip(&cycle.phases);
    drop_proposal();
    np_phases_lap(&cycle.phases, NEAP_GC_PHASE_CLEAN);
    if (result == NP_PROPOSAL_NO_MEMORY)
        np_collector_reclaim(NEAP_GC_CAUSE_MEMORY);
    if (is_over() || result != NP_PROPOSED)
        return;
    np_collect_lock("a concurrent collection");
    np_pacing_learn_concurrent(members, cycle.collected, start_ns, np_os_now_ns());
    np_collect_unlock();
    report(start_ns);
}

/* Every so many cycles, where something may have piled up that only a stop can find. */
static void serve(void)
{
    static const struct neap_gc_event what = {.generation = 2, .cause = NEAP_GC_CAUSE_CONCURRENT};
    if (outside_has_grown() && cycle.since_stopped >= NP_CONCURRENT_ROUNDS) {
        cycle.since_stopped = 0;
        cycle.was_stopped = true;
        np_collector_reclaim(NEAP_GC_CAUSE_PACED);
    } else {
        cycle.since_stopped++;
        np_phases_begin(&cycle.phases);
        uint64_t start_ns = cycle.phases.lap_ns;
        run_cycle(start_ns);
        /* cut short or not: its phases lie in it */
        np_report_span(&what, start_ns);
    }
    np_death_settle(np_tls.local, DEATHS_AT_ONCE);
    np_store_relaxed(&concurrent.cycles, concurrent.cycles + 1); /* relaxed: a count */
}

/* ---- the thread ---- */

static void *routine(void *arg)
{
    (void)arg;
    while (np_thread_attach("neap collector") != 0) { /* out of memory: later, perhaps */
        if (np_load_relaxed(&concurrent.end))
            return NULL;
        np_os_wait(&concurrent.word, np_load_relaxed(&concurrent.word), 100000000);
    }
    while (!np_load_relaxed(&concurrent.end)) {
        /* [MM-concurrent-1] acquire: a wish made before the word was raised is seen */
        uint32_t seen = np_load_acquire(&concurrent.word);
        if (np_load_relaxed(&concurrent.busy)) {
            np_store_relaxed(&concurrent.cancelled, false); /* relaxed: a hint */
            serve();
            np_store_relaxed(&concurrent.busy, false); /* relaxed: a hint */
            continue;
        }
        np_blocking_enter(np_tls.thread);
        np_os_wait(&concurrent.word, seen, UINT64_MAX);
        np_blocking_leave(np_tls.thread);
        np_quiescent_point(np_tls.thread);
    }
    np_partner_end();
    np_thread_detach();
    return NULL;
}

static void wake(void)
{
    /* [MM-concurrent-1] seq_cst: the wish comes before */
    np_fetch_add_seq_cst(&concurrent.word, 1);
    np_os_wake_all(&concurrent.word);
}

static void start_locked(void)
{
    np_store_relaxed(&concurrent.end, false);
    bool started = np_proposal_reserve() && np_os_start_thread(&concurrent.thread, routine, NULL);
    np_store_relaxed(&concurrent.running, started);
}

bool np_concurrent_takes(void)
{
    if (np_options.collector == 0 || pthread_mutex_trylock(&concurrent.lock) != 0)
        return false;
    bool outrun = np_load_relaxed(&concurrent.busy) && np_pacing_growth_32nds() >= STOP_FROM;
    if (!concurrent.running && concurrent.forbidden == 0)
        start_locked();
    bool runs = concurrent.running && !outrun;
    if (runs && !np_load_relaxed(&concurrent.busy)) { /* relaxed, both: the lock, or a hint */
        np_store_relaxed(&concurrent.busy, true);
        np_pacing_begin_concurrent();
        wake();
    }
    pthread_mutex_unlock(&concurrent.lock);
    return runs;
}

/* (o>) By registry slot: when its thread last went on. */
static uint64_t went_on_ns[NEAP_OWNER_LAST + 1];

void np_concurrent_throttle(void)
{
    if (!np_load_relaxed(&concurrent.busy)) /* relaxed: a hint */
        return;
    uint64_t growth = np_pacing_growth_32nds(), now = np_os_now_ns();
    uint64_t *last = &went_on_ns[np_tls.thread->id];
    /* a first one, or one that has slept since, has not worked for so long */
    uint64_t worked = now - *last < WAIT_MOST_NS ? now - *last : 0;
    uint64_t wait_ns = growth >= WAIT_MOST_FROM     ? WAIT_MOST_NS
                       : growth >= WAIT_LONGER_FROM ? 4 * worked
                       : growth >= WAIT_TWICE_FROM  ? 2 * worked
                       : growth >= WAIT_FROM        ? worked
                                                    : 0;
    if (wait_ns > 0) {
        uint32_t seen = np_load_relaxed(&concurrent.word); /* relaxed: it ends by itself */
        np_store_relaxed(&concurrent.waited, true);
        np_park(np_tls.thread);
        np_os_wait(&concurrent.word, seen, wait_ns < WAIT_MOST_NS ? wait_ns : WAIT_MOST_NS);
        np_unpark(np_tls.thread);
        now = np_os_now_ns();
    }
    *last = now;
}

void np_concurrent_cancel(void)
{
    np_store_relaxed(&concurrent.cancelled, true); /* relaxed: a hint */
}

void np_concurrent_await_end(void)
{
    /* relaxed, both: hints; the collector's thread itself holds nothing when it asks for memory */
    for (unsigned turn = 0; turn < WAIT_MOST_TURNS && np_load_relaxed(&concurrent.busy) &&
                            np_hold_wanted(NP_HOLD_LARGE);
         turn++) {
        uint32_t seen = np_load_relaxed(&concurrent.word);
        np_park(np_tls.thread);
        np_os_wait(&concurrent.word, seen, SHORT_NS);
        np_unpark(np_tls.thread);
        np_stop_point(np_tls.thread);
    }
}

uint64_t np_concurrent_cycles(void)
{
    return np_load_relaxed(&concurrent.cycles); /* relaxed: a count */
}

void np_concurrent_forbid(void)
{
    np_lock_parked(&concurrent.lock);
    concurrent.forbidden++;
    pthread_t thread = concurrent.thread;
    bool running = concurrent.running;
    np_store_relaxed(&concurrent.running, false);
    np_store_relaxed(&concurrent.end, true);
    pthread_mutex_unlock(&concurrent.lock);
    wake();
    if (!running)
        return;
    np_blocking_enter(np_tls.thread);
    pthread_join(thread, NULL);
    np_blocking_leave(np_tls.thread);
    np_store_relaxed(&concurrent.busy, false); /* relaxed: nobody else is left */
}

void np_concurrent_allow(void)
{
    np_lock_parked(&concurrent.lock);
    concurrent.forbidden--;
    pthread_mutex_unlock(&concurrent.lock);
}

void np_concurrent_forked(void)
{
    pthread_mutex_init(&concurrent.lock, NULL);
    concurrent.running = concurrent.busy = concurrent.end = concurrent.cancelled = false;
    np_hold_set(NP_HOLD_NOTHING);
    np_hold_forked();
    np_partner_forked();
    np_proposal_drop(&cycle.proposal);
    np_proposal_give_back();
}

void np_concurrent_fini(void)
{
    np_proposal_drop(&cycle.proposal);
    np_proposal_give_back();
    np_proposal_unreserve();
    memset(&cycle, 0, sizeof cycle);
}
