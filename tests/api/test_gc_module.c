/* SPDX-License-Identifier: MIT
 *
 * The rest of Python's gc module: walkers, retained size, freeze, debug flags, the garbage list,
 * callbacks. */
#include <neap/neap.h>

#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

struct node {
    struct node *next;
    void *other;
};
NEAP_DEFINE_TYPE(node, (next, other));

struct leaf {
    char payload[100];
};
NEAP_DEFINE_TYPE(leaf, ());

struct holder {
    struct leaf *leaf;
    struct holder *next;
};
NEAP_DEFINE_TYPE(holder, (leaf, next));

struct large {
    struct node *slots[300];
};
NEAP_DEFINE_TYPE(large, (slots));

/* Keeps its reference disguised: its visit can only hand out a copy. */
struct masked {
    uintptr_t peer;
};
static void masked_visit(void *self, struct neap_visitor *visitor)
{
    void *peer = (void *)(((struct masked *)self)->peer ^ 0xFFFF);
    neap_visit(visitor, &peer);
}
NEAP_DEFINE_TYPE(masked, (), .visit = masked_visit);

/* The same with a way to let go. */
struct clearing {
    uintptr_t peer;
};
static void clearing_visit(void *self, struct neap_visitor *visitor)
{
    struct clearing *clearing = self;
    void *peer = clearing->peer == 0 ? NULL : (void *)(clearing->peer ^ 0xFFFF);
    neap_visit(visitor, &peer);
}
static void clearing_clear(void *self)
{
    struct clearing *clearing = self;
    void *peer = (void *)(clearing->peer ^ 0xFFFF);
    clearing->peer = 0;
    neap_release(peer);
}
NEAP_DEFINE_TYPE(clearing, (), .visit = clearing_visit, .clear = clearing_clear);

struct seen {
    size_t calls, limit;
    void *objects[64];
};

static bool note(void *object, void *arg)
{
    struct seen *seen = arg;
    if (seen->calls < 64)
        seen->objects[seen->calls] = object;
    return ++seen->calls != seen->limit;
}

static size_t times(const struct seen *seen, const void *object)
{
    size_t found = 0;
    for (size_t i = 0; i < seen->calls && i < 64; i++)
        found += seen->objects[i] == object;
    return found;
}

static struct node *cycle(void)
{
    struct node *node = neap_new(node);
    neap_set(&node->next, node);
    return node;
}

static void walkers(void)
{
    (void)neap_collect(2);
    struct node *a = neap_new(node), *b = neap_new(node);
    struct large *large = neap_new(large);
    neap_set(&a->next, b);
    neap_set(&a->other, b);
    neap_set(&large->slots[0], b);
    neap_set(&large->slots[299], a);
    struct seen seen = {0};
    is_int(neap_gc_each_object(-1, note, &seen), 3, "each object");
    ok(times(&seen, a) == 1 && times(&seen, b) == 1 && times(&seen, large) == 1, "once each");
    seen = (struct seen){.limit = 2};
    is_int(neap_gc_each_object(-1, note, &seen), 2, "until the function wants no more");
    seen = (struct seen){0};
    is_int(neap_gc_each_object(1, note, &seen), 0, "none in generation 1");
    (void)neap_collect(0);
    is_int(neap_gc_each_object(1, note, &seen), 3, "all after a collection");
    seen = (struct seen){0};
    is_int(neap_referrers(b, note, &seen), 3, "three slots refer to b");
    ok(times(&seen, a) == 2 && times(&seen, large) == 1, "once per slot");
    seen = (struct seen){0};
    is_int(neap_referents(large, note, &seen), 2, "large refers to two");
    ok(times(&seen, a) == 1 && times(&seen, b) == 1, "the right ones");
    is_int(neap_referents(b, note, &seen), 0, "b refers to nobody");
    ok(neap_refcount(a) == 2 && neap_refcount(b) == 4 && neap_refcount(large) == 1,
       "no count is left behind");
    neap_release(large);
    neap_release(b);
    neap_release(a);
}

struct dropping {
    struct node *kept;
    ptrdiff_t result;
};

static bool drop_and_collect(void *object, void *arg)
{
    struct dropping *dropping = arg;
    (void)object;
    neap_release(dropping->kept);
    dropping->kept = NULL;
    dropping->result = neap_collect(0);
    return true;
}

