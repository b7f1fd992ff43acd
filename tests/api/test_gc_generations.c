/* SPDX-License-Identifier: MIT
 *
 * Generations as Python has them: what survives goes up one, a young collection does not look at
 * the old, thresholds start collections, counts and statistics tell. */
#include <neap/neap.h>

#include "tests/harness.h"

struct node {
    struct node *next, *other;
};
NEAP_DEFINE_TYPE(node, (next, other));
struct large {
    struct large *self;
    char payload[2000];
};
NEAP_DEFINE_TYPE(large, (self));

static struct node *cycle(void)
{
    struct node *node = neap_new(node);
    neap_set(&node->next, node);
    return node;
}

static uint64_t collections(int generation)
{
    struct neap_gc_stats stats;
    if (neap_gc_get_stats(generation, &stats) != NEAP_OK)
        bail("statistics");
    return stats.collections;
}

static void promotion(void)
{
    (void)neap_collect(2);
    struct node *node = cycle();
    is_int(neap_collect(0), 0, "alive in generation 0");
    neap_release(node);
    is_int(neap_collect(0), 0, "a survivor is not looked at by generation 0");
    is_int(neap_collect(1), 1, "but by generation 1");
    node = cycle();
    (void)neap_collect(0);
    (void)neap_collect(1);
    neap_release(node);
    is_int(neap_collect(1), 0, "a survivor of two is not looked at by generation 1");
    is_int(neap_collect(2), 1, "but by generation 2");
    node = cycle();
    (void)neap_collect(2);
    neap_release(node);
    is_int(neap_collect(0), 0, "an old collection promotes by one too");
    is_int(neap_collect(1), 1, "so generation 1 finds it");
}

static void large_objects(void)
{
    struct large *old = neap_new(large), *young;
    neap_set(&old->self, old);
    (void)neap_collect(1);
    young = neap_new(large);
    neap_set(&young->self, young);
    neap_release(young);
    neap_release(old);
    is_int(neap_collect(0), 1, "large objects have generations");
    is_int(neap_collect(1), 1, "too");
}

/* Blocks of old objects come back as young ones, straight from the thread's cache. */
static void reused_blocks(void)
{
    enum { COUNT = 2000 };
    static struct node *nodes[COUNT];
    for (int i = 0; i < COUNT; i++)
        nodes[i] = neap_new(node);
    for (int g = 0; g < 3; g++)
        (void)neap_collect(2);
    ptrdiff_t made = 0, found = 0;
    for (int i = 0; i < COUNT; i++) {
        neap_release(nodes[i]); /* an old block, on top of the cache */
        neap_release(cycle());  /* in the same block */
        made++;
        if (i % 7 == 0)
            found += neap_collect(0);
    }
    found += neap_collect(0);
    is_int(found, made, "a young object in an old object's block is young");
}

static void old_to_young(void)
{
    struct node *old = neap_new(node);
    (void)neap_collect(2);
    (void)neap_collect(2);
    neap_give(&old->next, cycle());
    is_int(neap_collect(0), 0, "a reference from an old object keeps a young one");
    is_int(neap_refcount(old->next), 2, "alive and counted");
    neap_clear(&old->next);
    is_int(neap_collect(1), 1, "until it is gone");
    neap_set(&old->other, old);
    neap_give(&old->next, cycle());
    neap_release(old);
    is_int(neap_collect(1), 0, "an old dead object keeps a young one");
    is_int(neap_collect(2), 2, "until the old generation is collected");
}

static void counts(void)
{
    uint64_t count[3], threshold[3];
    (void)neap_collect(2);
    neap_gc_get_count(count);
    ok(count[1] == 0 && count[2] == 0, "an old collection sets the counts to 0");
    (void)neap_collect(0);
    (void)neap_collect(0);
    neap_gc_get_count(count);
    ok(count[1] == 2 && count[2] == 0, "young ones are counted for the middle generation");
    (void)neap_collect(1);
    neap_gc_get_count(count);
    ok(count[1] == 0 && count[2] == 1, "middle ones for the old");
    is_int(neap_gc_set_threshold(100, 5, 6), NEAP_OK, "thresholds are set");
    neap_gc_get_threshold(threshold);
    ok(threshold[0] == 100 && threshold[1] == 5 && threshold[2] == 6, "and read");
}

static void statistics(void)
{
    struct neap_gc_stats before, after;
    is_int(neap_gc_get_stats(3, &before), NEAP_EINVAL, "there is no generation 3");
    (void)neap_gc_get_stats(1, &before);
    neap_release(cycle());
    (void)neap_collect(1);
    (void)neap_gc_get_stats(1, &after);
    is_int(after.collections - before.collections, 1, "one collection more");
    is_int(after.collected - before.collected, 1, "one object more");
    ok(after.pause_max_ns > 0 && after.pause_p50_ns > 0 &&
           after.pause_p50_ns <= after.pause_p99_ns && after.pause_p99_ns <= after.pause_p999_ns &&
           after.pause_p999_ns <= after.pause_max_ns && after.stopped_ns > before.stopped_ns &&
           after.total_ns >= after.stopped_ns,
       "times are in order");
}

/* Its disposal leaves it to the collections of everybody's objects (confined.h). */
struct coded {
    struct coded *self;
};
static void coded_dispose(void *self)
{
    (void)self;
}
NEAP_DEFINE_TYPE(coded, (self), .dispose = coded_dispose);

static void drop_coded(void)
{
    struct coded *coded = neap_new(coded);
    neap_set(&coded->self, coded);
    neap_release(coded);
    neap_safepoint();
}

static void automatic(void)
{
    uint64_t before[3], after[3];
    (void)neap_collect(2);
    for (int g = 0; g < 3; g++)
        before[g] = collections(g);
    (void)neap_gc_set_threshold(100, 3, 3);
    for (int i = 0; i < 300000; i++)
        drop_coded();
    for (int g = 0; g < 3; g++)
        after[g] = collections(g) - before[g];
    is_int(after[0], 0, "disabled: nothing is collected by itself");
    neap_gc_enable();
    ok(neap_gc_is_enabled(), "enabled");
    for (int i = 0; i < 300000; i++)
        drop_coded();
    for (int g = 0; g < 3; g++)
        after[g] = collections(g) - before[g];
    ok(after[0] > 10 && after[1] > 2 && after[0] > after[1],
       "enabled: young and middle collections (%llu, %llu, %llu)", (unsigned long long)after[0],
       (unsigned long long)after[1], (unsigned long long)after[2]);
    struct neap_stats stats;
    neap_stats_get(&stats);
    ok(stats.objects < 150000, "garbage does not pile up (%llu alive)",
       (unsigned long long)stats.objects);
    (void)neap_gc_set_threshold(0, 3, 3);
    before[0] = collections(0);
    for (int i = 0; i < 100000; i++)
        drop_coded();
    is_int(collections(0) - before[0], 0, "a threshold of 0 means never");
    neap_gc_disable();
    ok(!neap_gc_is_enabled(), "disabled again");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    neap_gc_disable();
    promotion();
    large_objects();
    reused_blocks();
    old_to_young();
    counts();
    statistics();
    automatic();
    return harness_end();
}
