/* SPDX-License-Identifier: MIT
 *
 * Nothing here allocates between the moment a verdict is final and the moment its members are free:
 * plain garbage is linked through its own headers, and the list of a set that needs user code is
 * reserved before the first of its weak references is cleared. Without that memory the set is left
 * for the next collection. */
#include "collector/garbage.h"

#include "base/os.h"
#include "base/plant.h"
#include "collector/count.h"
#include "collector/events.h"
#include "collector/plan.h"
#include "collector/saved.h"
#include "collector/sweep.h"
#include "collector/trace.h"
#include "collector/universe.h"
#include "runtime/death.h"
#include "runtime/ephemeron.h"
#include "runtime/visit.h"
#include "runtime/weak.h"
#include "threads/clock.h"
#include "threads/safepoint.h"

enum { POLL_EVERY = 1024 }; /* objects freed between two stop points */

static const struct neap_type *type_of(const struct neap_header *header)
{
    return np_type_at(header->type);
}

static bool is_peekable(const struct neap_header *header)
{
    /* relaxed: whoever writes it is stopped, or the object is ours alone */
    return (type_of(header)->flags & NEAP_PEEKABLE) &&
           (np_load_relaxed(&header->shared) & NP_PUBLISHED) != 0;
}

static bool wants_finalizer(const struct neap_header *header)
{
    return type_of(header)->finalize != NULL && !(np_load_relaxed(&header->gc) & NP_GC_FINALIZED);
}

static void clear_weak(struct neap_header *header, struct np_list *callbacks)
{
    if (np_load_relaxed(&header->shared) & NP_HAS_WEAK)
        np_weak_clear(header, callbacks);
}

/* Dead by value, and old, so that its block does not come back as a young object unnoticed
 * (universe.h). */
static void condemn(struct neap_header *header, struct neap_header *next)
{
    /* relaxed, all: the world is stopped. Stale readers that wake up later find a merged count of 0
     */
    uint64_t kept = np_load_relaxed((np_word *)header) & np_link_kept;
    uint32_t sticky = np_load_relaxed(&header->shared) & (NP_PUBLISHED | NP_HAS_WEAK);
    kept |= (uint64_t)(NP_GC_CONDEMNED | 2) << 48;
    kept &= ~((uint64_t)1 << 48);
    np_store_relaxed((np_word *)header, np_link_encode(next) | kept);
    np_store_relaxed(&header->shared, sticky | NP_MERGED);
}

static void hold(struct neap_header *header)
{
    /* relaxed: the world is stopped. As a reference of another thread's; published, since it may be
     * passed on */
    uint32_t shared = np_load_relaxed(&header->shared);
    np_store_relaxed(&header->shared, (shared + NP_SHARED_ONE) | NP_PUBLISHED);
}

static void hold_all(struct np_garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++)
        hold(garbage->members[i]);
}

/* A visit that hands out copies of its references, on its own stack, has slots that cannot be
 * cleared. */
struct probe {
    struct neap_visitor visitor; /* first: visits hand it back */
    uintptr_t frame;             /* of the caller of the visit */
    bool on_stack;
};

enum { VISIT_FRAMES = 64 * 1024 }; /* bytes of stack that a visit may use */

static void probe_slot(struct neap_visitor *visitor, void **slot)
{
    struct probe *probe = (struct probe *)(void *)visitor;
    probe->on_stack |= probe->frame - (uintptr_t)slot < VISIT_FRAMES;
}

static np_noinline bool is_stuck(struct neap_header *header)
{
    const struct neap_type *type = type_of(header);
    if (!np_count_may_be_stuck(type))
        return false;
    struct probe probe = {{probe_slot}, (uintptr_t)__builtin_frame_address(0), false};
    np_visit_object(header, type, &probe.visitor, probe_slot);
    return probe.on_stack;
}

/* ---- taking apart ---- */

struct parting {
    struct np_findings *findings;
    struct neap_header *const *list; /* of `limit` members; NULL: all of the universe's */
    size_t limit;
    bool save_all;
};

