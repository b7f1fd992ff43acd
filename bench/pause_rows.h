/* SPDX-License-Identifier: MIT
 *
 * How long does the world stand still for collections of old objects, and what does it cost not to
 * let it?
 *
 * Models:
 *
 *   graph_1m, _10m        a live graph of so many nodes at random (collect_rows.h); beside it two
 *                         threads, each of which makes rings of 10 nodes, keeps the last 50,000 and
 *                         drops each when it is old: no garbage is young, and collections follow
 *                         each other
 *   requests, requests_2  small cyclic graphs (rings of 8) that are made, walked and dropped by the
 *                         thread that made them, nothing shared: one thread and two
 *
 * Peers: neap's stopped and its concurrent collector (a process each), Boehm's libgc, Go, Java with
 * G1 and with ZGC. For requests glibc's malloc, rings freed by hand, and instead of two threads two
 * processes: what the machine gives two that share nothing.
 *
 * Leaves out: big objects, finalizers, weak references, more threads than two.
 *
 * Reading: time is nanoseconds per object made. stop_p50_us, stop_p99_us, stop_max_us: the world
 * stopped, as the peer's own statistics have it (neap: from when the last thread has stopped; the
 * worst of the generations for p50 and p99; the building of the graph included). longest_us,
 * p999_us: the longest 100 rings as the thread saw them, other programs and waiting for the
 * collector included. stops: of the world, in all.
 *
 * Included behind load_rows.h, with the same definitions and peer_tell_stops(state). */

enum {
    OLD_RING = 10,
    KEPT_RINGS = 50000,       /* per thread */
    RINGS_AT_ONCE = 100,      /* between two looks at the clock */
    PAUSE_OBJECTS = 10000000, /* made per thread */
    REQUEST_RING = 8,
    REQUEST_OBJECTS = 20000000 /* made per thread */
};

#ifdef PEER_NAME

static const struct pause_graph {
    const char *row;
    struct graph graph;
} pause_graphs[] = {
    {"pauses/graph_1m", {.nodes = 1000000, .random = true}},
    {"pauses/graph_10m", {.nodes = 10000000, .random = true}},
};

static void replace_ring(struct node **place)
{
    if (*place != NULL)
        ring_drop(*place);
    *place = make_held_ring(OLD_RING);
}

static void run_pauses(struct bench_state *state, const void *arg)
{
    const struct pause_graph *wanted = arg;
    static struct node *volatile root;
    struct bench_histogram chunks = {0};
    begin_row(state);
    peer_thread_begin();
    struct node **rings = peer_storage(KEPT_RINGS * sizeof *rings);
    if (rings == NULL)
        abort();
    if (bench_thread(state) == 0)
        root = make_graph(&wanted->graph);
    for (uint32_t made = 0; bench_keep_running(state, RINGS_AT_ONCE * OLD_RING);) {
        uint64_t before = bench_now_ns();
        for (int i = 0; i < RINGS_AT_ONCE; i++)
            replace_ring(&rings[made++ % KEPT_RINGS]);
        peer_poll();
        bench_histogram_add(&chunks, bench_now_ns() - before);
    }
    bench_counter(state, "longest_us", (double)chunks.maximum * 1e-3, BENCH_MEAN);
    bench_counter(state, "p999_us", (double)bench_histogram_at(&chunks, 0.999) * 1e-3, BENCH_MEAN);
    if (bench_thread(state) == 0) {
        peer_tell_stops(state);
        node_drop(root);
        root = NULL;
    }
    tell_memory(state);
    for (int i = 0; i < KEPT_RINGS; i++)
        if (rings[i] != NULL)
            ring_drop(rings[i]);
    peer_storage_free(rings);
    peer_thread_end();
}

static void add_pauses(const char *whose)
{
    for (size_t i = 0; i < sizeof pause_graphs / sizeof pause_graphs[0]; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s/%s", pause_graphs[i].row, whose);
        bench_add(&(struct bench_case){.name = name,
                                       .run = run_pauses,
                                       .arg = &pause_graphs[i],
                                       .threads = 2,
                                       .attached = PEER_ATTACHED,
                                       .iterations = PAUSE_OBJECTS});
    }
}

#endif

static void answer_requests(int64_t objects)
{
    for (; objects > 0; objects -= REQUEST_RING) {
        struct node *first = make_held_ring(REQUEST_RING), *node = first;
        do
            node = node_side(node, 0);
        while (node != first);
        bench_use(node);
        ring_drop(first);
    }
    peer_poll();
}

static void run_requests(struct bench_state *state, const void *unused)
{
    (void)unused;
    begin_row(state);
    peer_thread_begin();
    while (bench_keep_running(state, 1000 * REQUEST_RING))
        answer_requests(1000 * REQUEST_RING);
    if (bench_thread(state) == 0)
        peer_tell_stops(state);
    tell_memory(state);
    peer_thread_end();
}

#ifdef PEER_NAME

static void add_request_rows(void)
{
    for (int threads = 1; threads <= 2; threads++)
        bench_add(&(struct bench_case){.name = threads == 1 ? "pauses/requests/" PEER_NAME
                                                            : "pauses/requests_2/" PEER_NAME,
                                       .run = run_requests,
                                       .threads = threads,
                                       .attached = PEER_ATTACHED,
                                       .iterations = REQUEST_OBJECTS});
}

#endif
