/* SPDX-License-Identifier: MIT
 *
 * Destruction: order, once, constant stack, the budget, revival. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

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

/* ---- chains of an owner that sleeps: each death merges the next link on its behalf ---- */

enum { LINKS = 5000, PATIENCE_MS = 30000 };
static void *chain;
static atomic_int asleep, wanted_awake;

static void *own_a_chain(void *disposing)
{
    struct node *head = NULL;
    struct plain_node *plain_head = NULL;
    for (int i = 0; i < LINKS; i++) {
        struct node *node = disposing != NULL ? make(0) : NULL;
        struct plain_node *plain = disposing != NULL ? NULL : neap_new(plain_node);
        if (node != NULL) {
            neap_give(&node->next, head);
            head = node;
        } else {
            neap_give(&plain->next, plain_head);
            plain_head = plain;
        }
    }
    chain = disposing != NULL ? (void *)head : (void *)plain_head;
    neap_blocking_enter();
    atomic_store(&asleep, 1);
    while (!atomic_load(&wanted_awake))
        usleep(1000);
    neap_blocking_leave();
    return NULL;
}

static pthread_t start_owner(void *disposing)
{
    pthread_t owner;
    atomic_store(&asleep, 0);
    atomic_store(&wanted_awake, 0);
    if (neap_thread_create(&owner, "owner", own_a_chain, disposing) != NEAP_OK)
        bail("owner");
    while (!atomic_load(&asleep))
        (void)NEAP_BLOCKED(usleep(1000));
    return owner;
}

static void end_owner(pthread_t owner)
{
    atomic_store(&wanted_awake, 1);
    neap_thread_join(owner, NULL);
}

static uint64_t objects_alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

static void chain_at_polls(void *disposing, const char *what)
{
    uint64_t before = objects_alive();
    pthread_t owner = start_owner(disposing);
    int disposed_before = atomic_load(&disposed), polls = 0;
    neap_release(chain);
    uint64_t left = objects_alive() - before;
    ok(left >= LINKS - 1001, "%s: the release stays within its budget (%d left)", what, (int)left);
    for (; objects_alive() > before && polls < 50; polls++)
        neap_safepoint();
    /* The helper may have taken some of it meanwhile: then it is the helper's pace. */
    for (int i = 0; objects_alive() > before && i < 5000; i++) {
        (void)NEAP_BLOCKED(usleep(1000));
        neap_safepoint();
    }
    is_int(objects_alive() - before, 0, "%s: polls follow it link by link (%d polls)", what, polls);
    if (disposing != NULL)
        is_int(atomic_load(&disposed) - disposed_before, LINKS, "%s: each once", what);
    end_owner(owner);
}

static void chain_at_helper(void)
{
    uint64_t before = objects_alive();
    pthread_t owner = start_owner(NULL);
    neap_release(chain);
    neap_blocking_enter();
    for (int ms = 0; objects_alive() > before && ms < PATIENCE_MS; ms++)
        usleep(1000);
    neap_blocking_leave();
    is_int(objects_alive() - before, 0, "the helper does, where nobody polls");
    end_owner(owner);
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
    chain_at_polls(NULL, "plain chain");
    chain_at_polls(&chain, "chain with dispose");
    chain_at_helper();
    revival();
    return harness_end();
}
