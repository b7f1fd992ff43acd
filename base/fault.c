/* SPDX-License-Identifier: MIT
 *
 * A count of questions, a draw for each. */
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomics.h"
#include "base/compiler.h"

/* (x) all */
static bool armed;
static uint64_t fail_nth, fail_one_in, fail_seed, asked, failed;

void np_fault_arm(uint64_t nth, uint64_t one_in, uint64_t seed)
{
    /* relaxed, all: set while the process has no other thread of the runtime */
    np_store_relaxed(&fail_nth, nth);
    np_store_relaxed(&fail_one_in, one_in);
    np_store_relaxed(&fail_seed, seed);
    np_store_relaxed(&asked, (uint64_t)0);
    np_store_relaxed(&failed, (uint64_t)0);
    np_store_relaxed(&armed, nth != 0 || one_in != 0);
}

void np_fault_disarm(void)
{
    np_store_relaxed(&armed, false); /* relaxed: as above */
}

bool np_fault_is_armed(void)
{
    return np_load_relaxed(&armed); /* relaxed: as above */
}

uint64_t np_fault_count(void)
{
    return np_load_relaxed(&failed); /* relaxed: a statistic */
}

/* The n-th number of a sequence (Steele and others' splitmix64). */
static uint64_t draw(uint64_t seed, uint64_t n)
{
    uint64_t x = seed + n * 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

static np_noinline bool ask(void)
{
    /* relaxed, all: counts */
    uint64_t n = np_fetch_add_relaxed(&asked, (uint64_t)1) + 1,
             one_in = np_load_relaxed(&fail_one_in);
    bool fails = n == np_load_relaxed(&fail_nth) ||
                 (one_in != 0 && draw(np_load_relaxed(&fail_seed), n) % one_in == 0);
    if (fails)
        np_fetch_add_relaxed(&failed, (uint64_t)1);
    return fails;
}

bool np_fault(void)
{
    return np_unlikely(np_load_relaxed(&armed)) && ask(); /* relaxed: as above */
}

void *np_fault_malloc(size_t bytes)
{
    return np_fault() ? NULL : malloc(bytes);
}

void *np_fault_calloc(size_t count, size_t bytes)
{
    return np_fault() ? NULL : calloc(count, bytes);
}

void *np_fault_realloc(void *memory, size_t bytes)
{
    return np_fault() ? NULL : realloc(memory, bytes);
}

char *np_fault_strdup(const char *text)
{
    return np_fault() ? NULL : strdup(text);
}
