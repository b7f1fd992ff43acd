/* SPDX-License-Identifier: MIT
 *
 * Programs with a planted answer, for the tests that ask real clients: planted COMMAND FILE. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <neap/neap.h>

struct leaf {
    long value;
};
NEAP_DEFINE_TYPE(leaf, ());

struct hub {
    struct side *left, *right;
    struct leaf *many[3];
};

struct side {
    struct hub *below;
    struct leaf *own;
};

NEAP_DEFINE_TYPE(hub, (left, right, many));
NEAP_DEFINE_TYPE(side, (NEAP_ATOMIC(below), own));

struct node {
    struct node *next, *other;
    long value;
};
NEAP_DEFINE_TYPE(node, (next, other));

struct wide {
    struct wide *next;
    char rest[472];
};
NEAP_DEFINE_TYPE(wide, (next));

static void fail(const char *what)
{
    fprintf(stderr, "planted: %s failed\n", what);
    exit(1);
}

static void check(int status, const char *what)
{
    if (status != NEAP_OK) {
        fprintf(stderr, "planted: %s: %s\n", what, neap_strerror(status));
        exit(1);
    }
}

/* top -> left, right -> below (a hub, reached both ways) -> leaves; left alone has its own leaf. */
static void write_graph(const char *file)
{
    struct hub *top = neap_new(hub), *below = neap_new(hub);
    struct side *left = neap_new(side), *right = neap_new(side);
    struct leaf *array = neap_new_array(leaf, 1000), *immortal = neap_new(leaf);
    if (top == NULL || below == NULL || left == NULL || right == NULL || immortal == NULL)
        fail("neap_new");
    neap_store(&left->below, below);
    neap_store(&right->below, below);
    neap_give(&left->own, neap_new(leaf));
    for (int i = 0; i < 3; i++)
        neap_give(&below->many[i], i == 2 ? array : neap_new(leaf));
    neap_give(&top->left, left);
    neap_give(&top->right, right);
    neap_release(below);
    neap_immortalize(immortal);
    printf("top %zu\nleft %zu\nbelow %zu\narray %zu\n", neap_retained_size(top),
           neap_retained_size(left), neap_retained_size(below), neap_size_of(array));
    check(neap_heap_snapshot_write(file), "neap_heap_snapshot_write");
    struct leaf *later = neap_new(leaf);
    char second[4096];
    snprintf(second, sizeof second, "%s.second", file);
    check(neap_heap_snapshot_write(second), "neap_heap_snapshot_write");
    neap_release(later);
    neap_release(top);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct {
    bool started, end;
    uint64_t longest_ns;
} watch;

/* How long this thread was kept waiting at most. */
static void *poll_all_the_time(void *arg)
{
    (void)arg;
    __atomic_store_n(&watch.started, true, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&watch.end, __ATOMIC_RELAXED)) { /* relaxed: a flag */
        uint64_t start = now_ns();
        neap_safepoint();
        uint64_t waited = now_ns() - start;
        if (waited > watch.longest_ns)
            watch.longest_ns = waited;
    }
    return NULL;
}

static void write_million(const char *file)
{
    enum { NODES = 1000000 };
    struct node **nodes = malloc(NODES * sizeof(struct node *));
    unsigned random = 1;
    for (int i = 0; i < NODES; i++) {
        nodes[i] = neap_new(node);
        random = random * 1664525 + 1013904223;
        neap_set(&nodes[i]->next, nodes[i == 0 ? 0 : i - 1]);
        neap_set(&nodes[i]->other, nodes[random % (unsigned)(i + 1)]);
    }
    for (int i = 0; i < NODES - 1; i++)
        neap_release(nodes[i]);
    pthread_t thread;
    check(neap_thread_create(&thread, "poll", poll_all_the_time, NULL), "neap_thread_create");
    uint64_t start = now_ns();
    check(neap_heap_snapshot_write(file), "neap_heap_snapshot_write");
    uint64_t whole = now_ns() - start;
    __atomic_store_n(&watch.end, true, __ATOMIC_RELAXED);
    neap_thread_join(thread, NULL);
    printf("written in %.3f s, another thread waited %.1f ms\n", (double)whole / 1e9,
           (double)watch.longest_ns / 1e6);
    neap_release(nodes[NODES - 1]);
    free(nodes);
    neap_collect(2);
}

