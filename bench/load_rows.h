/* SPDX-License-Identifier: MIT
 *
 * What does memory management do to the answering times of a server?
 *
 * Models a server with two worker threads and 100,000 sessions of 8 nodes each, linked in a ring:
 * 800,000 live objects in 100,000 cycles. A request builds a tree of 255 nodes (what a parser and a
 * template would), walks it, drops it, and replaces the ring of a random session of its worker:
 * garbage in cycles. Requests come at times drawn beforehand, 4,000 a second and worker with
 * exponential gaps, whether the server is ready or not.
 *
 * A request's time counts from when it was due, not from when the worker got round to it: a pause
 * makes late all that was due in it ("coordinated omission" is what hides that). A worker with time
 * left sleeps until shortly before the next request, then spins.
 *
 * Peers: Boehm's libgc, Go, Java, and glibc's malloc with what only a program can write that knows
 * who refers to what: the old ring and the tree are freed by hand.
 *
 * Leaves out: the network, locks between workers (each has its own sessions), big objects, load
 * beyond what the machine can do.
 *
 * Reading: the figure is p99_us, the time in which 99 of 100 requests are answered. late_1ms and
 * late_10ms: requests in a thousand that missed such a deadline. cpu_us: processor time per request
 * of the whole process, collector threads included, and the spinning. Few samples lie beyond the
 * last percentile shown: max_us is one.
 *
 * Included behind collect_rows.h, with the same definitions and these:
 *
 *   peer_sleep_until(when)        waits until that point of CLOCK_MONOTONIC (struct timespec *)
 *   node_settle(node)             the caller's reference ends, another node has one
 *   ring_drop(ring)               the session's reference, the last one, ends */
#include <math.h>
#include <sys/resource.h>
#include <time.h>

enum {
    WORKERS = 2,
    SESSIONS = 50000,     /* per worker */
    SESSION_RING = 8,     /* nodes */
    REQUEST_DEPTH = 7,    /* of its tree */
    MEAN_GAP_NS = 250000, /* between requests of one worker */
    SPIN_NS = 80000       /* before a request is due: what waking up may take */
};

struct load {
    const char *name;
    uint32_t requests; /* of each worker */
};

static struct {
    struct bench_histogram times;
    uint64_t late_1ms, late_10ms;
} load_told[WORKERS];

/* In the caller's hand. */
static struct node *make_held_ring(int nodes)
{
    struct node *first = node_new(NULL, NULL), *last = first;
    for (int i = 1; i < nodes; i++) {
        struct node *fresh = node_new(NULL, NULL);
        node_link(last, 0, fresh);
        node_link(fresh, 1, last);
        if (last != first)
            node_settle(last);
        last = fresh;
    }
    node_link(last, 0, first);
    node_settle(last);
    return first;
}

static void answer(struct node **sessions, uint64_t *seed)
{
    struct node *tree = make_tree(REQUEST_DEPTH);
    bench_use(count_tree(tree));
    node_drop(tree);
    struct node **session = &sessions[bench_random_below(seed, SESSIONS)];
    ring_drop(*session);
    *session = make_held_ring(SESSION_RING);
    peer_poll();
}

static uint64_t next_gap(uint64_t *seed)
{
    double share = ((double)bench_random(seed) + 1) / 2147483648.0; /* 0 < share <= 1 */
    return (uint64_t)(-log(share) * MEAN_GAP_NS);
}

static void wait_until(uint64_t due)
{
    uint64_t now = bench_now_ns();
    if (now + SPIN_NS < due) {
        uint64_t wake = due - SPIN_NS;
        struct timespec when = {.tv_sec = (time_t)(wake / 1000000000u),
                                .tv_nsec = (long)(wake % 1000000000u)};
        peer_sleep_until(&when);
    }
    while (bench_now_ns() < due)
        peer_poll();
}

static uint64_t processor_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static void tell_load(struct bench_state *state, uint64_t processor)
{
    static const struct {
        const char *name;
        double share;
    } marks[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}};
    static struct bench_histogram all;
    double late_1ms = 0, late_10ms = 0;
    all = (struct bench_histogram){0};
    for (int worker = 0; worker < WORKERS; worker++) {
        bench_histogram_join(&all, &load_told[worker].times);
        late_1ms += (double)load_told[worker].late_1ms;
        late_10ms += (double)load_told[worker].late_10ms;
    }
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        bench_counter(state, marks[i].name, (double)bench_histogram_at(&all, marks[i].share) * 1e-3,
                      BENCH_SUM);
    bench_counter(state, "max_us", (double)all.maximum * 1e-3, BENCH_SUM);
    bench_counter(state, "late_1ms", late_1ms * 1e3 / (double)all.count, BENCH_SUM);
    bench_counter(state, "late_10ms", late_10ms * 1e3 / (double)all.count, BENCH_SUM);
    bench_counter(state, "cpu_us", (double)processor * 1e-3 / (double)all.count, BENCH_SUM);
}

static void run_load(struct bench_state *state, const void *arg)
{
    const struct load *load = arg;
    int worker = bench_thread(state);
    uint64_t seed = 11 + (uint64_t)worker, processor = 0;
    begin_row(state);
    peer_thread_begin();
    memset(&load_told[worker], 0, sizeof load_told[worker]);
    struct node **sessions = peer_storage(SESSIONS * sizeof *sessions);
    if (sessions == NULL)
        abort();
    for (int i = 0; i < SESSIONS; i++)
        sessions[i] = make_held_ring(SESSION_RING);
    /* Once: Google Benchmark's barriers are at its begin and end. */
    while (bench_keep_running(state, load->requests)) {
        processor = processor_ns();
        uint64_t due = bench_now_ns();
        for (uint32_t i = 0; i < load->requests; i++) {
            due += next_gap(&seed);
            wait_until(due);
            answer(sessions, &seed);
            uint64_t spent = bench_now_ns() - due;
            bench_histogram_add(&load_told[worker].times, spent);
            load_told[worker].late_1ms += spent > 1000000;
            load_told[worker].late_10ms += spent > 10000000;
        }
    }
    if (worker == 0) {
        tell_load(state, processor_ns() - processor);
        peer_tell(state);
    }
    tell_memory(state);
    for (int i = 0; i < SESSIONS; i++)
        ring_drop(sessions[i]);
    peer_storage_free(sessions);
    peer_thread_end();
}

static void add_load(const char *whose, bool attached, const char *(*prepare)(const void *load))
{
    static const struct load loads[] = {{"load/server_1s", 4000}, {"load/server_5s", 20000}};
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s/%s", loads[i].name, whose);
        bench_add(&(struct bench_case){.name = name,
                                       .run = run_load,
                                       .arg = &loads[i],
                                       .prepare = prepare,
                                       .threads = WORKERS,
                                       .attached = attached,
                                       .iterations = loads[i].requests});
    }
}
