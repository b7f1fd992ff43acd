/* SPDX-License-Identifier: MIT
 *
 * The rows of the slots benchmark, written once and compiled per peer. The including file defines,
 * before the include:
 *
 *     PEER_NAME, PEER_ADD       as in counting_rows.h
 *     PEER_ATTACHED             reader and writer are attached to neap
 *     PEER_WRITES               the slot may be replaced beside a reader
 *     slot_init(), slot_fini()  by the reader's thread: a first value, and the last one gone
 *     slot_read()               finds the value, reads its first word, lets it go; returns the word
 *     slot_replace(value)       by the writer: a new value in place of the old, which is freed when
 *                               nobody reads it
 *     thread_enter(), thread_leave(), thread_poll()   of reader and writer */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <neap/thread.h>

#include "bench/measure.h"
#include "bench/shim.h"

enum { BATCH = 1024 };

/* How often the writer replaces the value. */
enum pace { PACE_NEVER, PACE_10_US, PACE_FLAT_OUT };

static struct {
    bool stop;       /* (x) set by the reader: relaxed, nothing hangs on its order */
    bool writes_now; /* (x) set by the writer after its first write: relaxed, as above */
    enum pace pace;  /* (c) while the writer runs */
    uint64_t writes; /* the writer's; read after it has been joined */
} writer;

static void *run_writer(void *unused)
{
    (void)unused;
    thread_enter();
    uint64_t next = bench_now_ns(), writes = 0;
    while (!__atomic_load_n(&writer.stop, __ATOMIC_RELAXED)) {
        if (writer.pace == PACE_10_US) {
            next += 10000;
            while (bench_now_ns() < next)
                thread_poll();
        }
        slot_replace((int64_t)++writes);
        __atomic_store_n(&writer.writes_now, true, __ATOMIC_RELAXED);
        thread_poll();
    }
    thread_leave();
    writer.writes = writes;
    return NULL;
}

static pthread_t start_writer(enum pace pace)
{
    pthread_t thread;
    writer.stop = writer.writes_now = false;
    writer.pace = pace;
    int failed = PEER_ATTACHED ? neap_thread_create(&thread, "writer", run_writer, NULL)
                               : pthread_create(&thread, NULL, run_writer, NULL);
    if (failed != 0)
        abort();
    while (!__atomic_load_n(&writer.writes_now, __ATOMIC_RELAXED)) {
        thread_poll();
        sched_yield();
    }
    return thread;
}

static void join_writer(pthread_t thread)
{
    __atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
    if (PEER_ATTACHED)
        neap_thread_join(thread, NULL);
    else
        pthread_join(thread, NULL);
}

static void run(struct bench_state *state, const void *arg)
{
    enum pace pace = *(const enum pace *)arg;
    pthread_t thread = pthread_self();
    int64_t sum = 0;
    thread_enter();
    slot_init();
    if (pace != PACE_NEVER)
        thread = start_writer(pace);
    uint64_t began = bench_now_ns();
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            int64_t value = slot_read();
            bench_use(value);
            sum += value;
        }
        thread_poll();
    }
    double seconds = (double)(bench_now_ns() - began) * 1e-9;
    thread_leave(); /* a reader that waits for the writer must not delay the writer's grace periods
                     */
    if (pace != PACE_NEVER) {
        join_writer(thread);
        bench_counter(state, "writes_per_ms", (double)writer.writes / seconds * 1e-3, BENCH_SUM);
    }
    slot_fini();
    bench_use(sum);
}

static void run_store(struct bench_state *state, const void *unused)
{
    int64_t writes = 0;
    (void)unused;
    thread_enter();
    slot_init();
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++)
            slot_replace(++writes);
        thread_poll();
    }
    slot_fini();
    thread_leave();
}

void PEER_ADD(void)
{
    static const struct {
        const char *name;
        enum pace pace;
    } rows[] = {{"slots/alone/" PEER_NAME, PACE_NEVER},
                {"slots/writer_10us/" PEER_NAME, PACE_10_US},
                {"slots/writer_flat_out/" PEER_NAME, PACE_FLAT_OUT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].pace != PACE_NEVER && !PEER_WRITES)
            continue;
        struct bench_case one = {rows[i].name, run, &rows[i].pace, NULL, 1, PEER_ATTACHED,
                                 false,        0};
        bench_add(&one);
    }
    if (PEER_WRITES) {
        struct bench_case store = {
            "slots/store/" PEER_NAME, run_store, NULL, NULL, 1, PEER_ATTACHED, false, 0};
        bench_add(&store);
    }
}