static __attribute__((noinline)) struct node *planted_site(struct node *next)
{
    struct node *node = neap_new(node); /* the planted line */
    neap_give(&node->next, next);
    return node;
}

static __attribute__((noinline)) void planted_caller(struct node **head, int count)
{
    for (int i = 0; i < count; i++)
        *head = planted_site(*head);
}

static __attribute__((noinline)) void other_site(void)
{
    neap_free(neap_alloc(100));
}

/* FILE has 1000 nodes alive, FILE.second 3000. */
static void write_pprof(const char *file)
{
    char other[4096];
    struct node *head = NULL;
    check(neap_trace_start(8, 0), "neap_trace_start");
    planted_caller(&head, 1000);
    for (int i = 0; i < 500; i++)
        other_site();
    check(neap_pprof_write(file), "neap_pprof_write");
    snprintf(other, sizeof other, "%s.collapsed", file);
    check(neap_collapsed_write(other), "neap_collapsed_write");
    snprintf(other, sizeof other, "%s.heaptrack", file);
    check(neap_heaptrack_write(other), "neap_heaptrack_write");
    planted_caller(&head, 2000);
    snprintf(other, sizeof other, "%s.second", file);
    check(neap_pprof_write(other), "neap_pprof_write");
    printf("each %zu\n", neap_size_of(head));
    neap_release(head);
}

static void *work_and_wait(void *arg)
{
    (void)arg;
    for (int round = 0; round < 20; round++) {
        struct node *head = NULL;
        planted_caller(&head, 500);
        neap_release(head);
        neap_safepoint();
        struct timespec moment = {0, 1000000};
        NEAP_BLOCKED(nanosleep(&moment, NULL));
    }
    return NULL;
}

/* 16 MiB and more: from there on the collector's helpers take part. */
static struct wide *make_much(void)
{
    struct wide *head = NULL;
    for (int i = 0; i < 40000; i++) {
        struct wide *wide = neap_new(wide);
        if (wide == NULL)
            fail("neap_new");
        neap_give(&wide->next, head);
        head = wide;
    }
    return head;
}

static void write_timeline(const char *file)
{
    pthread_t threads[3], polling; /* that one runs whenever it is asked to stop */
    struct wide *much = make_much();
    check(neap_timeline_start(file), "neap_timeline_start");
    if (neap_timeline_start(file) != NEAP_ESTATE)
        fail("a second timeline was not refused");
    for (int i = 0; i < 3; i++)
        check(neap_thread_create(&threads[i], "worker", work_and_wait, NULL), "thread");
    check(neap_thread_create(&polling, "poll", poll_all_the_time, NULL), "thread");
    while (!__atomic_load_n(&watch.started, __ATOMIC_RELAXED)) /* relaxed: a flag */
        NEAP_BLOCKED(sched_yield());
    for (int i = 0; i < 20; i++)
        neap_collect(i % 3);
    neap_release(much);
    for (int i = 0; i < 3; i++)
        neap_thread_join(threads[i], NULL);
    __atomic_store_n(&watch.end, true, __ATOMIC_RELAXED); /* relaxed: a flag */
    neap_thread_join(polling, NULL);
    check(neap_timeline_stop(), "neap_timeline_stop");
    if (neap_timeline_stop() != NEAP_ESTATE)
        fail("a timeline that has ended ended again");
}

