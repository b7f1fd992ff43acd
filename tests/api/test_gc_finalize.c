/* SPDX-License-Identifier: MIT
 *
 * User code around garbage: finalizers once and before anything is gone, revival, disposals that
 * see intact slots, weak references cleared first, callbacks, cleanups, and where all of it runs.
 */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

enum { CANARY = 0x66696E61 };

struct node {
    struct node *next, *other;
    struct neap_weak *weak; /* to another member */
    uint64_t canary;
    unsigned finalized, disposed;
};

static struct {
    unsigned finalized, disposed, called, cleaned;
    bool revive;          /* the next finalizer stores its object in `revived` */
    struct node *revived; /* owns a reference */
    bool weak_alive;      /* a finalizer found its weak reference alive */
    bool broken;          /* a neighbour was not intact */
    unsigned disposed_when_finalized, finalized_when_called, disposed_when_called,
        disposed_when_cleaned;
    ptrdiff_t nested;
} seen;

static void look_at(const struct node *node)
{
    if (node != NULL && node->canary != CANARY)
        seen.broken = true;
}

static void node_finalize(void *self)
{
    struct node *node = self;
    node->finalized++;
    seen.finalized++;
    seen.disposed_when_finalized = seen.disposed;
    look_at(node->next);
    look_at(node->other);
    if (node->weak != NULL) {
        struct node *target = neap_weak_get(node->weak);
        seen.weak_alive |= target != NULL;
        neap_release(target);
    }
    if (seen.revive) {
        seen.revive = false;
        seen.revived = neap_retain(node);
    }
}

static void node_dispose(void *self)
{
    struct node *node = self;
    seen.disposed++;
    if (node->disposed++ != 0)
        seen.broken = true;
    look_at(node->next);
    look_at(node->other);
}
NEAP_DEFINE_TYPE(node, (next, other, weak), .finalize = node_finalize, .dispose = node_dispose);

/* The same without finalizer; its disposal gives a slot back and looks at another. */
struct item {
    struct item *next, *other;
    uint64_t canary;
};
static void item_dispose(void *self)
{
    struct item *item = self;
    seen.disposed++;
    seen.broken |= item->next != NULL && item->next->canary != CANARY;
    struct item *other = neap_get(&item->other);
    seen.broken |= other != NULL && other->canary != CANARY;
    neap_release(other);
    neap_clear(&item->next);
}
NEAP_DEFINE_TYPE(item, (next, other), .dispose = item_dispose);

struct plain {
    struct plain *next;
};
NEAP_DEFINE_TYPE(plain, (next));

static void forget(void)
{
    struct node *revived = seen.revived;
    seen = (typeof(seen)){.revived = revived};
}

static struct node *make(void)
{
    struct node *node = neap_new(node);
    node->canary = CANARY;
    return node;
}

static struct node *ring(int length)
{
    struct node *first = make(), *last = first;
    for (int i = 1; i < length; i++) {
        neap_give(&last->next, make());
        neap_set(&last->next->other, last);
        last = last->next;
    }
    neap_set(&last->next, first);
    return first;
}

static void finalizers(void)
{
    forget();
    neap_release(ring(100));
    is_int(neap_collect(0), 100, "a ring with finalizers is found");
    is_int(seen.finalized, 100, "each is finalized once");
    is_int(seen.disposed_when_finalized, 0, "before any is disposed of");
    is_int(seen.disposed, 100, "each is disposed of once");
    ok(!seen.broken, "with intact neighbours all the way");
    is_int(neap_collect(2), 0, "and is gone");
}

static void revival(void)
{
    forget();
    struct node *first = ring(10);
    neap_release(ring(7));
    neap_release(first);
    seen.revive = true;
    ptrdiff_t found = neap_collect(2);
    ok(found == 7 || found == 10, "of two rings, the one that a finalizer kept is not garbage");
    is_int(seen.finalized, 17, "all finalizers ran");
    is_int(seen.disposed, found, "the revived ring is not disposed of");
    ptrdiff_t kept = 17 - found;
    ok(seen.revived != NULL && neap_is_finalized(seen.revived), "and says that it was finalized");
    ok(neap_refcount(seen.revived) >= 2, "its references are those of the ring and the variable");
    struct node *last = seen.revived;
    int length = 0;
    do {
        look_at(last);
        last = last->next;
        length++;
    } while (last != seen.revived && length < 100);
    is_int(length, kept, "it is whole");
    forget();
    neap_release(seen.revived);
    seen.revived = NULL;
    is_int(neap_collect(2), kept, "the second time it goes for good");
    is_int(seen.finalized, 0, "without another finalizer");
    is_int(seen.disposed, kept, "disposed of then");
}

static void on_death(struct neap_weak *weak, void *arg)
{
    (void)arg;
    seen.called++;
    seen.finalized_when_called = seen.finalized;
    seen.disposed_when_called = seen.disposed;
    if (neap_weak_get(weak) != NULL)
        seen.weak_alive = true;
}

