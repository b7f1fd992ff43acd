/* SPDX-License-Identifier: MIT
 *
 * Tracing finds the line, counts what is alive, samples without bias, and may be switched at any
 * time. */
#include "tests/harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <neap/neap.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || defined NP_VALGRIND
#    define SANITIZED 1
#elif defined __has_feature
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED 1
#    endif
#endif

struct node {
    struct node *next;
    long value;
};
NEAP_DEFINE_TYPE(node, (next));

struct leaf {
    char bytes[100];
};
NEAP_DEFINE_TYPE(leaf, ());

enum { MAKER_LINE = __LINE__ + 3 };
static __attribute__((noinline)) struct node *make_node(struct node *next)
{
    struct node *node = neap_new(node);
    if (node != NULL)
        neap_give(&node->next, next);
    return node;
}

static __attribute__((noinline)) struct node *caller_of_maker(void)
{
    struct node *node = make_node(NULL);
    __asm__ volatile("" : : "r"(node) : "memory"); /* no tail call */
    return node;
}

static const struct neap_trace_stat *row_with(const struct neap_trace_stats *stats,
                                              const char *words)
{
    for (size_t i = 0; i < stats->count; i++)
        if (strstr(stats->rows[i].where, words) != NULL)
            return &stats->rows[i];
    return NULL;
}

static struct neap_trace_stats *statistics(const struct neap_snapshot *snapshot,
                                           enum neap_trace_group group)
{
    struct neap_trace_stats *stats = NULL;
    if (snapshot == NULL || neap_snapshot_statistics(snapshot, group, &stats) != NEAP_OK)
        bail("no statistics");
    return stats;
}

static void states(void)
{
    ok(!neap_trace_is_on(), "off at the start");
    ok(neap_trace_snapshot() == NULL, "no snapshot while off");
    is_int(neap_trace_start(0, 0), NEAP_EINVAL, "no frames: refused");
    is_int(neap_trace_start(65, 0), NEAP_EINVAL, "65 frames: refused");
    struct node *before = make_node(NULL);
    is_int(neap_trace_start(1, 0), NEAP_OK, "started");
    is_int(neap_trace_start(1, 0), NEAP_ESTATE, "not twice");
    ok(neap_trace_is_on(), "on");
    const char *file = NULL;
    unsigned line = 0;
    ok(!neap_trace_site_of(before, &file, &line), "an object from before has no site");
    struct node *node = make_node(NULL);
    ok(neap_trace_site_of(node, &file, &line), "an object has a site");
    ok(file != NULL && strstr(file, "test_trace.c") != NULL, "the file: %s", file);
    is_int(line, MAKER_LINE, "the line");
    struct neap_type *type = (struct neap_type *)(uintptr_t)neap_type_of(node);
    void *unnamed = neap_object_new(type, 0);
    ok(!neap_trace_site_of(unnamed, NULL, NULL), "an object made by the function has none");
    neap_trace_stop();
    ok(!neap_trace_site_of(node, &file, &line), "forgotten after the stop");
    is_int(neap_trace_start(1, 0), NEAP_OK, "started again");
    ok(!neap_trace_site_of(node, &file, &line), "an object of the tracing before has no site");
    neap_release(node);
    neap_release(before);
    neap_release(unnamed);
    size_t current = 1;
    neap_trace_memory(&current, NULL);
    is_int(current, 0, "its end is not counted either");
    neap_trace_stop();
}

/* Bytes alive that this file made; the runtime's own blocks stand under its own files. */
static size_t bytes_of_ours(void)
{
    struct neap_trace_filter ours = {.file = "*test_trace.c"};
    struct neap_snapshot *all = neap_trace_snapshot(), *filtered;
    if (all == NULL || (filtered = neap_snapshot_filter(all, &ours, 1)) == NULL)
        bail("no snapshot");
    struct neap_trace_stats *stats = statistics(filtered, NEAP_TRACE_BY_FILE);
    size_t bytes = stats->count > 0 ? stats->rows[0].bytes : 0;
    neap_trace_stats_free(stats);
    neap_snapshot_free(filtered);
    neap_snapshot_free(all);
    return bytes;
}

