/* SPDX-License-Identifier: MIT
 *
 * A histogram of durations with four buckets per power of two: any quantile within 13 %, 256
 * counters, no allocation. Not synchronised; the structure that holds it says which lock guards it.
 *
 * Implemented by histogram.c. */
#ifndef NP_COLLECTOR_HISTOGRAM_H
#define NP_COLLECTOR_HISTOGRAM_H

#include <stdint.h>

enum { NP_HISTOGRAM_BUCKETS = 256 };

struct np_histogram {
    uint64_t count, sum, max;
    uint64_t buckets[NP_HISTOGRAM_BUCKETS];
};

void np_histogram_add(struct np_histogram *histogram, uint64_t value);

/* The value below which `per_mille` thousandths of the values lie, the middle of its bucket; 0 when
 * empty. */
uint64_t np_histogram_quantile(const struct np_histogram *histogram, unsigned per_mille);

#endif