static void on_clean(void *arg)
{
    (void)arg;
    seen.cleaned++;
    seen.disposed_when_cleaned = seen.disposed;
}

static void weak_references(void)
{
    forget();
    struct node *first = ring(5);
    struct neap_weak *inside = neap_weak_new(first->next);
    struct neap_weak *outside = neap_weak_new_with(first, on_death, NULL);
    struct neap_weak *dropped = neap_weak_new_with(first, on_death, NULL);
    neap_give(&first->weak, inside);
    is_int(neap_cleanup_add(first, on_clean, NULL), NEAP_OK, "a cleanup");
    neap_release(dropped);
    neap_release(first);
    is_int(neap_collect(1), 5, "watched garbage is found");
    ok(!seen.weak_alive, "weak references are dead when finalizers and callbacks run");
    is_int(seen.called, 1, "a living weak reference is called back, once");
    is_int(seen.finalized_when_called, 0, "before the finalizers");
    is_int(seen.cleaned, 1, "the cleanup runs");
    is_int(seen.disposed_when_cleaned, 5, "after the disposals");
    ok(neap_weak_get(outside) == NULL, "and it stays dead");
    neap_release(outside);
}

static void weak_of_the_revived(void)
{
    forget();
    struct node *node = ring(3);
    struct neap_weak *weak = neap_weak_new(node);
    seen.revive = true;
    neap_release(node);
    is_int(neap_collect(0), 0, "revived");
    ok(neap_weak_get(weak) == NULL, "an earlier weak reference stays dead");
    struct neap_weak *later = neap_weak_new(seen.revived);
    struct node *got = neap_weak_get(later);
    ok(got == seen.revived, "a later one works");
    neap_release(got);
    neap_release(seen.revived);
    seen.revived = NULL;
    is_int(neap_collect(2), 3, "collected");
    ok(neap_weak_get(later) == NULL, "then it dies too");
    neap_release(weak);
    neap_release(later);
}

static void weak_of_plain(void)
{
    forget();
    struct plain *plain = neap_new(plain);
    neap_set(&plain->next, plain);
    struct neap_weak *weak = neap_weak_new_with(plain, on_death, NULL);
    (void)neap_cleanup_add(plain, on_clean, NULL);
    neap_release(plain);
    struct plain *got = neap_weak_get(weak);
    ok(got == plain, "until it is collected a cycle can be reached by a weak reference");
    is_int(neap_collect(0), 0, "and then it is not garbage");
    neap_release(got);
    is_int(neap_collect(0), 0, "which generation 0 does not see any more");
    is_int(neap_collect(1), 1, "but generation 1 does");
    ok(neap_weak_get(weak) == NULL && seen.called == 1 && seen.cleaned == 1,
       "callback and cleanup of a set without finalizers");
    neap_release(weak);
}

static void disposals(void)
{
    forget();
    struct item *first = neap_new(item), *second = neap_new(item);
    first->canary = second->canary = CANARY;
    neap_set(&first->next, second);
    neap_set(&first->other, second);
    neap_give(&second->next, first);
    neap_set(&second->other, second);
    neap_release(second);
    is_int(neap_collect(2), 2, "a set with disposals that read and clear slots");
    is_int(seen.disposed, 2, "each once");
    ok(!seen.broken, "and sees intact memory");
}

static void collect_inside(void *self)
{
    (void)self;
    seen.nested = neap_collect(2);
    seen.disposed++;
}
struct nester {
    struct nester *self;
};
NEAP_DEFINE_TYPE(nester, (self), .dispose = collect_inside);

static void nesting(void)
{
    forget();
    struct nester *object = neap_new(nester);
    neap_set(&object->self, object);
    neap_release(object);
    is_int(neap_collect(0), 1, "a disposal that collects");
    is_int(seen.nested, NEAP_ESTATE, "is told that it may not");
}

static void never_in_an_allocation(void)
{
    forget();
    (void)neap_collect(2);
    (void)neap_gc_set_threshold(10, 10, 10);
    neap_gc_enable();
    neap_release(ring(20));
    for (int i = 0; i < 20000 && seen.finalized == 0; i++) {
        struct plain *plain = neap_new(plain);
        neap_set(&plain->next, plain);
        neap_release(plain);
    }
    is_int(seen.finalized, 0, "automatic collections run no finalizer");
    struct neap_stats stats;
    neap_stats_get(&stats);
    ok(stats.pending_items > 0, "they leave it pending");
    neap_safepoint();
    while (neap_run_pending(SIZE_MAX) > 0)
        ;
    is_int(seen.finalized, 20, "for the next safepoint");
    is_int(seen.disposed, 20, "which finishes the work");
    neap_gc_disable();
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "finalize_ms=0",
           0); /* nobody runs pending code behind the test's back */
    harness_begin();
    neap_gc_disable();
    finalizers();
    revival();
    weak_references();
    weak_of_the_revived();
    weak_of_plain();
    disposals();
    nesting();
    never_in_an_allocation();
    return harness_end();
}
