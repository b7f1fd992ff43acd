/* SPDX-License-Identifier: MIT
 *
 * What does memory management cost where references go in circles, and what does a whole collection
 * cost?
 *
 * Models, with nodes of two references and an int64 (24 bytes):
 *
 *   random_1m, _10m       a collection of a live graph whose nodes lie at random: a tree over a
 *                         random permutation, whose leaves point to random nodes; no garbage
 *   sequential_1m, _10m   the same where node i points to i + 1 and i + 2: the order of memory
 *   garbage_random_1m, garbage_sequential_1m
 *                         the same graphs, their last node referring to the first, when nobody
 *                         holds them any more: one collection that frees all of it
 *   young_10k, _10m       a collection of the youngest generation, 700 new nodes, beside so many
 *                         old ones
 *   rings, rings_2        rings of 10 nodes, made and dropped, by one thread and by two; the
 *                         collector starts by itself
 *   stress_C_E_L          after Tim Peters: cycles of C nodes, each node with a payload of E bytes,
 *                         made and dropped beside L nodes that stay
 *   trees_14, _18, _18_2  the benchmarks game's binary trees: short-lived trees beside a long-lived
 *                         one, by one thread and by two. There are no cycles: counting frees all of
 *                         it at once, tracers wait for a collection
 *   gcbench               after Ellis, Kovac and Boehm: trees of depth 4 to 16, built from the root
 *                         down (a slot written per node) and from the leaves up, beside a tree of
 *                         depth 16 and 4 MB of numbers that stay; no cycles either
 *   bytes_1m              a million nodes in a chain, no collection under way: memory
 *
 * Peers: Boehm's libgc, CPython's C API (a C type with tp_traverse), Go, Java and Nim (ORC: counts
 * and a collector of cycles) in programs of their own, and for trees malloc and free with each
 * allocator. Each program runs with its peer's defaults: libgc marks with a thread per processor.
 * CPython has one thread.
 *
 * Leaves out: big objects, finalizers, weak references, heaps bigger than 10 million objects.
 *
 * Reading: time is nanoseconds per object (collected over, made and dropped). cpu is the mutator's.
 * longest_us of rings: the longest 100 rings. stopped_us: the longest stop where the peer tells it.
 * young_us: the mean of one young collection, from call to return; young_p99_us. rss_bytes:
 * resident memory per node. peak_rss_kib: of memory beyond what was resident when the row began.
 * garbage_*: libgc and Go put a part of the freeing off to later allocations, which is not
 * measured; Go's and Java's time follows what lives, which is nothing.
 *
 * The rows are written once and compiled per peer. The including file defines, before the include:
 *
 *   PEER_NAME, PEER_ATTACHED      no PEER_NAME: only run_trees is wanted
 *   struct node                   with `value` readable
 *   node_new(left, right)         a node, one reference; takes the caller's references over
 *   node_link(node, side, to)     side 0 or 1 becomes a reference to `to`, counted beside the
 *                                 caller's
 *   node_burden(node, bytes)      side 1 becomes the only reference to a written payload
 *   node_side(node, side)         borrowed
 *   node_drop(node)               the caller's reference ends
 *   peer_collect(), peer_automatic(on), peer_poll(), peer_tell(state)
 *   peer_collect_young()          a macro, where the peer has generations
 *   peer_thread_begin(), peer_thread_end()    around what a thread does
 *   PEER_THREADS                  how many mutators the peer can have
 *   peer_storage(bytes), peer_storage_free(storage)    storage that the peer's collector sees */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/shim.h"

static uint64_t resident_at_start; /* KiB */

/* Every peer's runtime has started by then. */
static void begin_row(const struct bench_state *state)
{
    if (bench_thread(state) == 0 && resident_at_start == 0) /* a row may run several times */
        resident_at_start = bench_resident_kib();
}

static void tell_memory(struct bench_state *state)
{
    if (bench_thread(state) > 0)
        return;
    bench_counter(state, "peak_rss_kib", (double)(bench_peak_kib() - resident_at_start), BENCH_SUM);
}

