/* SPDX-License-Identifier: MIT
 *
 * Whole collections of graphs of every shape that tracing treats in its own way, alive, garbage and
 * hanging off an immortal object, with one worker and with four: what is alive stays, what is
 * garbage is found to the last object. Paranoid builds compare each verdict with the verifier's. */
#include <neap/neap.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness.h"

enum { COUNT = 400000 }; /* over 16 MiB: the crew works */

struct node {
    struct node *next, *other;
    void *any;
};
NEAP_DEFINE_TYPE(node, (next, other, any));
struct fat { /* in pools of its own */
    struct node *next;
    uint64_t rest[8];
};
NEAP_DEFINE_TYPE(fat, (next));
struct wide {
    size_t length;
    void *items[];
};
NEAP_DEFINE_TYPE(wide, (NEAP_TRAILING(items)));

static uint32_t order[COUNT];
static struct node *nodes[COUNT];
static struct node *volatile immortals[32]; /* Valgrind sees who has them */
static unsigned immortal_count;

static void shuffle(uint64_t *random)
{
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        uint32_t k = (uint32_t)(harness_random(random) % (i + 1)), saved = order[i];
        order[i] = order[k];
        order[k] = saved;
    }
}

static void make_nodes(void)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        order[i] = i;
        nodes[i] = neap_new(node);
        if (nodes[i] == NULL)
            bail("out of memory");
    }
}

static struct node *at(uint32_t i)
{
    return nodes[order[i]];
}

static void link_in_lists(uint32_t lists)
{
    for (uint32_t i = lists; i < COUNT; i++)
        neap_set(&at(i - lists)->next, at(i));
    for (uint32_t i = 1; i < lists; i++)
        neap_set(&at(i - 1)->other, at(i));
    neap_set(&at(COUNT - 1)->any, at(0)); /* garbage is one cycle */
}

static void link_in_order(uint64_t *random)
{
    (void)random;
    link_in_lists(1);
}

static void link_backwards(uint64_t *random)
{
    (void)random;
    for (uint32_t i = 0; i < COUNT; i++)
        order[i] = COUNT - 1 - i;
    link_in_lists(1);
}

static void link_at_random(uint64_t *random)
{
    shuffle(random);
    link_in_lists(1);
}

static void link_many_at_random(uint64_t *random)
{
    shuffle(random);
    link_in_lists(500);
}

static void link_as_tree(uint64_t *random)
{
    shuffle(random);
    for (uint32_t i = 1; i < COUNT; i++)
        neap_set(i % 2 == 1 ? &at(i / 2)->next : &at(i / 2 - 1)->other, at(i));
    for (uint32_t i = COUNT / 2; i < COUNT; i++)
        neap_set(&at(i)->any, at((uint32_t)(harness_random(random) % COUNT)));
    neap_set(&at(COUNT - 1)->any, at(0));
}

/* Every reference leads to another pool and back. */
static void link_between_pools(uint64_t *random)
{
    (void)random;
    for (uint32_t i = 0; i < COUNT; i++) {
        struct fat *fat = neap_new(fat);
        neap_set(&fat->next, at((i + 1) % COUNT));
        neap_give(&at(i)->any, fat);
    }
}

static void link_by_array(uint64_t *random)
{
    shuffle(random);
    struct wide *wide = neap_new_extra(wide, COUNT * sizeof(void *));
    for (uint32_t i = 0; i < COUNT; i++)
        neap_set(&wide->items[i], at(i));
    neap_set(&at(COUNT - 1)->any, wide);
    neap_give(&at(0)->any, wide);
}

/* An array of nodes, each of which leads to one of the small ones. */
static void link_by_elements(uint64_t *random)
{
    shuffle(random);
    struct node *array = neap_new_array(node, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        neap_set(&array[i].other, at(i));
    neap_set(&at(COUNT - 1)->any, array);
    neap_give(&at(0)->any, array);
}

static const struct shape {
    const char *name;
    void (*link)(uint64_t *random);
    uint32_t more; /* objects beside the nodes */
} shapes[] = {{"a list in memory order", link_in_order, 0},
              {"a list against it", link_backwards, 0},
              {"a list out of order", link_at_random, 0},
              {"500 lists out of order", link_many_at_random, 0},
              {"a tree out of order", link_as_tree, 0},
              {"a list through two pools in turn", link_between_pools, COUNT},
              {"a flexible array", link_by_array, 1},
              {"an array of structs", link_by_elements, 1}};

static struct node *make(const struct shape *shape, uint64_t *random)
{
    make_nodes();
    shape->link(random);
    struct node *root = at(0);
    for (uint32_t i = 1; i < COUNT; i++)
        neap_release(at(i));
    return root;
}

static void try_shape(const struct shape *shape, uint64_t *random)
{
    struct node *volatile root = make(shape, random);
    ptrdiff_t found[3] = {neap_collect(2), neap_collect(2), 0};
    neap_release(root);
    found[2] = neap_collect(2);
    ok(found[0] == 0 && found[1] == 0, "%s stays while it is held", shape->name);
    is_int(found[2], (long)COUNT + shape->more, "%s is found to the last object", shape->name);
}

/* Twice: the first collection meets the immortal object, the second starts from it. The garbage
 * beside it is found all the same. */
static void try_immortal(const struct shape *shape, uint64_t *random)
{
    struct node *root = make(shape, random);
    immortals[immortal_count++] = root;
    neap_immortalize(root);
    ptrdiff_t kept = neap_collect(2) + neap_collect(2);
    struct node *ring = neap_new(node);
    neap_set(&ring->next, ring);
    neap_set(&ring->other, root);
    neap_release(ring);
    kept += neap_collect(2);
    is_int(kept, 1, "%s stays behind an immortal object", shape->name);
    neap_clear(&root->next); /* so that the heap is not all of it for ever */
    neap_clear(&root->other);
    neap_clear(&root->any);
    (void)neap_collect(2);
}

int main(void)
{
    plan_lazy();
    uint64_t seed = harness_seed();
    /* ThreadSanitizer has nothing to see where one works alone */
    for (int threads = HARNESS_SLOW ? 4 : 1; threads <= 4; threads += 3) {
        uint64_t random = seed;
        char options[64];
        snprintf(options, sizeof options, "collector_threads=%d", threads);
        setenv("NEAP_OPTIONS", options, 1);
        if (neap_init(NULL) != NEAP_OK)
            bail("neap_init");
        neap_gc_disable();
        diag("%d workers", threads);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            try_shape(&shapes[i], &random);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            try_immortal(&shapes[i], &random);
        is_int(neap_shutdown(NULL), 0, "nothing is left");
    }
    return done();
}
