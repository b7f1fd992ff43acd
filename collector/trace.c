/* SPDX-License-Identifier: MIT
 *
 * Depth first, with a short queue in front of the stack: a reference that is found enters the queue
 * while its target's side word and header are fetched into the cache, and is tested, marked and
 * visited when it leaves it. What does not fit into the queue goes onto the stack. A chain of
 * single references cannot be helped by this, anything with branches can.
 *
 * Several workers take rows from a common cursor and share what is on their stacks (share.h). A
 * mark is a plain store: two workers that mark the same object at the same time both look at it,
 * which changes nothing. So marks are counted afterwards, in the words. */
#include "collector/trace.h"

#include "base/check.h"
#include "base/os.h"
#include "base/plant.h"
#include "collector/crew.h"
#include "collector/ephemerons.h"
#include "collector/known.h"
#include "collector/plan.h"
#include "collector/scan.h"
#include "collector/share.h"
#include "collector/universe.h"

enum { AHEAD = 16 }; /* references in the queue; a power of two */

enum {
    PARALLEL_ROWS = 1024, /* 16 MiB of heap: below, waking a crew takes longer than tracing */
    ROWS_AT_ONCE = 32,    /* taken from the cursor */
    PLENTY = 4 * NP_SHARE_CHUNK
};

/* Of all pools: MEMBERS after counting, KNOWN before. */
enum mode { MEMBERS, KNOWN };

struct tracer {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct np_side_view view;
    struct neap_header **stack; /* targets of references, in reserved memory */
    size_t bottom, top, limit;  /* in use: [bottom, top) */
    uint64_t marked_count;      /* what one worker alone has marked */
    np_trace_marked *marked;    /* may be NULL */
    void *arg;
    bool overflowed; /* something marked was not visited */
    bool shared;     /* others trace at the same time */
    bool closure;    /* all that an object keeps, whatever else that depends on */
} __attribute__((aligned(NP_CACHE_LINE)));

static struct tracer
    tracers[NP_CREW_MOST]; /* (s) one per worker; the first is the collecting thread's */
static size_t stack_bytes;
static uint32_t next_row; /* (x) relaxed: the cursor */

#define alone (tracers[0])

int np_trace_init(size_t stack_entries)
{
    stack_bytes = stack_entries * sizeof *alone.stack;
    for (unsigned i = 0; i < NP_CREW_MOST; i++) {
        tracers[i] = (struct tracer){.limit = stack_entries};
        tracers[i].stack = np_os_reserve(stack_bytes, 1);
        if (tracers[i].stack == NULL) {
            np_trace_fini();
            return -1;
        }
    }
    return 0;
}

void np_trace_fini(void)
{
    for (unsigned i = 0; i < NP_CREW_MOST; i++) {
        if (tracers[i].stack != NULL)
            np_os_unreserve(tracers[i].stack, stack_bytes);
        tracers[i].stack = NULL;
    }
}

static bool ephemerons; /* (s) there are some: keys and weak maps are visited with care */

static inline __attribute__((always_inline)) bool mark(struct tracer *t, struct neap_header *header,
                                                       uint32_t *word)
{
    uint32_t state = np_load_relaxed(word); /* relaxed, both: marking twice changes nothing */
    if (!np_side_is(state, NP_SIDE_MEMBER))
        return false;
    np_store_relaxed(word, state | NP_SIDE_MARKED);
    t->marked_count++;
    if (np_unlikely(t->marked != NULL))
        t->marked(header, t->arg);
    return true;
}

/* Before anything is counted: whatever is reached, member or not, goes up one generation here, and
 * counting passes over it. */
static inline __attribute__((always_inline)) bool mark_known(struct neap_header *header,
                                                             uint32_t *word)
{
    uint32_t state = np_load_relaxed(word); /* relaxed, both: as in mark */
    if ((state & NP_SIDE_MARKED) || (np_unlikely(ephemerons) && np_is_weak_map(header)))
        return false;
    np_store_relaxed(word, state | NP_SIDE_MARKED);
    uint8_t gc = np_load_relaxed(&header->gc); /* relaxed, both: whoever writes it is stopped */
    if ((gc & NP_GC_GENERATION) < 2)
        np_store_relaxed(&header->gc, (uint8_t)(gc + 1));
    return true;
}

static inline uint32_t *word_of(const struct tracer *t, const struct neap_header *header)
{
    return np_side_word_in(&t->view, header, t->view.whole);
}