static void sums(void)
{
    size_t current, peak;
    is_int(neap_trace_start(1, 0), NEAP_OK, "sums: started");
    struct node *head = NULL;
    for (int i = 0; i < 1000; i++)
        head = make_node(head);
    size_t each = neap_size_of(head);
    neap_trace_memory(&current, &peak);
    is_int(current, 1000 * each, "1000 nodes are alive");
    is_int(peak, 1000 * each, "as many at most");
    for (int i = 0; i < 400; i++) {
        struct node *next = neap_take(&head->next);
        neap_release(head);
        head = next;
    }
    neap_trace_memory(&current, &peak);
    is_int(current, 600 * each, "600 after 400 releases");
    is_int(peak, 1000 * each, "the peak stays");
    neap_trace_reset_peak();
    neap_trace_memory(&current, &peak);
    is_int(peak, 600 * each, "until it is reset");

    struct neap_snapshot *old = neap_trace_snapshot();
    struct leaf *leaf = neap_new(leaf), *many = neap_new_array(leaf, 100);
    void *raw = neap_alloc(1000), *small = neap_calloc(3, 20);
    struct neap_snapshot *new = neap_trace_snapshot();
    struct neap_trace_stats *stats = statistics(new, NEAP_TRACE_BY_LINE);
    char where[100];
    snprintf(where, sizeof where, "test_trace.c:%d (make_node)", MAKER_LINE);
    const struct neap_trace_stat *row = row_with(stats, where);
    ok(row != NULL && row->objects == 600 && row->made_objects == 1000 &&
           row->bytes == 600 * each && row->made_bytes == 1000 * each && row == stats->rows,
       "by line: the maker's line is first, with what is alive and what was made");
    neap_trace_stats_free(stats);
    stats = statistics(new, NEAP_TRACE_BY_TYPE);
    row = row_with(stats, "leaf");
    ok(row != NULL && row->objects == 2 && row->bytes == neap_size_of(leaf) + neap_size_of(many),
       "by type: a leaf and an array of leaves");
    row = row_with(stats, "untyped");
    ok(row != NULL && row->objects == 2 &&
           row->bytes == neap_usable_size(raw) + neap_usable_size(small),
       "by type: untyped blocks, large and small");
    neap_trace_stats_free(stats);
    stats = statistics(new, NEAP_TRACE_BY_FILE);
    ok(stats->count == 1 && stats->rows[0].objects == 604, "by file: all in this one");
    neap_trace_stats_free(stats);
    if (neap_snapshot_compare(new, old, NEAP_TRACE_BY_TYPE, &stats) != NEAP_OK)
        bail("compare");
    row = row_with(stats, "node");
    ok(row != NULL && row->bytes_more == 0, "compared: no more nodes");
    ok(stats->rows[0].bytes_more > 0 && strcmp(stats->rows[0].where, "leaf") == 0,
       "compared: the largest change is first");
    neap_trace_stats_free(stats);
    struct neap_trace_filter only = {.type = "l*f"}, not = {.exclude = true, .line = MAKER_LINE};
    struct neap_snapshot *leaves = neap_snapshot_filter(new, &only, 1);
    struct neap_snapshot *others = neap_snapshot_filter(new, &not, 1);
    stats = statistics(leaves, NEAP_TRACE_BY_TYPE);
    ok(stats->count == 1 && strcmp(stats->rows[0].where, "leaf") == 0, "a filter by type");
    neap_trace_stats_free(stats);
    stats = statistics(others, NEAP_TRACE_BY_TYPE);
    ok(stats->count == 2 && row_with(stats, "node") == NULL, "a filter that leaves out a line");
    neap_trace_stats_free(stats);
    neap_snapshot_free(leaves);
    neap_snapshot_free(others);
    neap_snapshot_free(old);
    neap_snapshot_free(new);

    raw = neap_realloc(raw, 100000);
    raw = neap_realloc(raw, 200000);
    is_int(bytes_of_ours(),
           600 * each + neap_size_of(leaf) + neap_size_of(many) + neap_usable_size(raw) +
               neap_usable_size(small),
           "a block of another size is counted once");
    neap_free(raw);
    neap_free(small);
    neap_release(many);
    neap_release(leaf);
    neap_release(head);
    is_int(bytes_of_ours(), 0, "nothing is left");
    neap_trace_stop();
}

