/* SPDX-License-Identifier: MIT
 *
 * The mallocs' part of the collect benchmark's trees (collect_rows.h) and of the server under load
 * (load_rows.h): nodes are freed by a walk over the tree or ring, which only a program that knows
 * that nothing is shared can do. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peers.h"
#include "bench/shim.h"

struct node {
    struct node *sides[2];
    int64_t value;
};

static struct bench_allocator peer; /* a copy of the case's, set before it runs */

static inline struct node *node_new(struct node *left, struct node *right)
{
    struct node *fresh = peer.alloc(sizeof *fresh);
    if (fresh == NULL)
        abort();
    fresh->sides[0] = left;
    fresh->sides[1] = right;
    fresh->value = 0;
    return fresh;
}

static inline struct node *node_side(const struct node *node, uint32_t side)
{
    return node->sides[side];
}

static void node_drop(struct node *node)
{
    struct node *left = node->sides[0], *right = node->sides[1];
    peer.free(node);
    if (left != NULL) {
        node_drop(left);
        node_drop(right);
    }
}

static inline void node_link(struct node *node, uint32_t side, struct node *to)
{
    node->sides[side] = to;
}

/* Only the first node is held from outside; a ring is freed node by node. */
static void ring_drop(struct node *first)
{
    struct node *next;
    for (struct node *node = first->sides[0]; node != first; node = next) {
        next = node->sides[0];
        peer.free(node);
    }
    peer.free(first);
}

#define node_settle(node)        ((void)(node))
#define peer_storage(bytes)      calloc(1, (bytes))
#define peer_storage_free(bytes) free(bytes)
#define peer_sleep_until(when)   (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, (when), NULL)
#define peer_thread_begin()      ((void)0)
#define peer_thread_end()        ((void)0)
#define peer_poll()              ((void)0)
#define peer_tell(state)         ((void)(state))

#include "bench/collect_rows.h"
#include "bench/load_rows.h"

#define peer_tell_stops(state) ((void)(state))

#include "bench/pause_rows.h"

struct plan {
    struct bench_allocator *allocator;
    int depth;
};

static const char *prepare(const void *arg)
{
    const struct plan *plan = arg;
    const char *why = bench_allocator_load(plan->allocator);
    peer = *plan->allocator;
    return why;
}

static const char *prepare_glibc(const void *unused)
{
    (void)unused;
    for (int p = 0; p < BENCH_ALLOCATORS; p++)
        if (strcmp(bench_allocators[p].name, "glibc") == 0)
            return prepare(&(struct plan){.allocator = &bench_allocators[p]});
    return "no glibc among the peers";
}

static void run(struct bench_state *state, const void *arg)
{
    const struct plan *plan = arg;
    run_trees(state, &plan->depth);
}

static void add_tree(const char *row, struct plan *plan, int threads)
{
    char name[128];
    snprintf(name, sizeof name, "%s/malloc_%s", row, plan->allocator->name);
    bench_add(&(struct bench_case){.name = name,
                                   .run = run,
                                   .arg = plan,
                                   .prepare = prepare,
                                   .threads = threads,
                                   .iterations = tree_nodes(plan->depth)});
}

/* As much again by a second process; timed until both are done. */
static void run_requests_of_two(struct bench_state *state, const void *unused)
{
    (void)unused;
    begin_row(state);
    while (bench_keep_running(state, REQUEST_OBJECTS)) {
        pid_t other = fork();
        if (other < 0)
            bench_skip(state, "no second process");
        answer_requests(REQUEST_OBJECTS);
        if (other == 0)
            _exit(0);
        if (other > 0)
            (void)waitpid(other, NULL, 0);
    }
    tell_memory(state);
}

static void add_requests(void)
{
    static const struct {
        const char *name;
        void (*run)(struct bench_state *state, const void *unused);
    } rows[] = {{"pauses/requests/malloc_glibc", run_requests},
                {"pauses/requests_2/malloc_glibc", run_requests_of_two}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        bench_add(&(struct bench_case){.name = rows[i].name,
                                       .run = rows[i].run,
                                       .prepare = prepare_glibc,
                                       .iterations = REQUEST_OBJECTS});
}

int main(int argc, char **argv)
{
    static struct plan plans[2][BENCH_ALLOCATORS];
    bench_peers_prepare(argv);
    for (int p = 1; p < BENCH_ALLOCATORS; p++) {
        for (int row = 0; row < 2; row++)
            plans[row][p] = (struct plan){&bench_allocators[p], tree_depths[row]};
        add_tree("collect/trees_14", &plans[0][p], 1);
        add_tree("collect/trees_18", &plans[1][p], 1);
        add_tree("collect/trees_18_2", &plans[1][p], 2);
    }
    add_load("malloc_glibc", false, prepare_glibc);
    add_requests();
    return bench_main(argc, argv);
}
