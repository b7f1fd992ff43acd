/* SPDX-License-Identifier: MIT
 *
 * neap's part of the collect benchmark (collect_rows.h), in inline mode. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct payload {
    char first;
};
NEAP_DEFINE_TYPE(payload, ());

/* A slot's static type is a promise to the program's own code, and this program never reads it. */
static inline void node_burden(struct node *node, uint32_t bytes)
{
    void *payload = neap_new_extra(payload, bytes);
    if (payload == NULL)
        abort();
    memset(payload, 1, bytes);
    neap_give(&node->sides[1], (struct node *)payload);
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
    uint64_t longest = 0, collections = 0, p99 = 0;
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats stats;
        if (neap_gc_get_stats(generation, &stats) != NEAP_OK)
            abort();
        collections += stats.collections;
        if (stats.pause_max_ns > longest)
            longest = stats.pause_max_ns;
        if (generation == 0)
            p99 = stats.pause_p99_ns;
    }
    bench_counter(state, "stopped_p99_us", (double)p99 * 1e-3, BENCH_SUM);
    bench_counter(state, "stopped_us", (double)longest * 1e-3, BENCH_SUM);
    bench_counter(state, "collections", (double)collections, BENCH_SUM);
}

/* The worst of the three generations, which is no better than all of them taken together. */
static void peer_tell_stops(struct bench_state *state)
{
    uint64_t p50 = 0, p99 = 0, longest = 0, collections = 0, stopped = 0;
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats stats;
        if (neap_gc_get_stats(generation, &stats) != NEAP_OK)
            abort();
        p50 = stats.pause_p50_ns > p50 ? stats.pause_p50_ns : p50;
        p99 = stats.pause_p99_ns > p99 ? stats.pause_p99_ns : p99;
        longest = stats.pause_max_ns > longest ? stats.pause_max_ns : longest;
        collections += stats.collections;
        stopped += stats.stopped_ns;
        char name[32];
        snprintf(name, sizeof name, "stop_max_%d_us", generation);
        bench_counter(state, name, (double)stats.pause_max_ns * 1e-3, BENCH_SUM);
        snprintf(name, sizeof name, "stop_p99_%d_us", generation);
        bench_counter(state, name, (double)stats.pause_p99_ns * 1e-3, BENCH_SUM);
    }
    bench_counter(state, "stop_p50_us", (double)p50 * 1e-3, BENCH_SUM);
    bench_counter(state, "stop_p99_us", (double)p99 * 1e-3, BENCH_SUM);
    bench_counter(state, "stop_max_us", (double)longest * 1e-3, BENCH_SUM);
    bench_counter(state, "stopped_ms", (double)stopped * 1e-6, BENCH_SUM);
    bench_counter(state, "collections", (double)collections, BENCH_SUM);
}

#define peer_collect_young()     (void)neap_collect(0)
#define peer_thread_begin()      ((void)0)
#define peer_thread_end()        ((void)0)
#define PEER_THREADS             2
#define peer_storage(bytes)      calloc(1, (bytes))
#define peer_storage_free(bytes) free(bytes)

#define peer_sleep_until(when) \
    (void)NEAP_BLOCKED(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, (when), NULL))
#define node_settle(node) neap_release(node)
#define ring_drop(ring)   neap_release(ring)

#include "bench/collect_rows.h"
#include "bench/load_rows.h"
#include "bench/pause_rows.h"

/* ---- rows of neap's alone ---- */

struct pooled {
    struct pooled *sides[2];
    int64_t value;
};
NEAP_DEFINE_TYPE(pooled, (sides), .flags = NEAP_POOLED);

static void run_bytes_pooled(struct bench_state *state, const void *unused)
{
    (void)unused;
    uint64_t before = bench_resident_kib();
    struct pooled *chain = NULL;
    while (bench_keep_running(state, CHAIN))
        for (int i = 0; i < CHAIN; i++) {
            struct pooled *fresh = neap_new(pooled);
            if (fresh == NULL)
                abort();
            fresh->sides[0] = chain;
            chain = fresh;
        }
    tell_bytes(state, before);
    neap_release(chain);
}

/* A live graph that hangs off an immortal object: known to live before anything is counted. */
static void run_collection_immortal(struct bench_state *state, const void *arg)
{
    const struct graph *graph = arg;
    begin_row(state);
    peer_automatic(false);
    struct node *root = make_graph(graph);
    neap_immortalize(root);
    peer_collect();
    while (bench_keep_running(state, graph->nodes))
        peer_collect();
    peer_tell(state);
    tell_memory(state);
    neap_clear(&root->sides[0]);
    neap_clear(&root->sides[1]);
    peer_collect();
    peer_automatic(true);
}

