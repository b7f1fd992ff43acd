/* SPDX-License-Identifier: MIT
 *
 * Garbage with published peekable members outlives every peek that could have seen it, and is then
 * collected; what a peeker keeps by neap_try_retain in time is alive. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/harness.h"

enum { CANARY = 0x7065656B, MADE = 100000 };

struct node {
    struct node *self; /* atomic */
    struct node *next; /* atomic */
    uint64_t canary;
};
static atomic_int disposed;
static void node_dispose(void *self)
{
    ((struct node *)self)->canary = 0;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(node, (NEAP_ATOMIC(self), NEAP_ATOMIC(next)), .dispose = node_dispose,
                 .flags = NEAP_PEEKABLE);

struct root {
    struct node *node; /* atomic */
};
NEAP_DEFINE_TYPE(root, (NEAP_ATOMIC(node)));

static struct root *root;
static atomic_int stage;

static void await(int wanted)
{
    while (atomic_load(&stage) < wanted)
        NEAP_BLOCKING
        {
            sched_yield();
        }
}

static struct node *cycle(void)
{
    struct node *node = neap_new(node);
    node->canary = CANARY;
    neap_store(&node->self, node);
    return node;
}

/* Peeks, lets the other thread drop the object and collect, and still reads it. */
static void peek(void)
{
    await(1);
    struct node *node = neap_peek(&root->node);
    uint64_t before = node->canary;
    atomic_store(&stage, 2);
    static struct root *made[MADE];
    int count = 0;
    /* stop points, no quiescent point */
    while (atomic_load(&stage) < 3) {
        made[count++] = neap_new(root);
        if (count % 1000 == 0)
            usleep(1000);
        if (count == MADE)
            while (count > 0)
                neap_release(made[--count]);
    }
    ok(before == CANARY && node->canary == CANARY, "a peeked member of a dropped cycle is intact");
    is_int(atomic_load(&disposed), 0, "and not disposed of");
    struct node *kept = neap_try_retain(node);
    ok(kept == node, "it can still be kept");
    atomic_store(&stage, 4);
    while (count > 0)
        neap_release(made[--count]);
    neap_safepoint();
    await(5);
    is_int(atomic_load(&disposed), 0, "kept in time, it outlives the collection");
    neap_release(kept);
    atomic_store(&stage, 6);
}

static void drop(void)
{
    struct node *node = cycle();
    neap_store(&root->node, node);
    neap_release(node);
    atomic_store(&stage, 1);
    await(2);
    neap_store(&root->node, NULL);
    neap_gc_enable();
    (void)neap_gc_set_threshold(10, 1, 1);
    for (int i = 0; i < 2000; i++) { /* automatic collections: nobody waits for the peeker */
        struct root *garbage = neap_new(root);
        neap_release(garbage);
    }
    struct neap_gc_stats stats;
    for (int i = 0; i < 1000; i++) {
        (void)neap_gc_get_stats(0, &stats);
        struct root *object = neap_new(root);
        neap_release(object);
    }
    neap_gc_disable();
    atomic_store(&stage, 3);
    await(4);
    ptrdiff_t found = neap_collect(2);
    ok(found >= 0, "a collection that waits for the peek");
    atomic_store(&stage, 5);
    await(6);
    while (atomic_load(&disposed) == 0 && neap_collect(2) >= 0)
        ;
    is_int(atomic_load(&disposed), 1, "in the end it is gone");
}

static void run(void *arg, unsigned index)
{
    (void)arg;
    if (index == 0)
        peek();
    else
        drop();
}

int main(void)
{
    plan_lazy();
    harness_begin();
    neap_gc_disable();
    root = neap_new(root);
    harness_run(2, run, NULL);
    neap_release(root);
    return harness_end();
}