static void walking_and_dropping(void)
{
    struct dropping dropping = {neap_new(node), 0};
    is_int(neap_gc_each_object(-1, drop_and_collect, &dropping), 1,
           "an object released during the walk");
    is_int(dropping.result, NEAP_ESTATE, "no collection inside a walk");
    struct seen seen = {0};
    is_int(neap_gc_each_object(-1, note, &seen), 0, "it is gone afterwards");
}

static void many(void)
{
    enum { COUNT = 5000 };
    static void *objects[COUNT];
    for (int i = 0; i < COUNT; i++)
        objects[i] = i % 10 == 0 ? (void *)neap_new(large) : (void *)neap_new(node);
    struct seen seen = {0};
    is_int(neap_gc_each_object(-1, note, &seen), COUNT, "more than one batch, small and large");
    for (int i = 0; i < COUNT; i++)
        neap_release(objects[i]);
}

static void retained(void)
{
    struct holder *first = neap_new(holder), *second = neap_new(holder);
    struct leaf *own = neap_new(leaf), *shared = neap_new(leaf);
    size_t holder_bytes = neap_size_of(first), leaf_bytes = neap_size_of(own);
    neap_give(&first->leaf, own);
    neap_give(&first->next, second);
    neap_set(&second->leaf, shared);
    is_int(neap_retained_size(first), 2 * holder_bytes + leaf_bytes,
           "what it alone holds, not what is held elsewhere too");
    is_int(neap_retained_size(shared), leaf_bytes, "an object without slots");
    neap_set(&second->next, first);
    is_int(neap_retained_size(first), 2 * holder_bytes + leaf_bytes, "with a cycle back to it");
    neap_clear(&second->next);
    neap_release(shared);
    is_int(neap_retained_size(first), 2 * holder_bytes + 2 * leaf_bytes, "after it was let go");
    neap_release(first);
    is_int(neap_retained_size(NULL), 0, "nothing retains nothing");
}

static void freezing(void)
{
    (void)neap_collect(2);
    neap_release(cycle());
    struct node *held = neap_new(node);
    neap_gc_freeze();
    is_int(neap_gc_freeze_count(), 2, "two objects are frozen");
    is_int(neap_collect(2), 0, "frozen garbage is not found");
    struct seen seen = {0};
    is_int(neap_gc_each_object(-1, note, &seen), 0, "nor walked");
    neap_give(&held->next, cycle());
    is_int(neap_collect(2), 0, "what a frozen object holds lives");
    neap_clear(&held->next);
    is_int(neap_collect(2), 1, "until it is let go");
    neap_release(held);
    is_int(neap_gc_freeze_count(), 1, "frozen objects die by their counts");
    for (int i = 0; i < 1000; i++)
        neap_release(cycle());
    is_int(neap_collect(0), 1000, "new objects beside frozen ones are collected");
    neap_gc_unfreeze();
    is_int(neap_gc_freeze_count(), 0, "unfrozen");
    is_int(neap_collect(1), 0, "into generation 2");
    is_int(neap_collect(2), 1, "where they are found");
}

static void saving(void)
{
    neap_gc_set_debug(NEAP_GC_DEBUG_SAVEALL);
    is_int(neap_gc_get_debug(), NEAP_GC_DEBUG_SAVEALL, "debug flags");
    struct node *first = cycle();
    neap_give(&first->other, neap_new(node));
    neap_release(first);
    is_int(neap_collect(2), 2, "found");
    struct neap_list *garbage = neap_gc_garbage();
    is_int(neap_list_length(garbage), 2, "and saved");
    is_int(neap_collect(2), 0, "what is saved is alive");
    neap_gc_set_debug(0);
    while (neap_list_length(garbage) > 0)
        neap_release(neap_list_pop(garbage));
    is_int(neap_collect(2), 2, "the list emptied and saving off, it is collected");
    neap_release(garbage);
}

