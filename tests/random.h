/* SPDX-License-Identifier: MIT
 *
 * Random numbers that can be repeated: a test starts from harness_seed() and says so. */
#ifndef NP_TESTS_RANDOM_H
#define NP_TESTS_RANDOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The seed of this run: NEAP_TEST_SEED or the clock; printed as a remark at its first use. One
 * thread calls it first, after the plan. */
uint64_t harness_seed(void);

/* The next number of a generator (splitmix64); any starting state will do. */
static inline uint64_t harness_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#ifdef __cplusplus
}
#endif

#endif