/* A thread's own collection of its young cycles tells the tracer of every object it frees. */
static void cycles(void)
{
    struct neap_gc_stats before, after;
    (void)neap_gc_get_stats(0, &before);
    is_int(neap_trace_start(1, 0), NEAP_OK, "cycles: started");
    for (int i = 0; i < 5000; i++) {
        struct node *node = make_node(NULL);
        neap_set(&node->next, node);
        neap_release(node);
    }
    (void)neap_gc_get_stats(0, &after);
    ok(after.confined_collected > before.confined_collected, "collected by the thread alone");
    while (neap_collect(2) > 0)
        ;
    is_int(bytes_of_ours(), 0, "and told: none is alive");
    neap_trace_stop();
}

static void tracebacks(void)
{
    is_int(neap_trace_start(8, 0), NEAP_OK, "tracebacks: started with 8 frames");
    struct node *node = caller_of_maker();
    struct neap_snapshot *snapshot = neap_trace_snapshot();
    struct neap_trace_stats *stats = statistics(snapshot, NEAP_TRACE_BY_TRACEBACK);
    const struct neap_trace_stat *row = row_with(stats, "(make_node)\ncaller_of_maker+");
    ok(row != NULL, "the maker, then its caller: %s", stats->rows[0].where);
    ok(row != NULL && strstr(row->where, "\nmain+") != NULL, "up to main");
    neap_trace_stats_free(stats);
    neap_snapshot_free(snapshot);
    neap_release(node);
    neap_trace_stop();
}

/* 9 standard deviations: 8192 samples are expected. */
static void samples(void)
{
    enum { NODES = 1 << 20 };
    is_int(neap_trace_start(1, 2048), NEAP_OK, "samples: one per 2 KiB");
    struct node *head = NULL;
    for (int i = 0; i < NODES; i++)
        head = make_node(head);
    size_t current;
    neap_trace_memory(&current, NULL);
    double truth = (double)NODES * (double)neap_size_of(head);
    ok((double)current > 0.9 * truth && (double)current < 1.1 * truth,
       "%zu bytes estimated, %.0f are", current, truth);
    struct neap_snapshot *snapshot = neap_trace_snapshot();
    struct neap_trace_stats *stats = statistics(snapshot, NEAP_TRACE_BY_TYPE);
    const struct neap_trace_stat *row = row_with(stats, "node");
    ok(row != NULL && row->objects > NODES * 9ull / 10 && row->objects < NODES * 11ull / 10,
       "objects are estimated too");
    neap_trace_stats_free(stats);
    neap_snapshot_free(snapshot);
    while (head != NULL) {
        struct node *next = neap_take(&head->next);
        neap_release(head);
        head = next;
    }
    is_int(bytes_of_ours(), 0, "what was sampled is seen to go");
    neap_trace_stop();
}

enum { THREADS = 4, BLOCKS = 20000 };
static void *crossing[THREADS][BLOCKS];

static void make_blocks(void *arg, unsigned index)
{
    (void)arg;
    for (int i = 0; i < BLOCKS; i++)
        crossing[index][i] = i % 2 ? (void *)make_node(NULL) : neap_alloc(16 + (size_t)i % 600);
}

static void drop_blocks(void *arg, unsigned index)
{
    (void)arg;
    void **blocks = crossing[(index + 1) % THREADS];
    for (int i = 0; i < BLOCKS; i++)
        if (i % 2)
            neap_release(blocks[i]);
        else
            neap_free(blocks[i]);
}