/* No thread collects it alone, and a collection leaves its end to where user code may run. */
static uint64_t finalized;
static void finalize_loop(void *self)
{
    (void)self;
    finalized++;
}
struct loop {
    struct loop *self;
};
NEAP_DEFINE_TYPE(loop, (self), .finalize = finalize_loop);

static uint64_t collections(int generation, enum neap_gc_cause cause)
{
    struct neap_gc_stats stats;
    neap_gc_get_stats(generation, &stats);
    return stats.by_cause[cause];
}

static uint64_t confined(void)
{
    struct neap_gc_stats stats;
    neap_gc_get_stats(0, &stats);
    return stats.confined;
}

static bool concurrent_ended(void)
{
    return collections(2, NEAP_GC_CAUSE_CONCURRENT) > 0;
}

static bool loops_ended(void)
{
    return finalized > 0 && collections(0, NEAP_GC_CAUSE_PACED) > 0;
}

static bool confined_ended(void)
{
    return confined() > 0;
}

static void make_loop(void)
{
    struct loop *loop = neap_new(loop);
    neap_set(&loop->self, loop);
    neap_release(loop);
}

static void make_cycle(void)
{
    struct node *node = neap_new(node);
    neap_set(&node->next, node);
    neap_release(node);
}

/* Garbage of today among what lasts: the collector's thread has time for it in between. */
static struct node *lasting;
static void make_lasting(void)
{
    for (int i = 0; i < 2000; i++) {
        lasting = planted_site(lasting);
        neap_safepoint();
    }
    struct timespec moment = {0, 1000000};
    NEAP_BLOCKED(nanosleep(&moment, NULL));
}

static void until(bool (*ended)(void), void (*make)(void), const char *what)
{
    uint64_t start = now_ns();
    while (!ended()) {
        make();
        neap_safepoint();
        if (now_ns() - start > 60000000000u)
            fail(what);
    }
}

static void write_metrics_to(const char *file)
{
    char other[4096];
    snprintf(other, sizeof other, "%s.open", file);
    FILE *prometheus = fopen(file, "w"), *open_metrics = fopen(other, "w");
    if (prometheus == NULL || open_metrics == NULL)
        fail("fopen");
    check(neap_metrics_write_prometheus(prometheus), "neap_metrics_write_prometheus");
    check(neap_metrics_write(open_metrics), "neap_metrics_write");
    fclose(prometheus);
    fclose(open_metrics);
}

/* Collections for every cause there is, with a timeline of them in FILE.timeline. */
static void write_causes(const char *file)
{
    char timeline[4096];
    snprintf(timeline, sizeof timeline, "%s.timeline", file);
    check(neap_gc_set_threshold(10000, 1, 1), "neap_gc_set_threshold");
    check(neap_timeline_start(timeline), "neap_timeline_start");
    neap_collect(1);
    until(confined_ended, make_cycle, "a confined collection");
    until(loops_ended, make_loop, "a collection of finalizable garbage");
    until(concurrent_ended, make_lasting, "a concurrent collection");
    if (neap_new_array(leaf, (size_t)1 << 44) != NULL)
        fail("no end of memory");
    neap_release(lasting);
    neap_collect(2); /* ends what the collector's thread may have begun */
    check(neap_timeline_stop(), "neap_timeline_stop");
    write_metrics_to(file);
}

/* Does not poll for a tenth of a second, while it is asked to. */
static void *lag(void *arg)
{
    (void)arg;
    __atomic_store_n(&watch.started, true, __ATOMIC_RELAXED); /* relaxed: a flag */
    uint64_t start = now_ns();
    while (now_ns() - start < 100000000)
        ;
    neap_safepoint();
    return NULL;
}

static void write_late(const char *file)
{
    pthread_t thread;
    check(neap_timeline_start(file), "neap_timeline_start");
    neap_collect(2);
    check(neap_thread_create(&thread, "laggard", lag, NULL), "thread");
    while (!__atomic_load_n(&watch.started, __ATOMIC_RELAXED)) /* relaxed: a flag */
        NEAP_BLOCKED(sched_yield());
    check(neap_trace_start(1, 0), "neap_trace_start"); /* stops the world at once */
    neap_thread_join(thread, NULL);
    check(neap_timeline_stop(), "neap_timeline_stop");
}