/* Every member that is not marked (any more). */
static void each_unmarked(const struct parting *parting,
                          void (*function)(struct neap_header *header, void *arg), void *arg)
{
    if (parting->list == NULL) {
        np_trace_each_stopped(NP_SIDE_MEMBER, function, arg);
        return;
    }
    for (size_t i = 0; i < parting->limit; i++)
        if (np_side_is(*np_side_word(parting->list[i]), NP_SIDE_MEMBER))
            function(parting->list[i], arg);
}

static void add_member(struct neap_header *header, void *arg)
{
    struct np_garbage *garbage = arg;
    if (garbage != NULL)
        garbage->members[garbage->count++] = header;
}

/* Room for limit members; NULL out of address space: what it was for stays for the next collection.
 */
static struct np_garbage *new_set(size_t limit)
{
    size_t page = np_os_page_bytes();
    size_t bytes = sizeof(struct np_garbage) + limit * sizeof(struct neap_header *);
    bytes = (bytes + page - 1) & ~(page - 1);
    struct np_garbage *garbage = np_os_reserve(bytes, 1);
    if (garbage != NULL) {
        garbage->mapped_bytes = bytes;
        garbage->generation = np_universe.generation;
        np_list_init(&garbage->callbacks);
    }
    return garbage;
}

/* It and all that it reaches can not be freed. */
static void seed_stuck(struct neap_header *header, void *arg)
{
    struct parting *parting = arg;
    struct np_findings *findings = parting->findings;
    if (!is_stuck(header))
        return;
    if (findings->stuck == NULL)
        findings->stuck = new_set(parting->limit);
    np_trace_from_stopped(header, add_member, findings->stuck);
}

/* It and all that it reaches wait for user code. */
static void seed_user(struct neap_header *header, void *arg)
{
    struct parting *parting = arg;
    struct np_findings *findings = parting->findings;
    if (!parting->save_all && !np_count_needs_user(header, type_of(header)))
        return;
    if (findings->user == NULL)
        findings->user = new_set(parting->limit);
    np_trace_from_stopped(header, add_member, findings->user);
}

static void take_plain(struct neap_header *header, void *arg)
{
    struct np_findings *findings = arg;
    if (np_load_relaxed(&header->shared) & NP_HAS_WEAK) {
        np_weak_clear(header, &findings->calls);
        np_cleanup_take(header, &findings->calls);
    }
    condemn(header, findings->plain);
    findings->plain = header;
    findings->plain_count++;
    np_sweep_note_stopped(header);
}

static void clear_all_weak(struct np_garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++)
        clear_weak(garbage->members[i], &garbage->callbacks);
}

static void condemn_all(struct np_garbage *garbage)
{
    if (garbage->save_all) {
        garbage->stage = NP_GARBAGE_SAVED;
        return;
    }
    for (size_t i = 0; i < garbage->count; i++)
        condemn(garbage->members[i], NULL);
    garbage->stage = NP_GARBAGE_CONDEMNED;
}

/* The stage of a set that has just been found or has just passed its grace period. */
static void settle_stage(struct np_garbage *garbage)
{
    bool finalizers = false;
    for (size_t i = 0; i < garbage->count && !finalizers; i++)
        finalizers = wants_finalizer(garbage->members[i]);
    clear_all_weak(garbage);
    if (finalizers)
        garbage->stage = NP_GARBAGE_FINALIZE;
    else
        condemn_all(garbage);
}

static void start_user(struct np_garbage *garbage)
{
    bool peekable = false;
    for (size_t i = 0; i < garbage->count && !peekable; i++)
        peekable = is_peekable(garbage->members[i]);
    if (peekable) {
        garbage->stage = NP_GARBAGE_PEEKED;
        garbage->peek_tag = np_clock_tag(NP_CLOCK_PEEK);
    } else {
        settle_stage(garbage);
    }
    if (garbage->stage != NP_GARBAGE_CONDEMNED)
        hold_all(garbage);
}

