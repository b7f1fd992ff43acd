/* SPDX-License-Identifier: MIT
 *
 * The seed is chosen once per process. */
#include "tests/random.h"

#include <stdlib.h>
#include <time.h>

#include "tests/tap.h"

uint64_t harness_seed(void)
{
    static uint64_t seed; /* (c) after the first call */
    if (seed == 0) {
        const char *given = getenv("NEAP_TEST_SEED");
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed =
            given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15u;
        seed |= seed == 0;
        diag("NEAP_TEST_SEED=%llu repeats this run", (unsigned long long)seed);
    }
    return seed;
}