/* Its visit hands out a copy of its slot: nothing can clear it. */
struct stubborn {
    struct stubborn *peer;
};
static void visit_stubborn(void *self, struct neap_visitor *visitor)
{
    struct stubborn *copy = ((struct stubborn *)self)->peer;
    neap_visit(visitor, &copy);
}
NEAP_DEFINE_TYPE(stubborn, (), .visit = visit_stubborn);

/* A hub that is not released, with what it holds; a pair that cannot be freed. */
static void leak(void)
{
    check(neap_trace_start(1, 0), "neap_trace_start");
    struct hub *hub = neap_new(hub); /* the leaking line */
    neap_give(&hub->left, neap_new(side));
    neap_give(&hub->left->own, neap_new(leaf));
    struct stubborn *a = neap_new(stubborn), *b = neap_new(stubborn);
    a->peer = b;
    b->peer = a;
}

static int report_leaks(const char *file)
{
    struct neap_leaks *leaks;
    leak();
    size_t alive = neap_shutdown(&leaks);
    FILE *out = fopen(file, "w");
    if (out == NULL || alive != 5)
        fail("the leaks");
    check(neap_leaks_write_json(leaks, out), "neap_leaks_write_json");
    fclose(out);
    neap_leaks_print(leaks, stdout);
    neap_leaks_free(leaks);
    return 0;
}

/* Something of everything: collections, threads, a limit. */
enum { PASSED = 5, LEFT = 10 };
static struct leaf *passed[PASSED], *left[LEFT];

/* Releases what main made, and leaves what main is to release. */
static void *exchange(void *arg)
{
    (void)arg;
    for (int i = 0; i < PASSED; i++)
        neap_release(passed[i]);
    for (int i = 0; i < LEFT; i++)
        left[i] = neap_new(leaf);
    return NULL;
}

static void make_merges(void)
{
    pthread_t thread;
    for (int i = 0; i < PASSED; i++)
        passed[i] = neap_new(leaf);
    check(neap_thread_create(&thread, "exchange", exchange, NULL), "neap_thread_create");
    check(neap_thread_join(thread, NULL), "neap_thread_join");
    neap_safepoint();
    for (int i = 0; i < LEFT; i++)
        neap_release(left[i]);
}

static void write_metrics(const char *file)
{
    struct node *head = NULL;
    planted_caller(&head, 1000);
    make_merges();
    if (neap_alloc(SIZE_MAX / 4) != NULL || neap_calloc(SIZE_MAX / 8, 1) != NULL)
        fail("no end of memory");
    neap_collect(2);
    write_metrics_to(file);
    neap_release(head);
}

int main(int argc, char **argv)
{
    if (argc != 3 || neap_init(NULL) != NEAP_OK)
        return 2;
    if (strcmp(argv[1], "graph") == 0)
        write_graph(argv[2]);
    else if (strcmp(argv[1], "million") == 0)
        write_million(argv[2]);
    else if (strcmp(argv[1], "timeline") == 0)
        write_timeline(argv[2]);
    else if (strcmp(argv[1], "metrics") == 0)
        write_metrics(argv[2]);
    else if (strcmp(argv[1], "causes") == 0)
        write_causes(argv[2]);
    else if (strcmp(argv[1], "late") == 0)
        write_late(argv[2]);
    else if (strcmp(argv[1], "leaks") == 0)
        return report_leaks(argv[2]);
    else if (strcmp(argv[1], "leak") == 0)
        leak();
    else if (strcmp(argv[1], "pprof") == 0)
        write_pprof(argv[2]);
    else
        return 2;
    return neap_shutdown(NULL) == 0 ? 0 : 1;
}
