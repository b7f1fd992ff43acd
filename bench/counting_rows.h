/* SPDX-License-Identifier: MIT
 *
 * The rows of the counting benchmark, written once and compiled per peer: the including file says
 * how its peer counts. It defines, before the include:
 *
 *     PEER_NAME                     the last part of the cases' names
 *     PEER_ADD                      the function that registers the rows
 *     PEER_ATTACHED                 the cases' threads are attached to neap
 *     PEER_THREADS                  the peer's counts may be changed by several threads
 *     PEER_MANY                     a million such objects make sense
 *     peer_ref                      a counted reference
 *     peer_new(peer_ref *to)        a new object with 24 bytes of payload and one reference
 *     peer_retain(to, from)         *to becomes one more reference to *from's object
 *     peer_release(peer_ref *)      gives it back; the last one frees
 *     peer_use(peer_ref *)          the compiler must assume that the reference is used
 *     peer_poll()                   once per batch
 */
#include <stdlib.h>

#include "bench/measure.h"
#include "bench/shim.h"

enum { BATCH = 1024, ROTATION = 64, MANY_LOG2 = 20, MANY = 1 << MANY_LOG2 };

/* One object, again and again: the latency of count up, count down. */
static void run_one(struct bench_state *state, const void *unused)
{
    (void)unused;
    peer_ref object;
    peer_new(&object);
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            peer_ref copy;
            peer_retain(&copy, &object);
            peer_use(&copy);
            peer_release(&copy);
        }
        peer_poll();
    }
    peer_release(&object);
}

/* 64 objects in turn: the throughput. */
static void run_rotation(struct bench_state *state, const void *unused)
{
    (void)unused;
    peer_ref objects[ROTATION];
    for (int i = 0; i < ROTATION; i++)
        peer_new(&objects[i]);
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            peer_ref copy;
            peer_retain(&copy, &objects[i % ROTATION]);
            peer_use(&copy);
            peer_release(&copy);
        }
        peer_poll();
    }
    for (int i = 0; i < ROTATION; i++)
        peer_release(&objects[i]);
}

/* 64 references taken, then 64 given back: counts rest in between, references are stored. */
static void run_batch(struct bench_state *state, const void *unused)
{
    (void)unused;
    peer_ref objects[ROTATION], copies[ROTATION];
    for (int i = 0; i < ROTATION; i++)
        peer_new(&objects[i]);
    while (bench_keep_running(state, BATCH)) {
        for (int round = 0; round < BATCH / ROTATION; round++) {
            for (int i = 0; i < ROTATION; i++)
                peer_retain(&copies[i], &objects[i]);
            bench_use(copies);
            for (int i = 0; i < ROTATION; i++)
                peer_release(&copies[i]);
        }
        peer_poll();
    }
    for (int i = 0; i < ROTATION; i++)
        peer_release(&objects[i]);
}

/* A million objects in random order: the cache misses, and what a bigger object costs there. */
static void run_random(struct bench_state *state, const void *unused)
{
    (void)unused;
    peer_ref *objects = (peer_ref *)malloc(MANY * sizeof *objects);
    uint32_t *order = (uint32_t *)malloc(MANY * sizeof *order);
    if (objects == NULL || order == NULL) {
        free(objects);
        free(order);
        bench_skip(state, "out of memory");
        (void)bench_keep_running(state, BATCH);
        return;
    }
    bench_shuffle(order, MANY, 1);
    for (uint32_t i = 0; i < MANY; i++)
        peer_new(&objects[order[i]]);
    free(order);
    uint64_t seed = 2;
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            peer_ref copy;
            peer_retain(&copy, &objects[bench_random_below(&seed, MANY)]);
            peer_use(&copy);
            peer_release(&copy);
        }
        peer_poll();
    }
    for (uint32_t i = 0; i < MANY; i++)
        peer_release(&objects[i]);
    free(objects);
}

static peer_ref
    shared_object; /* made by thread 0 before the start barrier, released after the end barrier */

/* All threads count on one object, made by thread 0. */
static void run_shared(struct bench_state *state, const void *unused)
{
    (void)unused;
    if (bench_thread(state) == 0)
        peer_new(&shared_object);
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            peer_ref copy;
            peer_retain(&copy, &shared_object);
            peer_use(&copy);
            peer_release(&copy);
        }
        peer_poll();
    }
    if (bench_thread(state) == 0)
        peer_release(&shared_object);
}

void PEER_ADD(void)
{
    static const struct {
        const char *name;
        void (*run)(struct bench_state *state, const void *unused);
        int threads;
        bool shares;
    } rows[] = {{"counting/one/" PEER_NAME, run_one, 1, false},
                {"counting/rotation_64/" PEER_NAME, run_rotation, 1, false},
                {"counting/batch_64/" PEER_NAME, run_batch, 1, false},
                {"counting/random_1m/" PEER_NAME, run_random, 1, false},
                {"counting/own_objects/" PEER_NAME, run_one, 2, false},
                {"counting/one_object/" PEER_NAME, run_shared, 2, true},
                {"counting/one_object_4/" PEER_NAME, run_shared, 4, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((rows[i].shares && !PEER_THREADS) || (rows[i].run == run_random && !PEER_MANY))
            continue;
        struct bench_case one = {rows[i].name,    rows[i].run,   NULL,  NULL,
                                 rows[i].threads, PEER_ATTACHED, false, 0};
        bench_add(&one);
    }
}
