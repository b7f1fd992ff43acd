/* SPDX-License-Identifier: MIT
 *
 * A set of plain garbage is one list through word 0 of its members, the last found first. Where it
 * is shared out, a table says in addition where in this list each pool begins.
 *
 * The table and the workers' lists of what leaves the set are in reserved memory: nothing here can
 * fail. A round's references fit: a pool has no more slots than words. */
#include "collector/sweep.h"

#include "alloc/bulk.h"
#include "base/os.h"
#include "collector/events.h"
#include "collector/plan.h"
#include "collector/universe.h"
#include "neap/gc.h"
#include "runtime/death.h"
#include "threads/safepoint.h"

enum {
    POLL_EVERY = 1024,    /* objects freed between two stop points */
    SHARED_LEAST = 16384, /* members from which on the crew frees them */
    ROUND_POOLS = 8,      /* of each worker, between two stop points */
    ROUND_MOST = ROUND_POOLS * NP_CREW_MOST,
    POOL_SLOTS = (int)(NP_POOL_BYTES / sizeof(void *)),
    SOON = 32, /* references whose targets are on their way into the cache */
    LEAVING_MOST = ROUND_MOST * POOL_SLOTS + SOON
};

struct segment {
    struct neap_header *first; /* linked to the others of its pool, and on to the pool before */
    uint32_t count;
    bool odd; /* holds members that the collecting thread parts with itself */
};

struct worker {
    struct neap_header **leaving; /* LEAVING_MOST; released by the collecting thread */
    size_t leaving_count;
    uint64_t freed; /* (o>) */
} __attribute__((aligned(NP_CACHE_LINE)));

static struct {
    struct segment *segments; /* (L) of collect.c, all */
    size_t limit, count;
    bool noting;

    /* the round at hand */
    size_t first, end;
    uint32_t workers;
    struct np_heap *heap;                 /* of the collecting thread */
    struct np_bulk bulks[ROUND_MOST];     /* by segment of the round */
    struct neap_header *left[ROUND_MOST]; /* members that want more than a bulk does */
    uint32_t cursor __attribute__((aligned(NP_CACHE_LINE))); /* (x) the next segment to be dealt */

    struct worker worker[NP_CREW_MOST];
} sweep;

/* ---- beginning and end ---- */

static size_t table_bytes(void)
{
    return (sweep.limit + 1) * sizeof *sweep.segments; /* number 0 stays empty */
}

