/* SPDX-License-Identifier: MIT
 *
 * Collections come by themselves where memory would pile up: cycles of large objects, garbage that
 * became old, and over the soft limit; and they let a program whose live data is over the limit go
 * on. */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

struct large {
    struct large *self;
    char payload[4000];
};
NEAP_DEFINE_TYPE(large, (self));

struct node {
    struct node *next, *other;
    char payload[64];
};
NEAP_DEFINE_TYPE(node, (next, other));

static uint64_t collections(int generation)
{
    struct neap_gc_stats stats;
    (void)neap_gc_get_stats(generation, &stats);
    return stats.collections;
}

static uint64_t alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

static void large_cycles(void)
{
    uint64_t most = 0;
    for (int i = 0; i < 50000; i++) {
        struct large *large = neap_new(large);
        neap_set(&large->self, large);
        neap_release(large);
        if (i % 1000 == 0 && alive() > most)
            most = alive();
    }
    ok(most < 20000, "cycles of large objects do not pile up (%llu)", (unsigned long long)most);
}

struct pair {
    struct pair *other;
    struct payload *payload;
};
struct payload {
    char bytes[20000];
};
NEAP_DEFINE_TYPE(pair, (other, payload));
NEAP_DEFINE_TYPE(payload, ());

static void add_pair(void)
{
    struct pair *one = neap_new(pair), *two = neap_new(pair);
    neap_give(&one->payload, neap_new(payload));
    neap_give(&two->payload, neap_new(payload));
    neap_set(&one->other, two);
    neap_set(&two->other, one);
    neap_release(one);
    neap_release(two);
}

/* Few objects, much memory: 700 of them would be 14 MB. */
static void payloads_of_cycles(void)
{
    enum { PAIRS = 4000, MOST = 4 << 20 };
    struct neap_gc_stats collected;
    struct neap_stats stats;
    uint64_t most = 0;
    neap_stats_get(&stats);
    uint64_t before = stats.object_bytes;
    for (int i = 0; i < PAIRS; i++) {
        add_pair();
        neap_stats_get(&stats);
        if (i % 8 == 0 && stats.object_bytes > most)
            most = stats.object_bytes;
    }
    (void)neap_gc_get_stats(0, &collected);
    if (collected.confined == 0)
        skip(1, "option confined is off");
    else
        ok(most < before + MOST, "what hangs off small cycles does not pile up (%llu)",
           (unsigned long long)most);
}

struct handle {
    struct handle *self;
};
static uint64_t handles;
static void handle_dispose(void *self)
{
    neap_external_bytes(self, -(1 << 20));
    handles--;
}
NEAP_DEFINE_TYPE(handle, (self), .dispose = handle_dispose);

/* A MiB each outside: few objects, much memory. */
static void heavy_handles(void)
{
    uint64_t most = 0;
    for (int i = 0; i < 600; i++) {
        struct handle *handle = neap_new(handle);
        handles++;
        neap_external_bytes(handle, 1 << 20);
        neap_set(&handle->self, handle);
        neap_release(handle);
        for (int k = 0; k < 200; k++) /* the slow path is where collections are */
            neap_release(neap_new_array(node, 10));
        neap_safepoint();
        most = handles > most ? handles : most;
    }
    ok(most < 100, "a few heavy objects are collected in time (%llu at most)",
       (unsigned long long)most);
}

/* Rings that survive two collections before they are dropped. */
static void garbage_that_became_old(void)
{
    enum { HELD = 2000 };
    static struct node *held[HELD];
    uint64_t most = 0;
    for (int i = 0; i < 400000; i++) {
        struct node *a = neap_new(node), *b = neap_new(node);
        neap_set(&a->next, b);
        neap_give(&b->next, a);
        neap_release(held[i % HELD]);
        held[i % HELD] = b;
        if (i % 1000 == 0 && alive() > most)
            most = alive();
    }
    for (int i = 0; i < HELD; i++) {
        neap_release(held[i]);
        held[i] = NULL;
    }
    ok(most < 400000, "nor does garbage that was held for long (%llu)", (unsigned long long)most);
    ok(collections(2) > 0, "old collections came by themselves");
}

static void soft_limit(void)
{
    enum { HELD = 200000 };
    struct node **held = calloc(HELD, sizeof *held);
    uint64_t before = collections(2);
    for (int i = 0; i < HELD; i++)
        held[i] = neap_new(node);
    /* old collections are capped to a share of the time: goes on until there have been two */
    for (int i = 0; i < 100000 || (i < 20000000 && collections(2) - before < 2); i++) {
        struct node *node = neap_new(node);
        neap_set(&node->next, node);
        neap_release(node);
    }
    ok(collections(2) - before >= 2, "over the soft limit old collections follow each other");
    pass("and a program whose live data is over the limit goes on");
    for (int i = 0; i < HELD; i++)
        neap_release(held[i]);
    free(held);
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "heap_soft_limit=8m", 0);
    harness_begin();
    heavy_handles();
    large_cycles();
    garbage_that_became_old();
    soft_limit();
    harness_calm(); /* stops make garbage older, which the thread alone does not look at */
    payloads_of_cycles();
    return harness_end();
}
