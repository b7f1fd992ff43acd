/* SPDX-License-Identifier: MIT
 *
 * The quarantine of concurrent collections: blocks of objects above generation 0 that die meanwhile
 * keep their bodies and are nobody's until they are given back, then they are used again. Young
 * ones are not kept. */
#include <neap/neap.h>

#include <stdlib.h>

#include "runtime/hold.h"
#include "tests/tap.h"

enum { NODES = 3000, CHAIN = 1000, SINGLES = NODES - CHAIN, LARGE = 50 };

struct node {
    void *next;
    int64_t id;
};
NEAP_DEFINE_TYPE(node, (next));

struct large {
    void *slots[200];
    int64_t id;
};
NEAP_DEFINE_TYPE(large, (slots));

static struct node *nodes[NODES], *late[NODES]; /* late: made afterwards */
static uintptr_t gone[NODES];                   /* where the dead were */

static void make(struct node **ret_nodes)
{
    for (int i = 0; i < NODES; i++) {
        if ((ret_nodes[i] = neap_new(node)) == NULL)
            bail("out of memory");
        ret_nodes[i]->id = i;
    }
}

/* The first ones hang from each other and fall together. */
static void drop(struct node **dropped)
{
    for (int i = 0; i < NODES; i++)
        gone[i] = (uintptr_t)dropped[i];
    for (int i = 0; i + 1 < CHAIN; i++)
        neap_give(&dropped[i]->next, dropped[i + 1]);
    neap_release(dropped[0]);
    for (int i = CHAIN; i < NODES; i++)
        neap_release(dropped[i]);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;
    return (left > right) - (left < right);
}

/* How many of as many new objects lie where one has died. */
static int made_where_one_died(void)
{
    static uintptr_t places[NODES];
    int count = 0;
    make(late);
    for (int i = 0; i < NODES; i++)
        places[i] = gone[i];
    qsort(places, NODES, sizeof places[0], by_address);
    for (int i = 0; i < NODES; i++) {
        uintptr_t address = (uintptr_t)late[i];
        count += bsearch(&address, places, NODES, sizeof places[0], by_address) != NULL;
        neap_release(late[i]);
    }
    return count;
}

static int bodies_kept(void)
{
    int count = 0;
    for (int i = 0; i < NODES; i++)
        count += ((const struct node *)gone[i])->id == i; // NOLINT(performance-no-int-to-ptr)
    return count;
}

static void young_ones(void)
{
    make(nodes);
    np_hold_set(NP_HOLD_ALL);
    drop(nodes);
    ok(made_where_one_died() > 0, "a young object's block is used again at once");
    np_hold_set(NP_HOLD_NOTHING);
    np_hold_return();
}

static void old_ones(void)
{
    struct neap_stats before, after;
    make(nodes);
    is_int(neap_collect(0), 0, "what is held grows older");
    neap_stats_get(&before);
    np_hold_set(NP_HOLD_ALL);
    drop(nodes);
    is_int(made_where_one_died(), 0, "none of the older ones' blocks is used again");
    is_int(bodies_kept(), NODES, "and what was in them stays to be read");
    np_hold_set(NP_HOLD_NOTHING);
    is_int(made_where_one_died(), 0, "nor are they when they need not be held any more");
    np_hold_return();
    ok(made_where_one_died() > 0, "until they are given back");
    neap_stats_get(&after);
    is_int((long)(before.objects - after.objects), NODES, "and count as objects no more");
}

static uint64_t objects_now(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

static uint64_t find_large(const struct large *const *wanted)
{
    struct large *fresh[4 * LARGE];
    uint64_t found = 0;
    for (int i = 0; i < 4 * LARGE; i++) {
        fresh[i] = neap_new(large);
        for (int k = 0; k < LARGE; k++)
            found += fresh[i] == wanted[k];
    }
    for (int i = 0; i < 4 * LARGE; i++)
        neap_release(fresh[i]);
    return found;
}

/* Their memory would be gone: they are held back longer than blocks in pools. */
static void large_ones(void)
{
    struct large *large[LARGE];
    struct node *node;
    for (int i = 0; i < LARGE; i++) {
        if ((large[i] = neap_new(large)) == NULL)
            bail("out of memory");
        large[i]->id = i;
    }
    if ((node = neap_new(node)) == NULL)
        bail("out of memory");
    is_int(neap_collect(0), 0, "what is held grows older");
    uint64_t before = objects_now();
    np_hold_set(NP_HOLD_ALL);
    for (int i = 0; i < LARGE; i++)
        neap_release(large[i]);
    ok(np_hold_large_bytes() >= LARGE * sizeof(struct large), "their bytes are told");
    is_int((long)(before - objects_now()), 0, "large objects are held back");
    np_hold_set(NP_HOLD_LARGE);
    neap_release(node);
    np_hold_return();
    is_int((long)(before - objects_now()), 1, "when those in pools are not any more, too");
    is_int((long)find_large((const struct large *const *)large), 0, "nobody gets their memory");
    int kept = 0;
    for (int i = 0; i < LARGE; i++)
        kept += large[i]->id == i; // NOLINT(clang-analyzer-unix.Malloc)
    is_int(kept, LARGE, "which can be read");
    np_hold_set(NP_HOLD_NOTHING);
    np_hold_return();
    is_int((long)(before - objects_now()), LARGE + 1, "until they are given back");
    is_int((long)np_hold_large_bytes(), 0, "all of them");
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    options.finalize_ms = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    neap_gc_disable();
    young_ones();
    old_ones();
    large_ones();
    is_int(neap_shutdown(NULL), 0, "nothing is alive in the end");
    return done();
}
