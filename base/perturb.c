/* SPDX-License-Identifier: MIT
 *
 * Each thread draws from one of a few generators, chosen by its id and the point, so that the same
 * seed gives the same waits for the same course of a thread, and no thread-local storage is needed.
 */
#include "base/perturb.h"

#include <errno.h>
#include <sched.h>

#include "base/os.h"
#include "base/tls.h"

#if NP_PERTURB

enum { GENERATORS = 64 };

uint32_t np_perturb_rate;
static uint64_t states[GENERATORS][NP_PERTURB_COUNT]; /* (x) relaxed: any mixture is random */
static uint64_t hits[NP_PERTURB_COUNT];               /* (x) relaxed: gauges */

void np_perturb_set(uint64_t option)
{
    for (unsigned i = 0; i < GENERATORS; i++)
        for (unsigned j = 0; j < NP_PERTURB_COUNT; j++)
            np_store_relaxed(&states[i][j], (option >> 32) * 1000003 + i * NP_PERTURB_COUNT + j);
    np_store_relaxed(&np_perturb_rate, (uint32_t)option); /* relaxed: see np_perturb */
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = np_load_relaxed(state) + 0x9E3779B97F4A7C15u;
    np_store_relaxed(state, z);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void wait_a_little(uint64_t choice)
{
    static const uint32_t never;
    if (choice % 16 == 0) {
        np_os_wait(&never, 0, 20000 + (choice >> 8) % 200000);
    } else if (choice % 2 == 0) {
        for (uint64_t i = 0; i < 1 + (choice >> 8) % 4; i++)
            sched_yield();
    } else {
        for (uint64_t i = 0; i < (choice >> 8) % 2000; i++)
            np_spin_hint();
    }
}

void np_perturb_at(enum np_perturb_point point)
{
    uint64_t choice = next(&states[np_tls.id % GENERATORS][point]);
    if (choice % 1000 >= np_load_relaxed(&np_perturb_rate)) /* relaxed: see np_perturb */
        return;
    int saved = errno;
    np_fetch_add_relaxed(&hits[point], 1); /* relaxed: a gauge */
    wait_a_little(choice >> 16);
    errno = saved;
}

uint64_t np_perturb_hits(enum np_perturb_point point)
{
    return np_load_relaxed(&hits[point]); /* relaxed: a gauge */
}

#else

void np_perturb_set(uint64_t option)
{
    (void)option;
}

uint64_t np_perturb_hits(enum np_perturb_point point)
{
    (void)point;
    return 0;
}

#endif
