/* SPDX-License-Identifier: MIT
 *
 * What does memory management cost where references go in circles, and what does a whole collection
 * cost?
 *
 * Models, with nodes of two references and an int64 (24 bytes):
 *
 *   random_1m, _10m       a collection of a live graph whose nodes lie at random: a tree over a
 * random permutation, whose leaves point to random nodes. Nothing is garbage. sequential_1m, _10m
 * the same where node i points to i + 1 and i + 2: the order of memory. rings                 rings
 * of 10 nodes, made and dropped; the collector starts by itself. trees_14, _18         the
 * benchmarks game's binary trees: short-lived trees beside a long-lived one. There are no cycles:
 * counting frees all of it at once, tracers wait for a collection.
 *
 * Peers: Boehm's libgc and CPython's C API (a C type with tp_traverse) in programs of their own,
 * and for trees malloc and free with each allocator. One thread mutates. Each program runs with its
 * peer's defaults: libgc marks with a thread per processor.
 *
 * Leaves out: several mutators, big objects, finalizers, weak references, heaps bigger than 10
 * million objects.
 *
 * Reading: time is nanoseconds per object (collected over, made and dropped). cpu is the mutator's.
 * longest_us of rings: the longest 100 rings. stopped_us: the longest stop where the peer tells it.
 * peak_rss_kib: as in alloc.c.
 *
 * The rows are written once and compiled per peer. The including file defines, before the include:
 *
 *     PEER_NAME, PEER_ATTACHED  no PEER_NAME: only run_trees is wanted
 *     struct node               with `value` readable
 *     node_new(left, right)     a node, one reference; takes the caller's references over
 *     node_link(node, side, to) side 0 or 1 becomes a reference to `to`, counted beside the
 * caller's node_side(node, side)     borrowed node_drop(node)           the caller's reference ends
 *     peer_collect(), peer_automatic(on), peer_poll(), peer_tell(state),
 * peer_storage(bytes) (storage that the peer's collector sees),
 * peer_storage_free(storage) */
#include <stdint.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "bench/shim.h"

static uint64_t resident_at_start; /* KiB */

static void tell_memory(struct bench_state *state)
{
    bench_counter(state, "peak_rss_kib", (double)(bench_peak_kib() - resident_at_start), BENCH_SUM);
}

#ifdef PEER_NAME

/* ---- collections of live graphs ---- */

struct graph {
    const char *name;
    uint32_t nodes;
    bool random;
};

static struct node *make_graph(const struct graph *graph)
{
    uint32_t count = graph->nodes;
    struct node **nodes = peer_storage(count * sizeof *nodes);
    uint32_t *order = malloc(count * sizeof *order);
    uint64_t seed = 4;
    if (nodes == NULL || order == NULL)
        abort();
    if (graph->random)
        bench_shuffle(order, count, 5);
    else
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
    for (uint32_t i = 0; i < count; i++)
        nodes[i] = node_new(NULL, NULL);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t side = 0; side < 2; side++) {
            uint64_t to = graph->random ? 2 * (uint64_t)i + 1 + side : (uint64_t)i + 1 + side;
            if (to >= count && !graph->random)
                continue;
            if (to >= count)
                to = bench_random_below(&seed, count);
            node_link(nodes[order[i]], side, nodes[order[to]]);
        }
    }
    struct node *root = nodes[order[0]];
    for (uint32_t i = 1; i < count; i++)
        node_drop(nodes[order[i]]);
    free(order);
    peer_storage_free(nodes);
    return root;
}

static void run_collection(struct bench_state *state, const void *arg)
{
    const struct graph *graph = arg;
    peer_automatic(false);
    struct node *volatile root = make_graph(graph);
    peer_collect(); /* what was young is old, what the building left is gone */
    while (bench_keep_running(state, graph->nodes))
        peer_collect();
    peer_tell(state);
    tell_memory(state);
    node_drop(root);
    peer_collect();
    peer_automatic(true);
}

/* ---- rings ---- */

enum { RING = 10, CHUNK = 100 };

