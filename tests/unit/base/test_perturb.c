/* SPDX-License-Identifier: MIT
 *
 * Option perturb: how it is read, that it is refused where it would do nothing, and that every
 * point waits as often as it says. */
#include "base/perturb.h"

#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "tests/tap.h"

static int load(const char *text, char *error, size_t error_bytes)
{
    return np_options_load(NULL, text, error, error_bytes);
}

static void test_reading(void)
{
    char error[200] = "";
    int expected = NP_PERTURB ? 0 : -1;
    is_int(load("perturb=7:20", error, sizeof error), expected, "SEED:RATE is read");
    if (NP_PERTURB)
        is_int((long long)np_options.perturb, (7LL << 32) + 20, "seed above, rate below");
    else
        ok(strstr(error, "checks=debug") != NULL, "and refused in a build without points");
    is_int(load("perturb=7:1001", error, sizeof error), -1, "a rate beyond 1,000 is refused");
    is_int(load("perturb=7:", error, sizeof error), -1, "a seed without rate is refused");
    is_int(load("perturb=:7", error, sizeof error), -1, "a rate without seed is refused");
    is_int(load("decay_ms=7:20", error, sizeof error), -1, "other options take no pair");
    is_int(load("perturb=0", error, sizeof error), 0, "0 is off everywhere");
}

static void test_waiting(void)
{
    enum { PASSES = 20000, RATE = 10 };
    np_perturb_set((uint64_t)5 << 32 | RATE);
    errno = 1234;
    for (int i = 0; i < PASSES; i++) {
        np_perturb(slot_read);
    }
    is_int(errno, 1234, "errno is kept");
    uint64_t hits = np_perturb_hits(NP_PERTURB_slot_read);
    np_perturb_set(0);
    for (int i = 0; i < PASSES; i++) {
        np_perturb(slot_read);
    }
    uint64_t later = np_perturb_hits(NP_PERTURB_slot_read);
    if (NP_PERTURB)
        ok(hits > PASSES / 1000 * RATE / 2 && hits < PASSES / 1000 * RATE * 2,
           "%llu of %d passes waited at a rate of %d in 1,000", (unsigned long long)hits, PASSES,
           RATE);
    else
        is_int((long long)hits, 0, "a build without points never waits");
    is_int((long long)later, (long long)hits, "none waits when it is off");
    is_int((long long)np_perturb_hits(NP_PERTURB_weak_read), 0, "nor at a point nobody passed");
}

int main(void)
{
    plan(11);
    test_reading();
    test_waiting();
    return done();
}