static void part(struct parting *parting, bool unusual, struct np_findings *ret_findings)
{
    bool save_all = parting->save_all;
    *ret_findings = (struct np_findings){0};
    np_list_init(&ret_findings->calls);
    if (parting->list == NULL)
        np_sweep_begin_stopped();
    if (parting->limit == 0)
        return;
    if (unusual)
        each_unmarked(parting, seed_stuck, parting);
    if (unusual || save_all)
        each_unmarked(parting, seed_user, parting);
    each_unmarked(parting, take_plain, ret_findings);
    if (parting->list == NULL)
        ret_findings->plain_shared = np_sweep_end_stopped(ret_findings->plain_count);
    if (ret_findings->user != NULL) {
        ret_findings->user->save_all = save_all;
        start_user(ret_findings->user);
    }
    if (ret_findings->stuck != NULL) {
        struct np_garbage *stuck = ret_findings->stuck;
        stuck->stage = NP_GARBAGE_SAVED;
        hold_all(stuck);
        for (size_t i = 0; i < stuck->count; i++)
            ret_findings->stuck_count += is_stuck(stuck->members[i]);
    }
}

void np_garbage_part_stopped(size_t count, bool unusual, bool save_all,
                             struct np_findings *ret_findings)
{
    struct parting parting = {ret_findings, NULL, count, save_all};
    part(&parting, unusual, ret_findings);
}

void np_garbage_part_list_stopped(struct neap_header *const *members, size_t count, bool unusual,
                                  bool save_all, struct np_findings *ret_findings)
{
    struct parting parting = {ret_findings, members, count, save_all};
    part(&parting, unusual, ret_findings);
}

/* ---- looking again ---- */

static void uncount_slot(struct neap_visitor *visitor, void **slot)
{
    (void)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    uint32_t *word = child != NULL ? np_side_word(neap_header_of(child)) : NULL;
    if (word != NULL && (*word & NP_SIDE_MEMBER))
        *word -= NP_SIDE_ONE;
}

/* What a living map holds for a key of the set goes with the key. A map of the set has been visited
 * itself. */
static void uncount_ward(struct neap_header *map, void *value, void *arg)
{
    const uint32_t *word = np_side_word(map);
    (void)arg;
    if (word == NULL || !(*word & NP_SIDE_MEMBER))
        uncount_slot(NULL, &value);
}

static void enrol(struct np_garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++) {
        struct neap_header *header = garbage->members[i];
        if (header->flags & NP_FLAG_LARGE)
            np_universe.large[np_universe.large_count++] = header;
        else
            (void)np_side_cover(np_pool_index_of(header)); /* as many rows as the search had */
        uint64_t count;
        if (!np_count_in_header(header, &count))
            count = 2; /* immortal by now: held */
        *np_side_word(header) = (uint32_t)(count - 1) * NP_SIDE_ONE + NP_SIDE_MEMBER;
    }
    struct neap_visitor visitor = {uncount_slot};
    for (size_t i = 0; i < garbage->count; i++)
        np_visit_object(garbage->members[i], type_of(garbage->members[i]), &visitor, uncount_slot);
    for (size_t i = 0; i < garbage->count && np_ephemeron_count() > 0; i++)
        if (np_load_relaxed(&garbage->members[i]->shared) & NP_HAS_WEAK) /* relaxed: stopped */
            np_ephemeron_each_of_key_stopped(garbage->members[i], uncount_ward, NULL);
}

static void trace_held(struct np_garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++) {
        int32_t held = np_side_count(*np_side_word(garbage->members[i]));
        if (held < 0)
            np_trace_panic_overcount(garbage->members[i]);
        if (held > 0)
            np_trace_from_stopped(garbage->members[i], NULL, NULL);
    }
}

void np_garbage_validate_stopped(struct np_garbage *garbage)
{
    np_side.large_age = 2;
    np_universe.large_count = 0;
    enrol(garbage);
    trace_held(garbage);
    size_t kept = 0, all = garbage->count;
    for (size_t i = 0; i < all; i++) {
        struct neap_header *header = garbage->members[i];
        uint32_t *word = np_side_word(header);
        bool alive = (*word & NP_SIDE_MARKED) != 0;
        *word = 0;
        if (!alive) {
            garbage->members[i] = garbage->members[kept];
            garbage->members[kept++] = header;
        }
    }
    garbage->count = kept;
    garbage->alive_count = all - kept;
    if (garbage->stage == NP_GARBAGE_PEEKED) {
        settle_stage(garbage);
    } else {
        clear_all_weak(garbage); /* those that a finalizer made */
        condemn_all(garbage);
    }
}