#ifdef PEER_NAME

/* ---- collections of live graphs ---- */

struct graph {
    const char *name;
    uint32_t nodes;
    bool random;
    bool closed; /* the last node refers to the first */
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
            if (graph->closed && i == count - 1 && side == 0)
                to = 0;
            else if (to >= count && !graph->random)
                continue;
            else if (to >= count)
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
    begin_row(state);
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

/* Nothing of it is on the stack afterwards where a conservative collector would find it: neither
 * in this frame nor in what wipe_stack covers. */
static __attribute__((noinline)) void make_garbage(const struct graph *graph)
{
    node_drop(make_graph(graph));
}

static __attribute__((noinline)) void wipe_stack(void)
{
    volatile char below[4096];
    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

static void run_garbage(struct bench_state *state, const void *arg)
{
    const struct graph *graph = arg;
    begin_row(state);
    peer_automatic(false);
    while (bench_keep_running(state, graph->nodes)) {
        bench_pause(state);
        make_garbage(graph);
        wipe_stack();
        bench_resume(state);
        peer_collect();
    }
    peer_tell(state);
    tell_memory(state);
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
    struct bench_histogram chunks = {0};
    (void)unused;
    begin_row(state);
    peer_thread_begin();
    while (bench_keep_running(state, (int64_t)CHUNK * RING)) {
        uint64_t before = bench_now_ns();
        for (int i = 0; i < CHUNK; i++)
            make_ring();
        peer_poll();
        bench_histogram_add(&chunks, bench_now_ns() - before);
    }
    bench_counter(state, "longest_us", (double)chunks.maximum * 1e-3, BENCH_MEAN);
    bench_counter(state, "p999_us", (double)bench_histogram_at(&chunks, 0.999) * 1e-3, BENCH_MEAN);
    if (bench_thread(state) == 0)
        peer_tell(state);
    tell_memory(state);
    peer_thread_end();
}

/* ---- young collections ---- */

#    ifdef peer_collect_young

enum { YOUNG = 700 };

/* New nodes, each referring to the one before it and to an old one. */
static struct node *make_young(struct node *old)
{
    struct node *last = NULL;
    for (int i = 0; i < YOUNG; i++) {
        last = node_new(last, NULL);
        node_link(last, 1, old);
    }
    return last;
}

static void run_young(struct bench_state *state, const void *arg)
{
    static struct bench_histogram times;
    const struct graph *graph = arg;
    times = (struct bench_histogram){0};
    begin_row(state);
    peer_automatic(false);
    struct node *volatile root = make_graph(graph);
    peer_collect(); /* three times: old by then with every peer */
    peer_collect();
    peer_collect();
    while (bench_keep_running(state, YOUNG)) {
        struct node *young = make_young(root);
        uint64_t before = bench_now_ns();
        peer_collect_young();
        bench_histogram_add(&times, bench_now_ns() - before);
        node_drop(young);
    }
    bench_counter(state, "young_us", (double)times.total / (double)times.count * 1e-3, BENCH_SUM);
    bench_counter(state, "young_p99_us", (double)bench_histogram_at(&times, 0.99) * 1e-3,
                  BENCH_SUM);
    peer_tell(state);
    tell_memory(state);
    node_drop(root);
    peer_collect();
    peer_automatic(true);
}

#    endif

/* ---- stress ---- */

struct stress {
    uint32_t cycle, extra_bytes, live, nodes;
};

static struct node *make_cycle(const struct stress *stress)
{
    struct node *first = node_new(NULL, NULL), *last = first;
    if (stress->extra_bytes > 0)
        node_burden(first, stress->extra_bytes);
    for (uint32_t i = 1; i < stress->cycle; i++) {
        struct node *fresh = node_new(NULL, NULL);
        if (stress->extra_bytes > 0)
            node_burden(fresh, stress->extra_bytes);
        node_link(last, 0, fresh);
        if (last != first)
            node_drop(last);
        last = fresh;
    }
    node_link(last, 0, first);
    if (last != first)
        node_drop(last);
    return first;
}

static void run_stress(struct bench_state *state, const void *arg)
{
    const struct stress *stress = arg;
    begin_row(state);
    struct node **live = peer_storage((stress->live + 1) * sizeof *live);
    if (live == NULL)
        abort();
    for (uint32_t i = 0; i < stress->live; i++)
        live[i] = node_new(NULL, NULL);
    while (bench_keep_running(state, stress->cycle)) {
        node_drop(make_cycle(stress));
        peer_poll();
    }
    peer_tell(state);
    tell_memory(state);
    for (uint32_t i = 0; i < stress->live; i++)
        node_drop(live[i]);
    peer_storage_free(live);
}

/* ---- memory ---- */

enum { CHAIN = 1000000 };

static void tell_bytes(struct bench_state *state, uint64_t kib_before)
{
    double bytes = (double)(bench_resident_kib() - kib_before) * 1024;
    bench_counter(state, "rss_bytes", bytes / CHAIN, BENCH_SUM);
}

static void run_bytes(struct bench_state *state, const void *unused)
{
    (void)unused;
    uint64_t before = bench_resident_kib();
    struct node *volatile chain = NULL;
    while (bench_keep_running(state, CHAIN))
        for (int i = 0; i < CHAIN; i++)
            chain = node_new(chain, NULL);
    tell_bytes(state, before);
    node_drop(chain);
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
    begin_row(state);
    peer_thread_begin();
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
    if (bench_thread(state) == 0)
        peer_tell(state);
    tell_memory(state);
    peer_thread_end();
}

static const int tree_depths[] = {14, 18};

#ifdef PEER_NAME

/* ---- GCBench ---- */

enum { STRETCH = 18, KEPT = 16, DEEPEST = 16, KEPT_BYTES = 500000 * 8 };

static int64_t tree_size(int depth)
{
    return (2LL << depth) - 1;
}

static int64_t gcbench_trees(int depth)
{
    return 2 * tree_size(STRETCH) / tree_size(depth);
}

static int64_t gcbench_nodes(void)
{
    int64_t total = tree_size(STRETCH) + tree_size(KEPT) + 1;
    for (int d = SHALLOW; d <= DEEPEST; d += 2)
        total += 2 * gcbench_trees(d) * tree_size(d);
    return total;
}

static void grow(struct node *node, int depth)
{
    struct node *sides[2];
    if (depth == 0)
        return;
    for (uint32_t side = 0; side < 2; side++) {
        sides[side] = node_new(NULL, NULL);
        node_link(node, side, sides[side]);
        node_drop(sides[side]); /* the parent keeps it */
    }
    grow(sides[0], depth - 1);
    grow(sides[1], depth - 1);
}

static struct node *grow_tree(int depth)
{
    struct node *root = node_new(NULL, NULL);
    grow(root, depth);
    return root;
}

static void run_gcbench(struct bench_state *state, const void *unused)
{
    (void)unused;
    begin_row(state);
    while (bench_keep_running(state, gcbench_nodes())) {
        node_drop(make_tree(STRETCH));
        struct node *volatile kept = grow_tree(KEPT), *volatile numbers = node_new(NULL, NULL);
        node_burden(numbers, KEPT_BYTES);
        for (int d = SHALLOW; d <= DEEPEST; d += 2) {
            for (int64_t i = gcbench_trees(d); i > 0; i--) {
                node_drop(grow_tree(d));
                peer_poll();
            }
            for (int64_t i = gcbench_trees(d); i > 0; i--) {
                node_drop(make_tree(d));
                peer_poll();
            }
        }
        if (count_tree(kept) != tree_size(KEPT))
            bench_skip(state, "the tree that stays has lost a node");
        node_drop(kept);
        node_drop(numbers);
        peer_poll();
    }
    peer_tell(state);
    tell_memory(state);
}

static void add_graphs(const struct graph *graphs, size_t count,
                       void (*run)(struct bench_state *state, const void *arg))
{
    for (size_t i = 0; i < count; i++)
        bench_add(&(struct bench_case){
            .name = graphs[i].name, .run = run, .arg = &graphs[i], .attached = PEER_ATTACHED});
}

/* name_2: two threads, each of which does the whole of it. */
static void add_threaded(const char *row, const char *whose, int64_t iterations, const void *arg,
                         void (*run)(struct bench_state *state, const void *arg))
{
    char name[96];
    for (int threads = 1; threads <= PEER_THREADS; threads++) {
        snprintf(name, sizeof name, "%s%s/%s", row, threads == 1 ? "" : "_2", whose);
        bench_add(&(struct bench_case){.name = name,
                                       .run = run,
                                       .arg = arg,
                                       .threads = threads,
                                       .attached = PEER_ATTACHED,
                                       .iterations = iterations});
    }
}

static void add_ring_rows(const char *whose)
{
    add_threaded("collect/rings", whose, 10000000, NULL, run_rings);
}

static void add_stress(void)
{
    static const struct stress stresses[] = {
        {2, 0, 0, 2000000},      {2, 1000, 0, 500000},     {2, 0, 100000, 2000000},
        {100, 0, 0, 2000000},    {100, 1000, 0, 500000},   {100, 1000, 100000, 500000},
        {10000, 0, 0, 2000000},  {10000, 1000, 0, 500000}, {10000, 0, 100000, 2000000},
        {100000, 0, 0, 2000000},
    };
    for (size_t i = 0; i < sizeof stresses / sizeof stresses[0]; i++) {
        const struct stress *stress = &stresses[i];
        char name[96];
        snprintf(name, sizeof name, "collect/stress_%u_%u_%uk/" PEER_NAME, stress->cycle,
                 stress->extra_bytes, stress->live / 1000);
        bench_add(&(struct bench_case){.name = name,
                                       .run = run_stress,
                                       .arg = stress,
                                       .attached = PEER_ATTACHED,
                                       .iterations = stress->nodes});
    }
}

static void add_rows(void)
{
    static const struct graph graphs[] = {
        {"collect/random_1m/" PEER_NAME, 1000000, true, false},
        {"collect/sequential_1m/" PEER_NAME, 1000000, false, false},
        {"collect/random_10m/" PEER_NAME, 10000000, true, false},
        {"collect/sequential_10m/" PEER_NAME, 10000000, false, false},
    };
    add_graphs(graphs, sizeof graphs / sizeof graphs[0], run_collection);
    static const struct graph garbage[] = {
        {"collect/garbage_random_1m/" PEER_NAME, 1000000, true, true},
        {"collect/garbage_sequential_1m/" PEER_NAME, 1000000, false, true},
    };
    for (size_t i = 0; i < 2; i++)
        bench_add(&(struct bench_case){.name = garbage[i].name,
                                       .run = run_garbage,
                                       .arg = &garbage[i],
                                       .attached = PEER_ATTACHED,
                                       .iterations = garbage[i].nodes});
#    ifdef peer_collect_young
    static const struct graph old[] = {
        {"collect/young_10k/" PEER_NAME, 10000, false, false},
        {"collect/young_10m/" PEER_NAME, 10000000, false, false},
    };
    add_graphs(old, sizeof old / sizeof old[0], run_young);
#    endif
    add_ring_rows(PEER_NAME);
    add_stress();
    static const char *const names[] = {"collect/trees_14", "collect/trees_18"};
    for (int i = 0; i < 2; i++)
        add_threaded(names[i], PEER_NAME, tree_nodes(tree_depths[i]), &tree_depths[i], run_trees);
    bench_add(&(struct bench_case){.name = "collect/gcbench/" PEER_NAME,
                                   .run = run_gcbench,
                                   .attached = PEER_ATTACHED,
                                   .iterations = gcbench_nodes()});
    bench_add(&(struct bench_case){.name = "collect/bytes_1m/" PEER_NAME,
                                   .run = run_bytes,
                                   .attached = PEER_ATTACHED,
                                   .iterations = CHAIN});
}

#endif