/* Without room on the stack: marked at once, found again by its mark. Before counting there are no
 * members: then the object is not known to live, and is counted. */
static np_cold void push_onto_full(struct tracer *t, struct neap_header *header)
{
    uint32_t *word = word_of(t, header);
    if (word != NULL && mark(t, header, word))
        t->overflowed = true;
}

static inline void push(struct tracer *t, struct neap_header *header)
{
    if (np_likely(t->top < t->limit))
        t->stack[t->top++] = header;
    else
        push_onto_full(t, header);
}

static void push_slot(struct neap_visitor *visitor, void **slot)
{
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    if (child != NULL)
        push((struct tracer *)(void *)visitor, neap_header_of(child));
}

/* References on their way into the cache, and the plan of the object visited last: of most objects
 * the type is known before it is read. */
struct queue {
    unsigned first, count;
    uint32_t type;
    struct np_plan plan;
    struct neap_header *targets[AHEAD];
};

/* What is next in turn anyway is not fetched ahead: a prefetch right before the access takes the
 * miss away from the processor's own stream detection, and a list in memory order becomes five
 * times slower. */
static inline __attribute__((always_inline)) void enter(struct tracer *t, struct queue *queue,
                                                        struct neap_header *target)
{
    if (queue->count > 0) {
        __builtin_prefetch(np_side_word_in(&t->view, target, true));
        __builtin_prefetch(target);
    }
    queue->targets[(queue->first + queue->count++) % AHEAD] = target;
}

static np_noinline bool visit_ephemerons(struct tracer *t, struct neap_header *header)
{
    return np_ephemerons_visit_stopped(&t->view, header, &t->visitor, t->closure);
}

static inline __attribute__((always_inline)) void visit(struct tracer *t, struct queue *queue,
                                                        struct neap_header *header, enum mode mode)
{
    if (np_unlikely(header->type != queue->type)) {
        queue->type = header->type;
        queue->plan = np_plans[header->type];
        __asm__ volatile("" ::
                             : "memory"); /* a branch, which is predicted; not a conditional move */
    }
    const struct np_plan *plan = &queue->plan;
    if (mode == MEMBERS && np_unlikely(ephemerons) && visit_ephemerons(t, header))
        return;
    if (np_unlikely(!plan->simple || (header->flags & NP_FLAG_ARRAY))) {
        np_visit_object(header, np_type_at(header->type), &t->visitor, push_slot);
        return;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        /* relaxed: whoever writes it is stopped */
        const void *child = np_load_relaxed((void **)(void *)((char *)header + plan->offset[i]));
        if (child == NULL || np_planted(miss_reference))
            continue;
        if (queue->count < AHEAD)
            enter(t, queue, neap_header_of(child));
        else
            push(t, neap_header_of(child));
    }
}

/* The oldest: what is reached from them is most, as a rule. */
static np_noinline void give_some(struct tracer *t)
{
    if (np_share_give(t->stack + t->bottom))
        t->bottom += NP_SHARE_CHUNK;
}

/* start, unless NULL, is marked. */
static inline __attribute__((always_inline)) void drain(struct tracer *t, struct neap_header *start,
                                                        enum mode mode)
{
    struct queue queue = {0};
    if (start != NULL)
        visit(t, &queue, start, mode);
    for (;;) {
        while (queue.count < AHEAD && t->top > t->bottom)
            enter(t, &queue, t->stack[--t->top]);
        if (np_unlikely(t->shared) && t->top - t->bottom > PLENTY && np_share_wanted())
            give_some(t);
        if (queue.count == 0) {
            t->bottom = t->top = 0;
            return;
        }
        struct neap_header *header = queue.targets[queue.first++ % AHEAD];
        queue.count--;
        uint32_t *word = np_side_word_in(&t->view, header, true);
        if (mode == KNOWN ? word != NULL && mark_known(header, word)
                          : word != NULL && mark(t, header, word))
            visit(t, &queue, header, mode);
    }
}

static void drain_whole(struct tracer *t, struct neap_header *start)
{
    drain(t, start, MEMBERS);
}

/* Some pools only: small enough to be in the cache. Marked when it is found, and nothing is fetched
 * ahead. */
