/* SPDX-License-Identifier: MIT
 *
 * Google Benchmark for C: cases are declared as structs, the state is opaque.
 *
 *     static void run(struct bench_state *state, const void *arg)
 *     {
 *         while (bench_keep_running(state, 256))
 *             for (int i = 0; i < 256; i++)
 *                 work(arg);
 *     }
 *     bench_add(&(struct bench_case){.name = "question/row/peer", .run = run});
 *     return bench_main(argc, argv);
 *
 * The batch is there because a call per iteration costs as much as a retain. Every process that
 * measures has a second, sleeping thread: what libraries save in single-threaded processes
 * (libstdc++, glibc) is not what a multithreaded program sees.
 *
 * A case with `attached` runs on threads attached to neap. Google Benchmark's start and end
 * barriers wait for the other threads, so the shim puts an attached thread into a blocking region
 * there: else a thread that has started and wants to stop the world would wait for one that waits
 * at the barrier.
 *
 * Not for timing single operations: bench/measure.h has a clock and a histogram.
 */
#ifndef BENCH_SHIM_H
#define BENCH_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_state;

struct bench_case {
    const char *name; /* question/row/peer; copied */
    void (*run)(struct bench_state *state, const void *arg);
    const void *arg; /* handed to run and prepare */
    /* Makes the case possible, on each thread in turn before run: a sentence says why it is not,
     * NULL: it is. */
    const char *(*prepare)(const void *arg);
    int threads;       /* 0 and 1: one */
    bool attached;     /* its threads are attached to neap */
    bool process_time; /* its work is done by threads of its own: processor time is the process's */
    int64_t iterations; /* 0: as many as the minimum time takes */
};

/* How counters of several threads become one. */
enum bench_counter_kind { BENCH_SUM, BENCH_MEAN };

void bench_add(const struct bench_case *wanted);

/* Called after the last case, by the main thread, attached. */
void bench_at_end(void (*end)(void));

/* True while operations are to be done, `batch` of them each time. The first call waits until all
 * threads of the case are there, the last one until all are done. */
bool bench_keep_running(struct bench_state *state, int64_t batch);
int64_t bench_iterations(const struct bench_state *state); /* done; after the loop */

int bench_thread(const struct bench_state *state); /* 0 ... */
int bench_threads(const struct bench_state *state);

void bench_pause(struct bench_state *state);
void bench_resume(struct bench_state *state);
void bench_counter(struct bench_state *state, const char *name, double value,
                   enum bench_counter_kind kind);
/* Ends the case: it is reported as skipped with this sentence. Leave the loop afterwards. */
void bench_skip(struct bench_state *state, const char *why);

/* Starts neap, runs the cases that the command line selects (Google Benchmark's options), shuts
 * neap down. Returns main's status: 1 for an unknown option or a leak. */
int bench_main(int argc, char **argv);

/* The compiler must assume that the value is used, and that memory was read and written. */
#define bench_use(value) __asm__ volatile("" : : "r"(value) : "memory")

#ifdef __cplusplus
}
#endif

#endif
