/* SPDX-License-Identifier: MIT
 *
 * What the benchmarks share besides the loop: a clock, resident memory, a histogram of latencies,
 * and a random sequence that is the same in every run. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint64_t bench_now_ns(void); /* CLOCK_MONOTONIC */
uint64_t
bench_thread_ns(void); /* processor time of the calling thread: what preemption leaves out */

/* KiB of this process, from /proc/self/status; 0 where it cannot be read. */
uint64_t bench_resident_kib(void);
uint64_t bench_peak_kib(void);
/* The peak starts again from what is resident now (Linux: /proc/self/clear_refs). */
void bench_peak_reset(void);

/* A multiplicative generator; the high bits are good. Costs a multiply and an add. */
static inline uint64_t bench_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* 0 ... limit - 1, limit below 2^31. */
static inline uint32_t bench_random_below(uint64_t *seed, uint32_t limit)
{
    return (uint32_t)(bench_random(seed) * limit >> 31);
}

/* order[0 ... count - 1] becomes a random permutation of 0 ... count - 1. */
void bench_shuffle(uint32_t *order, size_t count, uint64_t seed);

/* Durations in buckets of 1/16 of a power of two: a percentile is right within 6.25 %, the maximum
 * is exact. */
enum { BENCH_BUCKETS = 64 * 16 };
struct bench_histogram {
    uint64_t count, total, maximum;
    uint64_t buckets[BENCH_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value);
void bench_histogram_join(struct bench_histogram *into, const struct bench_histogram *from);
/* The value that `share` (0 ... 1) of the entries do not exceed; 0 when there are none. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share);

#ifdef __cplusplus
}
#endif

#endif
