/* SPDX-License-Identifier: MIT
 *
 * neap's part of the collect benchmark (collect_rows.h), in inline mode. */
#include <stdint.h>
#include <stdlib.h>

#define NEAP_INLINE
#include <neap/neap.h>

#include "bench/shim.h"

#define PEER_NAME     "neap"
#define PEER_ATTACHED true

struct node {
    struct node *sides[2];
    int64_t value;
};
NEAP_DEFINE_TYPE(node, (sides));

static inline struct node *node_new(struct node *left, struct node *right)
{
    struct node *fresh = neap_new(node);
    if (fresh == NULL)
        abort();
    fresh->sides[0] = left; /* not shared yet: raw stores are right */
    fresh->sides[1] = right;
    return fresh;
}

static inline void node_link(struct node *node, uint32_t side, struct node *to)
{
    neap_set(&node->sides[side], to);
}

static inline struct node *node_side(const struct node *node, uint32_t side)
{
    return node->sides[side];
}

static inline void node_drop(struct node *node)
{
    neap_release(node);
}

static void peer_collect(void)
{
    (void)neap_collect(2);
}

static void peer_automatic(bool on)
{
    if (on)
        neap_gc_enable();
    else
        neap_gc_disable();
}

static inline void peer_poll(void)
{
    neap_safepoint();
}

static void peer_tell(struct bench_state *state)
{
    uint64_t longest = 0, collections = 0;
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats stats;
        if (neap_gc_get_stats(generation, &stats) != NEAP_OK)
            abort();
        collections += stats.collections;
        if (stats.pause_max_ns > longest)
            longest = stats.pause_max_ns;
    }
    bench_counter(state, "stopped_us", (double)longest * 1e-3, BENCH_SUM);
    bench_counter(state, "collections", (double)collections, BENCH_SUM);
}

#define peer_storage(bytes)      calloc(1, (bytes))
#define peer_storage_free(bytes) free(bytes)

#include "bench/collect_rows.h"

int main(int argc, char **argv)
{
    add_rows();
    return bench_main(argc, argv);
}
