/* SPDX-License-Identifier: MIT
 *
 * libgc's part of the collect benchmark (collect_rows.h): Boehm's conservative collector with its
 * defaults (a marker thread per processor; GC_MARKERS=1 in the environment for one). A dropped
 * reference is one that no variable holds. */
#include <stdint.h>
#include <stdlib.h>

#include <gc.h>

#include "bench/shim.h"

#define PEER_NAME     "boehm"
#define PEER_ATTACHED false

struct node {
    struct node *sides[2];
    int64_t value;
};

static inline struct node *node_new(struct node *left, struct node *right)
{
    struct node *fresh = GC_MALLOC(sizeof *fresh);
    if (fresh == NULL)
        abort();
    fresh->sides[0] = left;
    fresh->sides[1] = right;
    return fresh;
}

static inline void node_link(struct node *node, uint32_t side, struct node *to)
{
    node->sides[side] = to;
}

static inline struct node *node_side(const struct node *node, uint32_t side)
{
    return node->sides[side];
}

#define node_drop(node) ((void)(node))
#define peer_collect()  GC_gcollect()
/* GC_disable would forbid GC_gcollect too, which the rows call: the collector stays as it is. */
#define peer_automatic(on)       ((void)(on))
#define peer_poll()              ((void)0)
#define peer_storage(bytes)      GC_MALLOC_UNCOLLECTABLE(bytes)
#define peer_storage_free(bytes) GC_FREE(bytes)

static void peer_tell(struct bench_state *state)
{
    bench_counter(state, "collections", (double)GC_get_gc_no(), BENCH_SUM);
}

#include "bench/collect_rows.h"

int main(int argc, char **argv)
{
    GC_INIT();
    add_rows();
    return bench_main(argc, argv);
}
