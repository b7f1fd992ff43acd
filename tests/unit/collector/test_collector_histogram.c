/* SPDX-License-Identifier: MIT
 *
 * Quantiles of the stop-time histogram are within 13 % of the exact ones. */
#include <stdlib.h>
#include <string.h>

#include "collector/histogram.h"
#include "tests/harness.h"

enum { COUNT = 20000 };

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void one_value(uint64_t value)
{
    struct np_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    np_histogram_add(&histogram, value);
    uint64_t got = np_histogram_quantile(&histogram, 500);
    uint64_t apart = got > value ? got - value : value - got;
    ok(apart <= value / 8, "a single value of %llu reads %llu", (unsigned long long)value,
       (unsigned long long)got);
    ok(histogram.max == value && histogram.sum == value && histogram.count == 1,
       "and exactly in max and sum");
}

int main(void)
{
    plan_lazy();
    static struct np_histogram histogram;
    is_int(np_histogram_quantile(&histogram, 500), 0, "an empty histogram reads 0");
    one_value(0);
    one_value(1);
    one_value(7);
    one_value(1000);
    one_value(123456789);
    one_value(UINT64_MAX / 3);
    one_value(UINT64_MAX);
    static uint64_t values[COUNT];
    uint64_t random = 42;
    for (int i = 0; i < COUNT; i++) {
        values[i] = harness_random(&random) >> (20 + harness_random(&random) % 40);
        np_histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], by_value);
    for (unsigned mille = 10; mille <= 1000; mille += 90) {
        uint64_t exact = values[(COUNT * (uint64_t)mille + 999) / 1000 - 1];
        uint64_t got = np_histogram_quantile(&histogram, mille);
        uint64_t apart = got > exact ? got - exact : exact - got;
        ok(apart * 100 <= exact * 13, "quantile %u: %llu for %llu", mille, (unsigned long long)got,
           (unsigned long long)exact);
    }
    return done();
}