static size_t whole_pages(size_t bytes)
{
    size_t page = np_os_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

static size_t leaving_bytes(void)
{
    return whole_pages(LEAVING_MOST * sizeof(struct neap_header *));
}

int np_sweep_init(void)
{
    sweep.limit = np_region.bytes >> NP_POOL_LOG2;
    sweep.segments = np_os_reserve(whole_pages(table_bytes()), 1);
    bool ok = sweep.segments != NULL;
    for (unsigned i = 0; i < NP_CREW_MOST && ok; i++) {
        sweep.worker[i].freed = 0;
        sweep.worker[i].leaving_count = 0;
        ok = (sweep.worker[i].leaving = np_os_reserve(leaving_bytes(), 1)) != NULL;
    }
    if (ok)
        return 0;
    np_sweep_fini();
    return -1;
}

void np_sweep_fini(void)
{
    if (sweep.segments != NULL)
        np_os_unreserve(sweep.segments, whole_pages(table_bytes()));
    sweep.segments = NULL;
    for (unsigned i = 0; i < NP_CREW_MOST; i++) {
        if (sweep.worker[i].leaving != NULL)
            np_os_unreserve(sweep.worker[i].leaving, leaving_bytes());
        sweep.worker[i].leaving = NULL;
    }
}

void np_sweep_read(uint64_t ret_freed[NP_CREW_MOST])
{
    for (unsigned i = 0; i < NP_CREW_MOST; i++)
        ret_freed[i] = np_load_relaxed(&sweep.worker[i].freed); /* relaxed: a counter */
}

/* ---- noting ---- */

void np_sweep_begin_stopped(void)
{
    sweep.count = 0;
    sweep.noting = np_universe.generation == 2;
}

void np_sweep_note_stopped(struct neap_header *header)
{
    if (!sweep.noting || (header->flags & NP_FLAG_LARGE))
        return;
    struct segment *last = &sweep.segments[sweep.count]; /* one behind: number 0 stays empty */
    if (sweep.count == 0 || np_pool_of(last->first) != np_pool_of(header)) {
        last = &sweep.segments[++sweep.count];
        *last = (struct segment){0};
    }
    last->first = header;
    last->count++;
}

bool np_sweep_end_stopped(size_t count)
{
    bool noted = sweep.noting;
    sweep.noting = false;
    /* debug output is printed in order, by one thread */
    return noted && count >= SHARED_LEAST && neap_gc_get_debug() == 0;
}

/* ---- one member ---- */

static const struct neap_type *type_of(const struct neap_header *header)
{
    return np_type_at(header->type);
}

static struct neap_header *next_of(const struct neap_header *header)
{
    return np_link_decode(np_load_relaxed((const np_word *)header)); /* relaxed: ours alone */
}

/* Not released from a plan's offsets alone. */
static bool is_odd(const struct neap_header *header, const struct np_plan *plan)
{
    return !plan->simple || plan->disposes || (header->flags & (NP_FLAG_ARRAY | NP_FLAG_LARGE)) ||
           (np_load_relaxed(&header->shared) & NP_HAS_WEAK); /* relaxed: set before the stop */
}

static void part_with_odd(struct neap_header *header, enum np_manner manner)
{
    const struct neap_type *type = type_of(header);
    if (type->dispose != NULL) /* the runtime's own: see np_count_needs_user */
        type->dispose(np_object_of(header));
    np_garbage_release_leaving(header, manner);
}

static bool is_leaving(const struct neap_header *header)
{
    /* relaxed: a member's bit was set in the stop that condemned it; others never have it */
    return header != NULL && !(np_load_relaxed(&header->gc) & NP_GC_CONDEMNED);
}

/* What members refer to, while its header comes into the cache: which of them are members it alone
 * says. Each is held by the member's reference until its turn. */
struct soon {
    struct neap_header *headers[SOON];
    unsigned next;
};

/* The one whose turn it is, or NULL. */
static inline struct neap_header *exchange(struct soon *soon, struct neap_header *header)
{
    struct neap_header **place = &soon->headers[soon->next++ % SOON], *due = *place;
    if (header != NULL)
        __builtin_prefetch(header);
    *place = header;
    return due;
}

/* ---- alone ---- */

static void poll(size_t done)
{
    if (done % POLL_EVERY == 0)
        np_stop_point(np_tls.thread);
}

static void release_if_leaving(struct neap_header *header, enum np_manner manner)
{
    if (is_leaving(header))
        np_release(header, manner);
}

static void part_alone(struct neap_header *first, const struct neap_header *end,
                       enum np_manner manner)
{
    struct soon soon = {0};
    size_t done = 0;
    for (struct neap_header *header = first; header != end; header = next_of(header)) {
        const struct np_plan *plan = &np_plans[header->type];
        np_events_print_object(header, true);
        if (is_odd(header, plan)) {
            part_with_odd(header, manner);
        } else {
            for (unsigned i = 0; i < plan->count; i++) {
                /* relaxed: the set is ours alone */
                void *child = np_load_relaxed((void **)(void *)((char *)header + plan->offset[i]));
                if (child != NULL)
                    release_if_leaving(exchange(&soon, neap_header_of(child)), manner);
            }
        }
        poll(++done);
    }
    for (unsigned i = 0; i < SOON; i++)
        release_if_leaving(exchange(&soon, NULL), manner);
}

static void free_alone(struct neap_header *first, const struct neap_header *end)
{
    size_t done = 0;
    for (struct neap_header *header = first, *after; header != end; header = after) {
        after = next_of(header);
        np_object_free(header);
        poll(++done);
    }
    np_tls.heap->old_freed -= (int64_t)done; /* not by counting */
}

/* ---- together: the rounds ---- */

/* Each worker begins with a segment of its own, so that all have their part in a round; the rest
 * goes to whoever comes for it. */
static struct segment *deal(unsigned index, bool begin, size_t *ret_place)
{
    size_t number = begin ? sweep.first + index
                          : np_fetch_add_relaxed(&sweep.cursor, 1); /* relaxed: a cursor */
    if (number >= sweep.end)
        return NULL;
    *ret_place = number - sweep.first;
    return &sweep.segments[number];
}

/* Runs work over all segments, after_round after each round of them. */
static void in_rounds(void (*work)(unsigned index, void *arg), void (*after_round)(void *arg),
                      void *arg)
{
    sweep.workers = np_crew_size();
    size_t pools = (size_t)ROUND_POOLS * sweep.workers;
    for (size_t first = 1; first <= sweep.count; first += pools) {
        sweep.first = first;
        sweep.end = first + pools <= sweep.count ? first + pools : sweep.count + 1;
        sweep.heap = np_tls.heap;
        np_store_relaxed(&sweep.cursor, (uint32_t)first + sweep.workers); /* relaxed: the run */
        np_crew_run(NEAP_GC_PHASE_SWEEP, sweep.workers, work, arg);
        after_round(arg);
        np_stop_point(np_tls.thread);
    }
}

/* ---- together: parting ---- */

static inline void keep_if_leaving(struct worker *worker, struct neap_header *header)
{
    if (is_leaving(header))
        worker->leaving[worker->leaving_count++] = header;
}

static void look_at_segment(struct worker *worker, struct segment *segment, struct soon *soon)
{
    struct neap_header *header = segment->first;
    for (uint32_t left = segment->count; left > 0; left--, header = next_of(header)) {
        const struct np_plan *plan = &np_plans[header->type];
        if (np_unlikely(is_odd(header, plan))) {
            segment->odd = true;
            continue;
        }
        for (unsigned i = 0; i < plan->count; i++) {
            /* relaxed: the set is ours alone */
            void *child = np_load_relaxed((void **)(void *)((char *)header + plan->offset[i]));
            if (child != NULL)
                keep_if_leaving(worker, exchange(soon, neap_header_of(child)));
        }
    }
}

static void part_together(unsigned index, void *arg)
{
    struct worker *worker = &sweep.worker[index];
    struct soon soon = {0};
    struct segment *segment;
    size_t place;
    (void)arg;
    for (bool begin = true; (segment = deal(index, begin, &place)) != NULL; begin = false)
        look_at_segment(worker, segment, &soon);
    for (unsigned i = 0; i < SOON; i++)
        keep_if_leaving(worker, exchange(&soon, NULL));
}

static void part_with_odd_ones(const struct segment *segment, enum np_manner manner)
{
    struct neap_header *header = segment->first;
    for (uint32_t left = segment->count; left > 0; left--, header = next_of(header))
        if (is_odd(header, &np_plans[header->type]))
            part_with_odd(header, manner);
}

static void release_round(void *arg)
{
    enum np_manner manner = *(const enum np_manner *)arg;
    size_t done = 0;
    for (unsigned i = 0; i < sweep.workers; i++) {
        struct worker *worker = &sweep.worker[i];
        for (size_t k = 0; k < worker->leaving_count; k++) {
            np_release(worker->leaving[k], manner);
            poll(++done);
        }
        worker->leaving_count = 0;
    }
    for (size_t i = sweep.first; i < sweep.end; i++)
        if (sweep.segments[i].odd) {
            part_with_odd_ones(&sweep.segments[i], manner);
            np_stop_point(np_tls.thread);
        }
}

/* ---- together: freeing ---- */

static void leave_for_caller(struct neap_header **list, struct neap_header *header)
{
    /* relaxed, both: ours alone; as in death.c */
    uint64_t kept = np_load_relaxed((np_word *)header) & np_link_kept;
    np_store_relaxed((np_word *)header, np_link_encode(*list) | kept);
    *list = header;
}

static void free_together(unsigned index, void *arg)
{
    struct worker *worker = &sweep.worker[index];
    const struct segment *segment;
    size_t place;
    (void)arg;
    for (bool begin = true; (segment = deal(index, begin, &place)) != NULL; begin = false) {
        struct neap_header *header = segment->first, *after;
        struct np_bulk bulk = np_bulk_begin(sweep.heap, np_pool_of(header));
        sweep.left[place] = NULL;
        for (uint32_t left = segment->count; left > 0; left--, header = after) {
            after = next_of(header);
            if (np_unlikely(header->flags & NP_FLAG_TRACED)) {
                leave_for_caller(&sweep.left[place], header);
                continue;
            }
            np_store_relaxed(&header->type, 0); /* relaxed: stale readers look elsewhere */
            np_bulk_add(&bulk, header);
        }
        sweep.bulks[place] = bulk;
        np_store_relaxed(&worker->freed, worker->freed + bulk.count); /* relaxed: a counter */
    }
}

/* The heap's own pools first, all of them: whatever else comes home, by a magazine that overflows
 * or a claim that brings strays, may empty a pool, and it must be on its list with its counters
 * right by then. */
static void settle_round(void *arg)
{
    (void)arg;
    size_t count = sweep.end - sweep.first;
    for (size_t place = 0; place < count; place++)
        if (sweep.bulks[place].is_own)
            np_bulk_settle(sweep.heap, &sweep.bulks[place]);
    for (size_t place = 0; place < count; place++)
        if (!sweep.bulks[place].is_own)
            np_bulk_settle(sweep.heap, &sweep.bulks[place]);
    for (size_t place = 0; place < count; place++)
        free_alone(sweep.left[place], NULL);
}

/* ---- all of it ---- */

static void forget_table(void)
{
    np_os_give_back(sweep.segments, whole_pages((sweep.count + 1) * sizeof *sweep.segments));
    for (unsigned i = 0; i < sweep.workers; i++)
        np_os_give_back(sweep.worker[i].leaving, leaving_bytes());
}

void np_sweep(const struct np_findings *findings, enum np_manner manner)
{
    bool shared = findings->plain_shared;
    const struct neap_header *end = shared ? sweep.segments[sweep.count].first : NULL;
    np_tls.dying++;
    part_alone(findings->plain, end, manner);
    if (shared) {
        in_rounds(part_together, release_round, &manner);
        in_rounds(free_together, settle_round, NULL);
        forget_table();
    }
    free_alone(findings->plain, end);
    np_tls.dying--;
}
