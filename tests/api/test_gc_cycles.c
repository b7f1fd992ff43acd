/* SPDX-License-Identifier: MIT
 *
 * What counting cannot see is found, whatever shape it has, and nothing else is touched. */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

static size_t disposed;
static void count_disposal(void *self)
{
    (void)self;
    disposed++;
}

struct node {
    struct node *next;
    void *other;
    uint64_t canary;
};
NEAP_DEFINE_TYPE(node, (next, other), .dispose = count_disposal);

/* Without user code: freed by the collecting thread itself. */
struct plain {
    struct plain *next, *prev;
    struct leaf *leaf;
};
struct leaf {
    int value;
};
NEAP_DEFINE_TYPE(plain, (next, prev, leaf));
NEAP_DEFINE_TYPE(leaf, (), .dispose = count_disposal);

struct row {
    size_t length;
    void *items[];
};
NEAP_DEFINE_TYPE(row, (NEAP_TRAILING(items)), .dispose = count_disposal);

/* Its references are out of line: only its visit knows them. */
struct bag {
    size_t count;
    void **items;
};
static void bag_visit(void *self, struct neap_visitor *visitor)
{
    struct bag *bag = self;
    for (size_t i = 0; i < bag->count; i++)
        neap_visit(visitor, &bag->items[i]);
}
static void bag_dispose(void *self)
{
    struct bag *bag = self;
    for (size_t i = 0; i < bag->count; i++)
        neap_clear(&bag->items[i]);
    free(bag->items);
    bag->items = NULL;
    bag->count = 0;
    disposed++;
}
NEAP_DEFINE_TYPE(bag, (), .visit = bag_visit, .dispose = bag_dispose);

struct pooled {
    struct pooled *self;
    uint64_t payload;
};
NEAP_DEFINE_TYPE(pooled, (self), .flags = NEAP_POOLED);

static struct node *make(void)
{
    struct node *node = neap_new(node);
    node->canary = 0x6E6F6465;
    return node;
}

static struct node *ring(size_t length)
{
    struct node *first = make(), *last = first;
    for (size_t i = 1; i < length; i++) {
        neap_give(&last->next, make());
        last = last->next;
    }
    neap_set(&last->next, first);
    return first;
}

static void collected(int generation, ptrdiff_t wanted, const char *name)
{
    disposed = 0;
    ptrdiff_t found = neap_collect(generation);
    is_int(found, wanted, "%s: found", name);
    is_int(disposed, wanted, "%s: disposed of", name);
}

static void small_cycles(void)
{
    (void)neap_collect(2);
    struct node *one = make();
    neap_set(&one->next, one);
    neap_release(one);
    collected(0, 1, "a node that holds itself");
    neap_release(ring(2));
    collected(0, 2, "two that hold each other");
    neap_release(ring(1000));
    collected(0, 1000, "a ring of a thousand");
    for (int i = 0; i < 100; i++)
        neap_release(ring(10));
    collected(0, 1000, "a hundred rings of ten");
    collected(2, 0, "nothing is left");
}

static void hanging_off_the_living(void)
{
    struct node *root = make();
    neap_give(&root->next, ring(50));
    collected(2, 0, "a ring held by a living object");
    is_int(root->next->next->canary, 0x6E6F6465, "the ring is intact");
    neap_clear(&root->next);
    collected(2, 50, "the ring after it was let go");
    struct node *kept = ring(20);
    neap_give(&kept->other, ring(30));
    collected(2, 0, "a ring held by a variable, with one hanging off it");
    neap_set(&((struct node *)kept->other)->other, root);
    neap_release(kept);
    collected(2, 50, "both, and the living object they referred to stays");
    is_int(neap_refcount(root), 1, "with its one reference");
    neap_release(root);
}

static void tails(void)
{
    struct node *first = ring(5), *tail = make();
    neap_give(&first->other, make());
    neap_set(&((struct node *)first->other)->next, tail);
    neap_release(first);
    collected(1, 6, "a ring with a tail, whose end is held elsewhere");
    is_int(neap_refcount(tail), 1, "the end lives");
    neap_release(tail);
}

static void doubly_linked(void)
{
    enum { LENGTH = 1000 };
    struct plain *first = neap_new(plain), *last = first;
    for (int i = 1; i < LENGTH; i++) {
        struct plain *node = neap_new(plain);
        neap_give(&node->leaf, neap_new(leaf));
        neap_set(&node->prev, last);
        neap_give(&last->next, node);
        last = node;
    }
    struct leaf *leaf = neap_retain(last->leaf);
    disposed = 0;
    neap_release(first);
    is_int(neap_collect(0), LENGTH, "a doubly linked list is found");
    is_int(disposed, LENGTH - 2, "what it alone held dies with it");
    is_int(neap_refcount(leaf), 1, "what is held elsewhere does not");
    neap_release(leaf);
}

static void out_of_line(void)
{
    struct bag *bag = neap_new(bag);
    bag->count = 100;
    bag->items = calloc(bag->count, sizeof *bag->items);
    for (size_t i = 0; i < bag->count; i++) {
        struct node *node = make();
        neap_give(&bag->items[i], node);
        neap_set(&node->other, bag);
    }
    neap_release(bag);
    collected(0, 101, "a type with a visit");
}

static void arrays(void)
{
    for (size_t length = 10; length <= 100000; length *= 100) {
        struct row *row = neap_new_extra(row, length * sizeof(void *));
        row->length = length;
        for (size_t i = 0; i < length; i++) {
            struct node *node = make();
            neap_set(&node->other, row);
            neap_give(&row->items[i], node);
        }
        char name[64];
        snprintf(name, sizeof name, "a flexible array of %zu", length);
        collected(2, 0, name);
        neap_release(row);
        collected(2, (ptrdiff_t)length + 1, name);
    }
    struct node *nodes = neap_new_array(node, 500);
    for (int i = 0; i < 500; i++)
        neap_set(&nodes[i].next, nodes);
    neap_release(nodes);
    collected(0, 1, "an array object that holds itself five hundred times");
}

static void exact_pools(void)
{
    for (int i = 0; i < 3000; i++) {
        struct pooled *object = neap_new(pooled);
        neap_set(&object->self, object);
        neap_release(object);
    }
    ok(neap_collect(0) > 0, "objects in pools of their own");
    is_int(neap_collect(2), 0, "all of them");
}

static void immortal_and_deferred(void)
{
    struct node *root = make();
    neap_set(&root->next, root);
    is_int(neap_defer(root), NEAP_OK, "deferred");
    neap_release(root);
    collected(2, 0, "a deferred object is a root");
    neap_undefer(root);
    collected(2, 1, "until the stop that counts it again: then its cycle is garbage");
}

static void wrong_arguments(void)
{
    is_int(neap_collect(3), NEAP_EINVAL, "there is no generation 3");
    is_int(neap_collect(-1), NEAP_EINVAL, "nor -1");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    neap_gc_disable();
    small_cycles();
    hanging_off_the_living();
    tails();
    doubly_linked();
    out_of_line();
    arrays();
    exact_pools();
    immortal_and_deferred();
    wrong_arguments();
    return harness_end();
}