/* A graph that nobody holds any more: what freeing it takes, of the whole collection. */
static void add_sweep(const struct neap_gc_event *event, void *arg)
{
    double *ret_ns = arg;
    if (!event->start)
        *ret_ns += (double)event->phase_ns[NEAP_GC_PHASE_SWEEP];
}

static void run_freeing(struct bench_state *state, const void *arg)
{
    const struct graph *graph = arg;
    double sweep_ns = 0, objects = 0;
    begin_row(state);
    peer_automatic(false);
    if (neap_gc_add_callback(add_sweep, &sweep_ns) != NEAP_OK)
        abort();
    while (bench_keep_running(state, graph->nodes)) {
        make_garbage(graph);
        objects += (double)neap_collect(2);
    }
    neap_gc_remove_callback(add_sweep, &sweep_ns);
    bench_counter(state, "freed_ns", sweep_ns / objects, BENCH_SUM);
    peer_automatic(true);
}

static void run_trees_uncollected(struct bench_state *state, const void *arg)
{
    neap_gc_disable();
    run_trees(state, arg);
}

/* What two threads gain by chasing pointers, each through a permutation of its own: the most that
 * a second worker can bring where the other waits for memory. The nodes are as big as neap's. */
enum { CHASED = 500000, HOPS = 1000 };
struct hop {
    struct hop *next;
    char rest[40];
};

static struct hop *make_hops(uint64_t seed)
{
    struct hop *hops = calloc(CHASED, sizeof *hops);
    uint32_t *order = malloc(CHASED * sizeof *order);
    if (hops == NULL || order == NULL)
        abort();
    bench_shuffle(order, CHASED, seed);
    for (uint32_t i = 0; i < CHASED; i++)
        hops[order[i]].next = &hops[order[(i + 1) % CHASED]];
    free(order);
    return hops;
}

static void run_chase(struct bench_state *state, const void *unused)
{
    (void)unused;
    struct hop *hops = make_hops((uint64_t)bench_thread(state) + 7), *at = hops;
    while (bench_keep_running(state, HOPS)) {
        for (int i = 0; i < HOPS; i++)
            at = at->next;
        bench_use(at);
    }
    free(hops);
}

static void add_own_rows(void)
{
    static const struct graph workers[] = {
        {"collect/workers_1m/neap_1", 1000000, true, false},
        {"collect/workers_1m/neap_2", 1000000, true, false},
    };
    static const struct graph immortal[] = {
        {"collect/sequential_1m/neap_immortal", 1000000, false, false},
        {"collect/sequential_10m/neap_immortal", 10000000, false, false},
    };
    static const struct graph freed[] = {
        {"collect/free_1m/neap_1", 1000000, true, true},
        {"collect/free_1m/neap_2", 1000000, true, true},
    };
    add_graphs(workers, 2, run_collection);
    add_graphs(freed, 2, run_freeing);
    add_graphs(immortal, 2, run_collection_immortal);
    bench_add(&(struct bench_case){.name = "collect/workers_1m/chaser_1", .run = run_chase});
    bench_add(&(struct bench_case){
        .name = "collect/workers_1m/chaser_2", .run = run_chase, .threads = 2});
    for (int threads = 1; threads <= 2; threads++)
        bench_add(&(struct bench_case){.name = threads == 1 ? "collect/trees_18/neap_uncollected"
                                                            : "collect/trees_18_2/neap_uncollected",
                                       .run = run_trees_uncollected,
                                       .arg = &tree_depths[1],
                                       .threads = threads,
                                       .attached = true,
                                       .iterations = tree_nodes(tree_depths[1])});
    bench_add(&(struct bench_case){.name = "collect/bytes_1m/neap_pooled",
                                   .run = run_bytes_pooled,
                                   .attached = true,
                                   .iterations = CHAIN});
}

/* Options are read once, before the first row: rows with options of their own run alone. */
static void choose_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(argv[i], "/neap_concurrent") != NULL)
            setenv("NEAP_OPTIONS", "collector=concurrent", 1);
        for (int workers = 1; workers <= 2; workers++) {
            char wanted[48], option[48];
            snprintf(wanted, sizeof wanted, "_1m/neap_%d", workers);
            snprintf(option, sizeof option, "collector_threads=%d", workers);
            if (strstr(argv[i], wanted) != NULL)
                setenv("NEAP_OPTIONS", option, 1);
        }
    }
}

int main(int argc, char **argv)
{
    choose_options(argc, argv);
    add_own_rows();
    add_rows();
    add_load("neap", true, NULL);
    add_pauses("neap_stopped");
    add_pauses("neap_concurrent");
    add_request_rows();
    return bench_main(argc, argv);
}
