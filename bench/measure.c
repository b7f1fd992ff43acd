/* SPDX-License-Identifier: MIT
 *
 * Clock, memory and histogram of the benchmarks (measure.h). No state; any thread. */
#include "bench/measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* Without stdio: a call must not allocate from the allocator that is being measured. */
static uint64_t read_status_kib(const char *field)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *found = strstr(text, field);
    return found == NULL ? 0 : strtoull(found + strlen(field), NULL, 10);
}

uint64_t bench_resident_kib(void)
{
    return read_status_kib("VmRSS:");
}

uint64_t bench_peak_kib(void)
{
    return read_status_kib("VmHWM:");
}

void bench_peak_reset(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "5", 1) != 1)
        perror("/proc/self/clear_refs");
    close(fd);
}

void bench_shuffle(uint32_t *order, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t j = bench_random_below(&seed, (uint32_t)i + 1);
        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
}

/* Below 16 a bucket per value; above, the top bit and the four bits below it. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 16)
        return (unsigned)value;
    unsigned top = 63 - (unsigned)__builtin_clzll(value);
    return (top - 3) * 16 + (unsigned)(value >> (top - 4) & 15);
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    unsigned shift = bucket / 16 - 1;
    return ((uint64_t)(16 + bucket % 16 + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->total += value;
    if (value > histogram->maximum)
        histogram->maximum = value;
    histogram->buckets[bucket_of(value)]++;
}

void bench_histogram_join(struct bench_histogram *into, const struct bench_histogram *from)
{
    into->count += from->count;
    into->total += from->total;
    if (from->maximum > into->maximum)
        into->maximum = from->maximum;
    for (unsigned i = 0; i < BENCH_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;
    if (histogram->count == 0)
        return 0;
    for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted || seen == histogram->count)
            return bucket_end(i) < histogram->maximum ? bucket_end(i) : histogram->maximum;
    }
    return histogram->maximum;
}
