/* SPDX-License-Identifier: MIT
 *
 * A heap large enough for the whole crew: what several workers find is what the test's own search
 * finds, over several rounds of dropping and adding references, with large objects and one very
 * wide array. */
#include <neap/neap.h>

#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

enum { NODES = 500000, ROUNDS = 3, LARGE_EVERY = 1000 };

struct node {
    void *a, *b;
    uint64_t id;
};
NEAP_DEFINE_TYPE(node, (a, b));
struct large {
    void *a, *b;
    uint64_t id;
    char payload[600];
};
NEAP_DEFINE_TYPE(large, (a, b));
struct wide {
    size_t length;
    struct node *items[];
};
NEAP_DEFINE_TYPE(wide, (NEAP_TRAILING(items)));

static struct node *objects[NODES];
static uint32_t edges[NODES][2]; /* id + 1; 0: NULL */
static bool alive[NODES], held[NODES], reached[NODES];
static uint32_t stack[NODES];

static size_t search(void)
{
    size_t found = 0, top = 0;
    memset(reached, 0, sizeof reached);
    for (uint32_t i = 0; i < NODES; i++)
        if (held[i] && alive[i]) {
            reached[i] = true;
            stack[top++] = i;
        }
    while (top > 0) {
        uint32_t i = stack[--top];
        found++;
        for (int k = 0; k < 2; k++) {
            uint32_t next = edges[i][k];
            if (next != 0 && !reached[next - 1]) {
                reached[next - 1] = true;
                stack[top++] = next - 1;
            }
        }
    }
    return found;
}

static void build(uint64_t *random)
{
    for (uint32_t i = 0; i < NODES; i++) {
        if (!alive[i])
            objects[i] = i % LARGE_EVERY == 0 ? (struct node *)neap_new(large) : neap_new(node);
        objects[i]->id = i;
        held[i] = true;
        alive[i] = true;
    }
    for (uint32_t i = 0; i < NODES; i++)
        for (int k = 0; k < 2; k++) {
            /* near, far or nowhere */
            uint64_t r = harness_random(random);
            uint32_t target = r % 8 == 0  ? NODES
                              : r % 8 < 4 ? (uint32_t)((i + r / 8 % 50) % NODES)
                                          : (uint32_t)(r / 8 % NODES);
            neap_set(k == 0 ? &objects[i]->a : &objects[i]->b,
                     target == NODES ? NULL : objects[target]);
            edges[i][k] = target == NODES ? 0 : target + 1;
        }
}

static void round_of(uint64_t *random, int round)
{
    build(random);
    is_int(neap_collect(2), 0, "round %d: everything is held", round);
    size_t before = search();
    is_int(before, NODES, "by the search too");
    uint64_t keep = harness_random(random) % 4 == 0 ? 3 : 200000;
    for (uint32_t i = 0; i < NODES; i++)
        held[i] = harness_random(random) % keep == 0;
    size_t left = search();
    for (uint32_t i = 0; i < NODES; i++)
        if (!held[i])
            neap_release(objects[i]);
    ptrdiff_t found = neap_collect(2);
    struct neap_stats stats;
    neap_stats_get(&stats);
    ok(found >= 0, "round %d: %td were cyclic garbage", round, found);
    is_int(stats.objects, left, "round %d: exactly what can be reached is alive", round);
    size_t broken = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        alive[i] = reached[i];
        if (!alive[i])
            continue;
        broken += objects[i]->id != i;
        if (!held[i])
            (void)neap_retain(objects[i]); /* for the next round every node is held again */
    }
    is_int(broken, 0, "round %d: and is whole", round);
}

static void wide_array(void)
{
    struct wide *wide = neap_new_extra(wide, NODES * sizeof(struct node *));
    for (uint32_t i = 0; i < NODES; i++)
        neap_give(&wide->items[i], objects[i]);
    is_int(neap_collect(2), 0, "a wide array holds everything");
    neap_give(&objects[0]->a, wide);
    is_int(neap_collect(2), NODES + 1, "until it is garbage with everything");
}

/* Two rings behind an immortal array, old: several workers pass over what they know to live. */
static void behind_an_immortal(void)
{
    enum { HALF = NODES / 2 };
    struct wide *root = neap_new_extra(wide, NODES * sizeof(struct node *));
    for (uint32_t i = 0; i < NODES; i++)
        root->items[i] = neap_new(node); /* not shared yet */
    for (uint32_t i = 0; i < NODES; i++)
        neap_set(&root->items[i]->a, root->items[(i + 1) % HALF + (i < HALF ? 0 : HALF)]);
    neap_immortalize(root);
    for (int i = 0; i < 3; i++)
        is_int(neap_collect(2), 0, "what an immortal object reaches lives");
    for (uint32_t i = 0; i < HALF; i++)
        neap_clear(&root->items[i]);
    is_int(neap_collect(2), HALF, "until it lets go of it");
    is_int(neap_collect(2), 0, "the rest still lives");
    for (uint32_t i = HALF; i < NODES; i++)
        neap_clear(&root->items[i]);
    is_int(neap_collect(2), HALF, "and goes too");
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "collector_threads=4", 0);
    uint64_t random = harness_seed();
    harness_begin();
    neap_gc_disable();
    for (int round = 0; round < ROUNDS; round++)
        round_of(&random, round);
    build(&random);
    (void)neap_collect(2);
    wide_array();
    behind_an_immortal();
    return harness_end();
}
