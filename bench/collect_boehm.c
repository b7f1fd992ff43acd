/* SPDX-License-Identifier: MIT
 *
 * libgc's part of the collect benchmark (collect_rows.h): Boehm's conservative collector with its
 * defaults (a marker thread per processor; rows named boehm_1 have one). A dropped reference is one
 * that no variable holds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GC_THREADS /* declares registration; this file makes no thread */
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

static inline void node_burden(struct node *node, uint32_t bytes)
{
    void *payload = GC_MALLOC_ATOMIC(bytes);
    if (payload == NULL)
        abort();
    memset(payload, 1, bytes);
    node->sides[1] = payload;
}

/* Threads that libgc has not made itself. The main thread is known already. */
static __thread bool registered;

static void peer_thread_begin(void)
{
    struct GC_stack_base base;
    if (GC_thread_is_registered() || GC_get_stack_base(&base) != GC_SUCCESS)
        return;
    if (GC_register_my_thread(&base) != GC_SUCCESS)
        abort();
    registered = true;
}

static void peer_thread_end(void)
{
    if (registered)
        (void)GC_unregister_my_thread();
    registered = false;
}

#define PEER_THREADS    2
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

#define peer_sleep_until(when) (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, (when), NULL)
#define node_settle(node)      ((void)(node))
#define ring_drop(ring)        ((void)(ring))

#include "bench/collect_rows.h"
#include "bench/load_rows.h"

/* libgc does not tell how long each of its stops was. */
#define peer_tell_stops(state) peer_tell(state)

#include "bench/pause_rows.h"

/* The marker threads are started with the library: the row with one of them runs alone. */
static void choose_markers(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(argv[i], "/boehm_1") != NULL)
            setenv("GC_MARKERS", "1", 1);
}

int main(int argc, char **argv)
{
    choose_markers(argc, argv);
    GC_INIT();
    GC_allow_register_threads();
    add_rows();
    add_load("boehm", false, NULL);
    add_pauses("boehm");
    add_request_rows();
    add_ring_rows("boehm_1");
    return bench_main(argc, argv);
}