static void mark_found(struct neap_visitor *visitor, void **slot)
{
    struct tracer *t = (struct tracer *)(void *)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    if (child == NULL)
        return;
    struct neap_header *header = neap_header_of(child);
    uint32_t *word = np_side_word_in(&t->view, header, false);
    if (word == NULL || !mark(t, header, word))
        return;
    if (np_likely(t->top < t->limit))
        t->stack[t->top++] = header;
    else
        t->overflowed = true;
}

static void visit_part(struct tracer *t, struct neap_header *header)
{
    if (np_likely(!ephemerons) || !visit_ephemerons(t, header))
        np_plan_visit(header, &t->visitor, mark_found);
}

static void trace_part(struct tracer *t, struct neap_header *header)
{
    t->visitor.slot = mark_found;
    visit_part(t, header);
    while (t->top > 0)
        visit_part(t, t->stack[--t->top]);
}

static void drain_known(struct tracer *t, struct neap_header *start)
{
    drain(t, start, KNOWN);
}

/* Visits a marked object and marks what is reachable from it. */
static void trace_on(struct tracer *t, struct neap_header *start)
{
    if (t->view.whole)
        drain_whole(t, start);
    else
        trace_part(t, start);
}

/* ---- passes over the side words ---- */

static inline __attribute__((always_inline)) void
each_member_of(uint32_t first, uint32_t last,
               void (*function)(struct neap_header *header, uint32_t *word, void *arg), void *arg)
{
    for (uint32_t row = first; row <= last; row++) {
        if (!np_universe_has(np_side.pools[row]))
            continue;
        const struct np_pool *pool = &np_region.pools[np_side.pools[row]];
        char *block = np_pool_memory(pool);
        size_t block_bytes = pool->block_bytes;
        for (unsigned i = pool->carved; i > 0; i--, block += block_bytes) {
            uint32_t *word = np_side_word_in_row(row, (uintptr_t)block);
            if (np_load_relaxed(word) & NP_SIDE_MEMBER) /* relaxed: others may be marking */
                function((struct neap_header *)(void *)block, word, arg);
        }
    }
}

static inline __attribute__((always_inline)) void
each_large_member(void (*function)(struct neap_header *header, uint32_t *word, void *arg),
                  void *arg)
{
    for (size_t i = 0; i < np_universe.large_count; i++) {
        uint32_t *word = &np_large_of(np_universe.large[i])->counter;
        if (np_load_relaxed(word) & NP_SIDE_MEMBER) /* relaxed: others may be marking */
            function(np_universe.large[i], word, arg);
    }
}

static inline __attribute__((always_inline)) void
each_member(void (*function)(struct neap_header *header, uint32_t *word, void *arg), void *arg)
{
    each_member_of(1, np_side.row_count, function, arg);
    each_large_member(function, arg);
}

struct each {
    void (*function)(struct neap_header *header, void *arg);
    void *arg;
    uint32_t state;
};

static inline void call_if(struct neap_header *header, uint32_t *word, void *arg)
{
    struct each *each = arg;
    if (np_side_is(*word, each->state))
        each->function(header, each->arg);
}

void np_trace_each_stopped(uint32_t state, void (*function)(struct neap_header *header, void *arg),
                           void *arg)
{
    struct each each = {function, arg, state};
    each_member(call_if, &each);
}

static inline void visit_if_marked(struct neap_header *header, uint32_t *word, void *arg)
{
    if (*word & NP_SIDE_MARKED)
        trace_on(arg, header);
}

/* What did not fit on the stack is among the marked. */
static void finish(struct tracer *t)
{
    while (np_unlikely(t->overflowed)) {
        t->overflowed = false;
        each_member(visit_if_marked, t);
    }
}

/* ---- roots ---- */

_Noreturn void np_trace_panic_overcount(const struct neap_header *header)
{
    const struct neap_type *type = np_type_at(header->type);
    np_panic("%s at %p: more references to it were found in objects than its reference count says. "
             "Either a type's slots or visit report a slot twice or one that owns no reference, or "
             "a reference was released too often or stored without being counted",
             type->name, np_object_of(header));
}

static inline void mark_if_held(struct neap_header *header, uint32_t *word, void *arg)
{
    struct tracer *t = arg;
    int32_t held = np_side_count(np_load_relaxed(word)); /* relaxed: others may be marking */
    if (np_unlikely(held < 0))
        np_trace_panic_overcount(header);
    if (held > 0 && mark(t, header, word))
        trace_on(t, header);
}

