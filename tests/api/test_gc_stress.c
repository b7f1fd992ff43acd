/* SPDX-License-Identifier: MIT
 *
 * Tim Peters' kind of stress: cycles of every size, with and without a payload, made and dropped
 * beside few and many objects that stay. What is dead and not freed yet stays within bounds. How
 * much memory that is beside CPython's is a benchmark (collect/stress_*). */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

struct node {
    struct node *next;
    void *payload;
};
struct payload {
    char first;
};
NEAP_DEFINE_TYPE(node, (next, payload));
NEAP_DEFINE_TYPE(payload, ());

static uint64_t alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

static struct node *make_node(uint32_t extra_bytes)
{
    struct node *node = neap_new(node);
    if (extra_bytes > 0)
        neap_give(&node->payload, (void *)neap_new_extra(payload, extra_bytes));
    return node;
}

static void make_cycle(uint32_t size, uint32_t extra_bytes)
{
    struct node *first = make_node(extra_bytes), *last = neap_retain(first);
    for (uint32_t i = 1; i < size; i++) {
        struct node *fresh = make_node(extra_bytes);
        neap_set(&last->next, fresh);
        neap_release(last);
        last = fresh;
    }
    neap_give(&last->next, first);
    neap_release(last);
}

/* As many nodes as it takes for several old collections, looked at between two cycles. */
static void run(uint32_t cycle, uint32_t extra_bytes, uint32_t live)
{
    struct node **held = calloc(live + 1, sizeof *held);
    for (uint32_t i = 0; i < live; i++)
        held[i] = make_node(0);
    uint64_t most = 0, nodes = (extra_bytes > 0 ? 300000 : 1200000) >> (2 * HARNESS_SLOW);
    for (uint64_t made = 0; made < nodes; made += cycle) {
        make_cycle(cycle, extra_bytes);
        neap_safepoint();
        if (made / 1000 != (made + cycle) / 1000 && alive() > most)
            most = alive();
    }
    uint64_t each = extra_bytes > 0 ? 2 : 1;
    uint64_t bound = live + live / 4 + each * (4 * (uint64_t)cycle + 150000);
    ok(most < bound, "cycles of %u with %u bytes beside %u: %llu objects at most, bound %llu",
       cycle, extra_bytes, live, (unsigned long long)most, (unsigned long long)bound);
    for (uint32_t i = 0; i < live; i++)
        neap_release(held[i]);
    free(held);
    (void)neap_collect(2);
}

int main(void)
{
    static const uint32_t cycles[] = {2, 100, 10000, 100000};
    static const uint32_t extras[] = {0, 400};
    static const uint32_t lives[] = {0, 100000};
    plan_lazy();
    harness_begin();
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++)
            for (int j = 0; j < 2; j++)
                run(cycles[i], extras[k], lives[j]);
    return harness_end();
}
