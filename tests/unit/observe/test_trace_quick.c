/* SPDX-License-Identifier: MIT
 *
 * The quick way of full tracing (alloc/trace.h): figures are exact on it and beside it, a thread's
 * blocks carry its name whoever had the slot before, a thread that stays on it does not keep others
 * from stopping it, and marked functions are off it. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include <neap/neap.h>

#include "alloc/guard.h"
#include "alloc/heap.h"
#include "alloc/trace.h"
#include "base/tls.h"
#include "observe/tracer.h"
#include "runtime/header.h"
#include "tests/tap.h"
#include "threads/thread.h"

struct leaf {
    long value;
};
NEAP_DEFINE_TYPE(leaf, ());

struct node {
    struct node *next, *other;
};
NEAP_DEFINE_TYPE(node, (next, other));

enum { MANY = 10000, BYTES = 48 };
static struct leaf *leaves[MANY];
static void *blocks[MANY];

/* Guards and injected faults look at every block. */
static bool has_quick_way(void)
{
    return np_tls.heap->trace_quick != NULL;
}

static void make_leaves(int from, int to)
{
    for (int i = from; i < to; i++)
        leaves[i] = neap_new(leaf);
}

static void make_blocks(int from, int to)
{
    for (int i = from; i < to; i++)
        blocks[i] = neap_alloc(BYTES);
}

static void drop_leaves(int from, int to)
{
    for (int i = from; i < to; i++)
        neap_release(leaves[i]);
}

static void drop_blocks(int from, int to)
{
    for (int i = from; i < to; i++)
        neap_free(blocks[i]);
}

static struct np_trace_counts counts_of(const void *block)
{
    struct np_trace_counts counts;
    uint32_t index = np_tracer_trace_of(block);
    if (index == 0)
        bail("a block that is not traced");
    np_tracer_counts(index, &counts);
    return counts;
}

static void has_counts(const void *block, uint64_t made, uint64_t freed, uint64_t bytes,
                       const char *what)
{
    struct np_trace_counts counts = counts_of(block);
    ok(counts.made_objects == made && counts.freed_objects == freed &&
           counts.made_bytes == made * bytes && counts.freed_bytes == freed * bytes,
       "%s (%llu made, %llu freed)", what, (unsigned long long)counts.made_objects,
       (unsigned long long)counts.freed_objects);
}

static void exact(void)
{
    size_t before, current, peak, leaf_bytes;
    neap_trace_memory(&before, NULL);
    make_leaves(0, MANY);
    make_blocks(0, MANY);
    ok(has_quick_way(), "a place that was met goes the quick way");
    leaf_bytes = neap_size_of(leaves[0]);
    has_counts(neap_header_of(leaves[MANY - 1]), MANY, 0, leaf_bytes, "every object is counted");
    size_t block_bytes = np_pool_of(blocks[MANY - 1])->block_bytes - NP_GUARD_TAIL;
    has_counts(blocks[MANY - 1], MANY, 0, block_bytes, "and every block");
    drop_leaves(0, MANY / 2);
    drop_blocks(0, MANY / 2);
    has_counts(neap_header_of(leaves[MANY - 1]), MANY, MANY / 2, leaf_bytes, "and each one's end");
    has_counts(blocks[MANY - 1], MANY, MANY / 2, block_bytes, "also a block's");
    neap_trace_memory(&current, &peak);
    is_int(current - before, MANY / 2 * (leaf_bytes + block_bytes), "what is alive");
    is_int(peak - before, MANY * (leaf_bytes + block_bytes), "what was alive at most");
}

/* Frees what another thread made, and makes something under its own name. */
static void *help(void *name)
{
    struct leaf *first = neap_new(leaf), *second = NULL;
    char label[NP_LABEL_BYTES];
    drop_leaves(MANY / 2, MANY - 1);
    drop_blocks(MANY / 2, MANY - 1);
    for (int i = 0; i < 100; i++) {
        neap_release(second);
        second = neap_new(leaf);
    }
    uint32_t index = np_tracer_trace_of(neap_header_of(second));
    np_label_copy(np_trace_at(index)->label, label);
    is_str(label, name, "a thread's blocks have its name");
    struct np_trace_counts counts = counts_of(neap_header_of(second));
    is_int(counts.made_objects, 100, "and its own count");
    neap_release(first);
    neap_release(second);
    return NULL;
}

static void *pass_by(void *name)
{
    for (int i = 0; i < 10; i++)
        neap_release(neap_new(leaf));
    return name;
}

static void run(void *(*function)(void *), const char *name)
{
    pthread_t thread;
    if (neap_thread_create(&thread, name, function, (void *)(uintptr_t)name) != 0)
        bail("a thread");
    neap_thread_join(thread, NULL);
}

static void others(void)
{
    run(pass_by, "first"); /* whose slot the next one gets */
    run(help, "second");
    neap_collect(0); /* takes in what others have given back */
    has_counts(neap_header_of(leaves[MANY - 1]), MANY, MANY - 1, neap_size_of(leaves[MANY - 1]),
               "what another thread released is counted");
    has_counts(blocks[MANY - 1], MANY, MANY - 1,
               np_pool_of(blocks[MANY - 1])->block_bytes - NP_GUARD_TAIL, "and what it freed");
    drop_leaves(MANY - 1, MANY);
    drop_blocks(MANY - 1, MANY);
}

static atomic_bool started, end;

/* The same object again and again: no magazine runs empty. */
static void *make_and_drop(void *with_block)
{
    while (!atomic_load(&end)) {
        neap_release(neap_new(node));
        if (with_block != NULL)
            neap_free(neap_alloc(BYTES));
        atomic_store(&started, true);
    }
    return NULL;
}

static void stops(bool with_block)
{
    pthread_t thread;
    atomic_store(&started, false);
    atomic_store(&end, false);
    if (neap_thread_create(&thread, "busy", make_and_drop, with_block ? &end : NULL) != 0)
        bail("a thread");
    while (!atomic_load(&started))
        NEAP_BLOCKED(sched_yield());
    for (int i = 0; i < 3; i++)
        (void)neap_collect(2);
    pass("a thread that makes and drops the same%s is stopped", with_block ? " two" : "");
    atomic_store(&end, true);
    neap_thread_join(thread, NULL);
}

static void marked(void)
{
    NEAP_PROFILE;
    neap_free(neap_alloc(BYTES));
    ok(!has_quick_way(), "in a marked function every block is looked at");
    neap_free(neap_alloc(BYTES));
    ok(!has_quick_way(), "and goes on to be");
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    options.guard_sample = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    for (int round = 0; round < 2; round++) {
        is_int(neap_trace_start(1, 0), NEAP_OK, "everything is traced");
        exact();
        others();
        stops(false);
        stops(true);
        marked();
        neap_free(neap_alloc(BYTES));
        ok(has_quick_way(), "behind it the quick way is open again");
        neap_trace_stop();
        ok(!has_quick_way(), "and closed when tracing ends");
    }
    is_int(neap_trace_start(1, 1 << 20), NEAP_OK, "a sample is traced");
    make_blocks(0, 100);
    ok(!has_quick_way(), "not the quick way");
    drop_blocks(0, 100);
    neap_trace_stop();
    is_int(neap_shutdown(NULL), 0, "nothing is alive");
    return done();
}