static void finish_ephemerons(struct neap_header *header, enum np_manner manner)
{
    if (np_load_relaxed(&header->shared) & NP_HAS_WEAK) /* relaxed: set before it was condemned */
        np_ephemeron_finish(header, manner);
}

void np_garbage_release_alive(struct np_garbage *garbage)
{
    for (size_t i = garbage->count; i < garbage->count + garbage->alive_count; i++) {
        finish_ephemerons(garbage->members[i], NP_QUIET);
        np_release(garbage->members[i], NP_QUIET);
    }
    garbage->alive_count = 0;
}

/* ---- destruction ---- */

struct leaving {
    struct neap_visitor visitor; /* first: visits hand it back */
    enum np_manner manner;
};

static inline void release_leaving(struct neap_visitor *visitor, void **slot)
{
    void *child = np_load_relaxed(slot); /* relaxed: the set is ours alone */
    if (child == NULL)
        return;
    struct neap_header *header = neap_header_of(child);
    /* relaxed: a member's bit was set in the stop that condemned it; others never have it */
    if (!(np_load_relaxed(&header->gc) & NP_GC_CONDEMNED))
        np_release(header, ((struct leaving *)(void *)visitor)->manner);
}

void np_garbage_release_leaving(struct neap_header *header, enum np_manner manner)
{
    const struct np_piecemeal *piecemeal = np_piecemeal_of(type_of(header));
    if (piecemeal != NULL) {
        uint64_t all = UINT64_MAX; /* releasing a member does nothing: it is condemned */
        (void)piecemeal->release(np_object_of(header), &all, manner);
    } else {
        struct leaving leaving = {{release_leaving}, manner};
        np_visit_object(header, type_of(header), &leaving.visitor, release_leaving);
    }
    finish_ephemerons(header, manner);
}

static void poll(size_t done)
{
    if (done % POLL_EVERY == 0)
        np_stop_point(np_tls.thread);
}

void np_garbage_finalize(struct np_garbage *garbage)
{
    np_tls.dying++;
    np_pending_run_all(&garbage->callbacks);
    for (size_t i = 0; i < garbage->count; i++) {
        struct neap_header *header = garbage->members[i];
        if (!wants_finalizer(header))
            continue;
        /* relaxed: nobody else writes it but a collector while we are stopped */
        np_store_relaxed(&header->gc, (uint8_t)(np_load_relaxed(&header->gc) | NP_GC_FINALIZED));
        type_of(header)->finalize(np_object_of(header));
    }
    np_tls.dying--;
}

void np_garbage_save(struct np_garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++) {
        struct neap_header *header = garbage->members[i];
        bool stuck = is_stuck(header);
        if (!stuck && !garbage->save_all)
            continue;
        np_events_print_object(header, !stuck);
        np_saved_add(header);
    }
    garbage->alive_count = garbage->count;
    garbage->count = 0;
    np_garbage_release_alive(garbage);
    np_os_unreserve(garbage, garbage->mapped_bytes);
}

void np_garbage_dispose(struct np_garbage *garbage)
{
    np_tls.dying++;
    np_pending_run_all(&garbage->callbacks);
    for (size_t i = 0; i < garbage->count; i++) {
        struct neap_header *header = garbage->members[i];
        np_events_print_object(header, true);
        if (type_of(header)->dispose != NULL)
            type_of(header)->dispose(np_object_of(header));
        if (np_planted(free_before_dispose) && garbage->count > 1)
            np_object_free(header);
    }
    for (size_t i = 0; i < garbage->count; i++) {
        struct neap_header *header = garbage->members[i];
        if (type_of(header)->clear != NULL)
            type_of(header)->clear(np_object_of(header));
        np_garbage_release_leaving(header, NP_LOUD);
        poll(i);
    }
    struct np_list cleanups;
    np_list_init(&cleanups);
    for (size_t i = 0; i < garbage->count; i++) {
        struct neap_header *header = garbage->members[i];
        if (np_load_relaxed(&header->shared) & NP_HAS_WEAK)
            np_cleanup_take(header, &cleanups);
        np_object_free(header);
        poll(i);
    }
    np_tls.heap->old_freed -= (int64_t)garbage->count; /* not by counting */
    np_pending_run_all(&cleanups);
    np_tls.dying--;
    np_os_unreserve(garbage, garbage->mapped_bytes);
}