static void uncollectable(void)
{
    struct masked *a = neap_new(masked), *b = neap_new(masked);
    struct node *tail = neap_new(node);
    a->peer = (uintptr_t)neap_retain(b) ^ 0xFFFF;
    b->peer = (uintptr_t)neap_retain(a) ^ 0xFFFF;
    struct node *front = cycle(); /* collectable, refers into the rest */
    neap_set(&front->other, a);
    neap_release(front);
    neap_release(tail);
    neap_release(a);
    neap_release(b);
    struct neap_gc_stats before, after;
    (void)neap_gc_get_stats(2, &before);
    is_int(neap_collect(2), 3, "a cycle whose slots cannot be cleared, and one in front of it");
    (void)neap_gc_get_stats(2, &after);
    is_int(after.uncollectable - before.uncollectable, 2, "two are uncollectable");
    is_int(after.collected - before.collected, 1, "the other is not");
    struct neap_list *garbage = neap_gc_garbage();
    is_int(neap_list_length(garbage), 2, "they are on the garbage list");
    is_int(neap_collect(2), 0, "and are not found again");
    b = neap_list_pop(garbage);
    a = neap_list_pop(garbage);
    ok(neap_refcount(a) == 2 && neap_refcount(b) == 2, "with their counts");
    struct masked *peer = (struct masked *)(a->peer ^ 0xFFFF);
    struct masked *back = (struct masked *)(b->peer ^ 0xFFFF);
    a->peer = b->peer = 0xFFFF;
    neap_release(peer); /* the program breaks the cycle itself */
    neap_release(back);
    neap_release(a);
    neap_release(b);
    neap_release(garbage);
    struct clearing *c = neap_new(clearing);
    c->peer = (uintptr_t)neap_retain(c) ^ 0xFFFF;
    neap_release(c);
    is_int(neap_collect(2), 1, "with a clear of its own such a type is collectable");
}

static struct {
    unsigned starts, ends;
    bool inside, disordered;
    struct neap_gc_event last;
} heard;

static void hear(const struct neap_gc_event *event, void *arg)
{
    if (arg != &heard || event->start == heard.inside)
        heard.disordered = true;
    heard.inside = event->start;
    if (event->start)
        heard.starts++;
    else
        heard.ends++;
    heard.last = *event;
}

static uint64_t sum_of(const uint64_t *phase_ns, unsigned first, unsigned last)
{
    uint64_t sum = 0;
    for (unsigned i = first; i <= last; i++)
        sum += phase_ns[i];
    return sum;
}

static void phases(void)
{
    static bool named = true;
    for (unsigned i = 0; i < NEAP_GC_PHASES; i++)
        named &= neap_gc_phase_name((enum neap_gc_phase)i) != NULL;
    ok(named && neap_gc_phase_name(NEAP_GC_PHASES) == NULL, "every phase has a name");
    const struct neap_gc_event *last = &heard.last;
    uint64_t all = sum_of(last->phase_ns, 0, NEAP_GC_PHASES - 1);
    ok(all > 0 && all <= last->total_ns, "phases are parts of the collection");
    uint64_t inside = sum_of(last->phase_ns, NEAP_GC_PHASE_GATHER, NEAP_GC_PHASE_PROMOTE);
    ok(inside > 0 && inside <= last->stopped_ns, "those of the stop are parts of the stop");
    struct neap_gc_stats stats;
    (void)neap_gc_get_stats(last->generation, &stats);
    ok(stats.phase_ns[NEAP_GC_PHASE_COUNT] >= last->phase_ns[NEAP_GC_PHASE_COUNT] &&
           last->phase_ns[NEAP_GC_PHASE_COUNT] > 0,
       "statistics have their sums");
}

static void callbacks(void)
{
    is_int(neap_gc_add_callback(hear, &heard), NEAP_OK, "a callback");
    neap_release(cycle());
    (void)neap_collect(1);
    ok(heard.starts == 1 && heard.ends == 1 && !heard.disordered, "start and end");
    ok(heard.last.generation == 1 && heard.last.collected == 1 && heard.last.stopped_ns > 0 &&
           heard.last.total_ns >= heard.last.stopped_ns,
       "with figures");
    phases();
    (void)neap_gc_set_threshold(50, 0, 0);
    neap_gc_enable();
    struct node *kept[1000]; /* else a thread's own collections leave nothing to do */
    for (int i = 0; i < 20000; i++) {
        if (i >= 1000)
            neap_release(kept[i % 1000]);
        kept[i % 1000] = cycle();
    }
    for (int i = 0; i < 1000; i++)
        neap_release(kept[i]);
    neap_gc_disable();
    ok(heard.starts == 1, "an automatic collection calls nobody from inside an allocation");
    neap_safepoint();
    while (neap_run_pending(SIZE_MAX) > 0)
        ;
    ok(heard.starts > 1 && heard.starts == heard.ends && !heard.disordered, "but afterwards");
    neap_gc_remove_callback(hear, &heard);
    heard.starts = 0;
    (void)neap_collect(2);
    is_int(heard.starts, 0, "a callback removed hears nothing");
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "finalize_ms=0",
           0); /* nobody runs pending code behind the test's back */
    harness_begin();
    neap_gc_disable();
    walkers();
    walking_and_dropping();
    many();
    retained();
    freezing();
    saving();
    uncollectable();
    callbacks();
    return harness_end();
}