static void *unattached(void *arg)
{
    void **blocks = arg;
    for (int i = 0; i < 100; i++)
        blocks[i] = neap_alloc(64);
    return NULL;
}

static void threads(void)
{
    is_int(neap_trace_start(1, 0), NEAP_OK, "threads: started");
    harness_run(THREADS, make_blocks, NULL);
    ok(bytes_of_ours() > (size_t)THREADS * BLOCKS * 100, "all threads' blocks");
    harness_run(THREADS, drop_blocks, NULL);
    is_int(bytes_of_ours(), 0, "freed by other threads than made them");
    pthread_t thread;
    void *blocks[100];
    if (pthread_create(&thread, NULL, unattached, blocks) != 0 ||
        neap_thread_join(thread, NULL) != NEAP_OK)
        bail("thread");
    is_int(bytes_of_ours(), 100 * neap_usable_size(blocks[0]), "an unattached thread's blocks");
    for (int i = 0; i < 100; i++)
        neap_free(blocks[i]);
    is_int(bytes_of_ours(), 0, "and their end");
    neap_trace_stop();
}

static bool stop;

static void churn(void *arg, unsigned index)
{
    (void)arg;
    if (index == 0) {
        for (int i = 0; i < 60; i++) {
            int status = neap_trace_start(i % 3 == 2 ? 4 : 1, i % 2 ? 4096 : 0);
            struct neap_snapshot *snapshot = neap_trace_snapshot();
            if (status != NEAP_OK || snapshot == NULL)
                fail("started and stopped, %d", status);
            neap_snapshot_free(snapshot);
            neap_trace_reset_peak();
            neap_trace_stop();
        }
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED); /* relaxed: a flag */
        return;
    }
    struct node *head = NULL;
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        head = make_node(head);
        neap_free(neap_alloc(i % 700));
        if (i % 64 == 0) {
            neap_release(head);
            head = NULL;
            neap_safepoint(); /* what is freed and made again reaches no stop point by itself */
        }
    }
    neap_release(head);
}

static void in_a_child(void)
{
    is_int(neap_trace_start(1, 0), NEAP_OK, "fork: started");
    struct node *node = make_node(NULL);
    pid_t child = fork();
    if (child == 0) {
        size_t before, after;
        neap_trace_memory(&before, NULL);
        struct node *another = make_node(NULL);
        neap_trace_memory(&after, NULL);
        bool good = before == neap_size_of(node) && after == 2 * before;
        neap_release(another);
        neap_trace_stop();
        _exit(good && neap_trace_start(1, 0) == NEAP_OK ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    is_int(status, 0, "the child traces on, and may stop and start");
    neap_release(node);
    neap_trace_stop();
}

/* Before anything was traced: nothing is reserved yet. */
static void out_of_memory(void)
{
#ifdef SANITIZED
    skip(1, "a sanitizer needs address space itself");
#else
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {4096, 4096};
        setrlimit(RLIMIT_AS, &none);
        int status = neap_trace_start(1, 0);
        struct node *node = make_node(NULL);
        neap_release(node);
        _exit(status == NEAP_ENOMEM && !neap_trace_is_on() ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    is_int(status, 0, "without address space it does not start, and says so");
#endif
}

int main(void)
{
    plan_lazy();
    /* the helper's own blocks would come and go between two figures */
    const char *given = getenv("NEAP_OPTIONS");
    char options[1000];
    snprintf(options, sizeof options, "%s%shelper=0", given != NULL ? given : "",
             given != NULL ? "," : "");
    setenv("NEAP_OPTIONS", options, 1);
    harness_begin();
    out_of_memory();
    states();
    sums();
    cycles();
    tracebacks();
    samples();
    threads();
    harness_run(4, churn, NULL);
    pass("started and stopped 60 times beside running threads");
    in_a_child();
    return harness_end();
}
