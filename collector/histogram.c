/* SPDX-License-Identifier: MIT
 *
 * Values below 4 have a bucket each; from there on a bucket is the leading bit and the two bits
 * after it. */
#include "collector/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < 4)
        return (unsigned)value;
    unsigned log2 = 63 - (unsigned)__builtin_clzll(value);
    return (log2 - 1) * 4 + (unsigned)(value >> (log2 - 2) & 3);
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < 4)
        return bucket;
    unsigned log2 = bucket / 4 + 1;
    uint64_t step = (uint64_t)1 << (log2 - 2);
    return (4 + bucket % 4) * step + step / 2;
}

void np_histogram_add(struct np_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->buckets[bucket_of(value)]++;
}

uint64_t np_histogram_quantile(const struct np_histogram *histogram, unsigned per_mille)
{
    uint64_t wanted = (histogram->count * per_mille + 999) / 1000, seen = 0;
    for (unsigned bucket = 0; bucket < NP_HISTOGRAM_BUCKETS && wanted > 0; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= wanted) {
            uint64_t middle = middle_of(bucket);
            return middle < histogram->max ? middle : histogram->max;
        }
    }
    return 0;
}