static void begin(struct tracer *t, np_trace_marked *marked, void *arg, bool shared)
{
    t->visitor.slot = push_slot;
    t->view = np_side_view();
    t->marked = marked;
    t->arg = arg;
    t->marked_count = 0;
    t->shared = shared;
    t->closure = false;
}

/* ---- one worker ---- */

static uint64_t trace_alone(void)
{
    begin(&alone, NULL, NULL, false);
    each_member(mark_if_held, &alone);
    finish(&alone);
    return alone.marked_count;
}

void np_trace_from_stopped(struct neap_header *header, np_trace_marked *marked, void *arg)
{
    ephemerons = np_ephemeron_count() > 0;
    begin(&alone, marked, arg, false);
    alone.closure = true;
    if (mark(&alone, header, np_side_word(header))) {
        trace_on(&alone, header);
        finish(&alone);
    }
}

/* ---- several workers ---- */

static unsigned workers_for_rows(void)
{
    return np_side.row_count < PARALLEL_ROWS ? 1 : np_crew_size();
}

/* What passes over the words have left: long chains, as a rule. */
struct rest {
    size_t count;
    unsigned workers;
    bool known;
};

static void trace_rest(unsigned index, void *arg)
{
    const struct rest *rest = arg;
    struct tracer *t = &tracers[index];
    size_t taken = 0;
    begin(t, NULL, NULL, rest->workers > 1);
    for (size_t i = index; i < rest->count; i += rest->workers)
        push(t, np_scan_left(i));
    do {
        t->top += taken;
        if (rest->known)
            drain_known(t, NULL);
        else
            drain_whole(t, NULL);
    } while ((taken = np_share_take(t->stack)) > 0);
}

static void trace_left(size_t count, bool known)
{
    struct rest rest = {count, workers_for_rows(), known};
    if (count == 0)
        return;
    np_share_begin(rest.workers);
    np_crew_run(known ? NEAP_GC_PHASE_KNOWN : NEAP_GC_PHASE_TRACE, rest.workers, trace_rest, &rest);
    for (unsigned i = 0; i < rest.workers; i++) {
        tracers[i].shared = false;
        finish(&tracers[i]);
    }
}

/* ---- known live first ---- */

void np_trace_known_stopped(void)
{
    ephemerons = np_ephemeron_count() > 0;
    if (np_side.whole && np_known_count() > 0)
        trace_left(np_scan_known_stopped(workers_for_rows()), true);
}

/* ---- counting marks ---- */

static bool take_rows(uint32_t *ret_first, uint32_t *ret_last)
{
    uint32_t first = np_fetch_add_relaxed(&next_row, ROWS_AT_ONCE); /* relaxed: a cursor */
    if (first > np_side.row_count)
        return false;
    *ret_first = first;
    *ret_last =
        np_side.row_count - first < ROWS_AT_ONCE ? np_side.row_count : first + ROWS_AT_ONCE - 1;
    return true;
}

static uint64_t unmarked_counts[NP_CREW_MOST]; /* (s) */

/* Words of rows in a row: no pool needs to be looked at. Other states than those two do not occur.
 */
static void count_unmarked(unsigned index, void *arg)
{
    uint64_t unmarked = 0;
    uint32_t first, last;
    (void)arg;
    while (take_rows(&first, &last)) {
        const uint32_t *words = np_side.words + (size_t)first * NP_SIDE_ROW;
        for (size_t i = 0; i < (size_t)(last - first + 1) * NP_SIDE_ROW; i++)
            unmarked += np_side_is(words[i], NP_SIDE_MEMBER);
    }
    unmarked_counts[index] = unmarked;
}

static inline void add_if_unmarked(struct neap_header *header, uint32_t *word, void *arg)
{
    (void)header;
    *(uint64_t *)arg += np_side_is(*word, NP_SIDE_MEMBER);
}

static uint64_t count_marked(unsigned workers, uint64_t members)
{
    uint64_t unmarked = 0;
    next_row = 1;
    np_crew_run(NEAP_GC_PHASE_TRACE, workers, count_unmarked, NULL);
    each_large_member(add_if_unmarked, &unmarked);
    for (unsigned i = 0; i < workers; i++)
        unmarked += unmarked_counts[i];
    return members - unmarked;
}

uint64_t np_trace_universe_stopped(uint64_t members)
{
    ephemerons = np_ephemeron_count() > 0;
    if (!np_side.whole)
        return trace_alone();
    trace_left(np_scan_members_stopped(workers_for_rows()), false);
    return count_marked(workers_for_rows(), members);
}