static void make_ring(void)
{
    struct node *first = node_new(NULL, NULL), *last = first;
    for (int i = 1; i < RING; i++) {
        struct node *fresh = node_new(NULL, NULL);
        node_link(last, 0, fresh);
        node_link(fresh, 1, last);
        if (last != first)
            node_drop(last);
        last = fresh;
    }
    node_link(last, 0, first);
    node_link(first, 1, last);
    node_drop(last);
    node_drop(first);
}

static void run_rings(struct bench_state *state, const void *unused)
{
    static struct bench_histogram chunks;
    (void)unused;
    chunks = (struct bench_histogram){0};
    while (bench_keep_running(state, (int64_t)CHUNK * RING)) {
        uint64_t before = bench_now_ns();
        for (int i = 0; i < CHUNK; i++)
            make_ring();
        peer_poll();
        bench_histogram_add(&chunks, bench_now_ns() - before);
    }
    bench_counter(state, "longest_us", (double)chunks.maximum * 1e-3, BENCH_SUM);
    bench_counter(state, "p999_us", (double)bench_histogram_at(&chunks, 0.999) * 1e-3, BENCH_SUM);
    peer_tell(state);
    tell_memory(state);
}

#endif

/* ---- trees ---- */

enum { SHALLOW = 4 };

static struct node *make_tree(int depth)
{
    if (depth == 0)
        return node_new(NULL, NULL);
    struct node *left = make_tree(depth - 1);
    return node_new(left, make_tree(depth - 1));
}

static int64_t count_tree(struct node *root)
{
    struct node *left = node_side(root, 0);
    return left == NULL ? 1 : 1 + count_tree(left) + count_tree(node_side(root, 1));
}

static int64_t use_tree(int depth)
{
    struct node *root = make_tree(depth);
    int64_t count = count_tree(root);
    node_drop(root);
    peer_poll();
    return count;
}

/* Nodes made by one run. */
static int64_t tree_nodes(int depth)
{
    int64_t total = (4LL << depth) - 1 + (2LL << depth) - 1;
    for (int d = SHALLOW; d <= depth; d += 2)
        total += (1LL << (depth - d + SHALLOW)) * ((2LL << d) - 1);
    return total;
}

static void run_trees(struct bench_state *state, const void *arg)
{
    int depth = *(const int *)arg;
    while (bench_keep_running(state, tree_nodes(depth))) {
        int64_t made = use_tree(depth + 1);
        struct node *volatile long_lived = make_tree(depth);
        for (int d = SHALLOW; d <= depth; d += 2)
            for (int64_t i = 0; i < 1LL << (depth - d + SHALLOW); i++)
                made += use_tree(d);
        made += count_tree(long_lived);
        node_drop(long_lived);
        peer_poll();
        if (made != tree_nodes(depth))
            bench_skip(state, "the trees have the wrong number of nodes");
    }
    peer_tell(state);
    tell_memory(state);
}

static const int tree_depths[] = {14, 18};

#ifdef PEER_NAME

static void add_rows(void)
{
    static const struct graph graphs[] = {
        {"collect/random_1m/" PEER_NAME, 1000000, true},
        {"collect/sequential_1m/" PEER_NAME, 1000000, false},
        {"collect/random_10m/" PEER_NAME, 10000000, true},
        {"collect/sequential_10m/" PEER_NAME, 10000000, false},
    };
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++)
        bench_add(&(struct bench_case){.name = graphs[i].name,
                                       .run = run_collection,
                                       .arg = &graphs[i],
                                       .attached = PEER_ATTACHED});
    bench_add(&(struct bench_case){.name = "collect/rings/" PEER_NAME,
                                   .run = run_rings,
                                   .attached = PEER_ATTACHED,
                                   .iterations = 10000000});
    static const char *const names[] = {"collect/trees_14/" PEER_NAME,
                                        "collect/trees_18/" PEER_NAME};
    for (int i = 0; i < 2; i++)
        bench_add(&(struct bench_case){.name = names[i],
                                       .run = run_trees,
                                       .arg = &tree_depths[i],
                                       .attached = PEER_ATTACHED,
                                       .iterations = tree_nodes(tree_depths[i])});
    resident_at_start = bench_resident_kib();
}

#endif
