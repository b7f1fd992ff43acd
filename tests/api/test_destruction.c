/* SPDX-License-Identifier: MIT
 *
 * Destruction: order, once, constant stack, the budget, revival. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/harness.h"

struct node {
    struct node *next, *other;
    int id;
};
static int order[8], orders;
static atomic_int disposed;

static void node_dispose(void *self)
{
    struct node *node = self;
    atomic_fetch_add(&disposed, 1);
    if (node->id != 0 && orders < 8)
        order[orders++] = node->id;
}
NEAP_DEFINE_TYPE(node, (next, other), .dispose = node_dispose);

struct plain_node {
    struct plain_node *next;
};
NEAP_DEFINE_TYPE(plain_node, (next));

struct array_node {
    size_t length;
    struct node *items[];
};
NEAP_DEFINE_TYPE(array_node, (NEAP_TRAILING(items)));

static struct node *make(int id)
{
    struct node *node = neap_new(node);
    node->id = id;
    return node;
}

static void parents_first(void)
{
    struct node *root = make(1);
    neap_give(&root->next, make(2));
    neap_give(&root->next->next, make(3));
    neap_release(root);
    is_int(orders, 3, "all three died in the release of the first");
    ok(order[0] == 1 && order[1] == 2 && order[2] == 3, "parents before children");
}

/* 64 KiB of stack: recursion would need far more for a million nodes. */
static void *long_list(void *arg)
{
    (void)arg;
    if (neap_thread_attach("small stack") != NEAP_OK)
        bail("attach");
    struct plain_node *head = NULL;
    for (int i = 0; i < 1000000; i++) {
        struct plain_node *node = neap_new(plain_node);
        neap_give(&node->next, head);
        head = node;
    }
    neap_release(head);
    neap_thread_detach();
    return NULL;
}

static void constant_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    if (pthread_create(&thread, &attributes, long_list, NULL) != 0)
        bail("pthread_create");
    is_int(neap_thread_join(thread, NULL), NEAP_OK, "a million nodes die on a small stack");
    pthread_attr_destroy(&attributes);
}

static void budget(void)
{
    enum { NODES = 5000 };
    int before = atomic_load(&disposed);
    struct node *head = NULL;
    for (int i = 0; i < NODES; i++) {
        struct node *node = make(0);
        neap_give(&node->next, head);
        head = node;
    }
    neap_release(head);
    int at_once = atomic_load(&disposed) - before;
    ok(at_once >= 1 && at_once <= 1001, "a release destroys at most its budget (%d)", at_once);
    int polls = 0;
    while (atomic_load(&disposed) - before < NODES && polls < 100) {
        neap_safepoint();
        polls++;
    }
    is_int(atomic_load(&disposed) - before, NODES, "safepoints take the rest (%d polls)", polls);

    before = atomic_load(&disposed);
    struct array_node *array = neap_new_extra(array_node, NODES * sizeof(struct node *));
    for (int i = 0; i < NODES; i++)
        neap_give(&array->items[i], make(0));
    neap_release(array);
    at_once = atomic_load(&disposed) - before;
    ok(at_once <= 1001, "a large array is released in portions (%d)", at_once);
    for (polls = 0; atomic_load(&disposed) - before < NODES && polls < 100; polls++)
        neap_safepoint();
    is_int(atomic_load(&disposed) - before, NODES, "and resumed where it stopped");
}

/* ---- finalizers ---- */

struct phoenix {
    struct phoenix *self;
    int finalized, id;
};
static struct phoenix *saved;
static int phoenix_disposed, phoenix_finalized;

static void phoenix_finalize(void *self)
{
    struct phoenix *phoenix = self;
    phoenix->finalized++;
    phoenix_finalized++;
    if (phoenix->id == 1)
        saved = neap_retain(phoenix);
}
static void phoenix_dispose(void *self)
{
    (void)self;
    phoenix_disposed++;
}
NEAP_DEFINE_TYPE(phoenix, (self), .finalize = phoenix_finalize, .dispose = phoenix_dispose);

static void revival(void)
{
    struct phoenix *phoenix = neap_new(phoenix);
    struct neap_weak *weak = neap_weak_new(phoenix);
    phoenix->id = 1;
    neap_release(phoenix);
    ok(saved == phoenix && phoenix_disposed == 0, "a finalizer can bring its object back");
    ok(neap_is_finalized(saved), "which knows that it has been finalized");
    ok(neap_weak_get(weak) == NULL, "its earlier weak references stay dead");
    is_int(neap_refcount(saved), 1, "with the one reference that was kept");
    neap_release(saved);
    is_int(phoenix_finalized, 1, "the finalizer runs once");
    is_int(phoenix_disposed, 1, "and the second death is final");
    neap_release(weak);
    neap_release(neap_new(phoenix));
    ok(phoenix_finalized == 2 && phoenix_disposed == 2, "without revival both run, in one release");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    parents_first();
    constant_stack();
    budget();
    revival();
    return harness_end();
}
