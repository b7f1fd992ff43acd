/* SPDX-License-Identifier: MIT
 *
 * Fault injection: which questions are answered by a fault. */
#include "base/fault.h"

#include <stdlib.h>

#include "tests/tap.h"

enum { QUESTIONS = 100000 };

/* Which of so many questions fail, as a sum that tells one set from another. */
static uint64_t pattern(uint64_t nth, uint64_t one_in, uint64_t seed)
{
    uint64_t sum = 0;
    np_fault_arm(nth, one_in, seed);
    for (uint64_t i = 1; i <= QUESTIONS; i++)
        if (np_fault())
            sum = sum * 31 + i;
    return sum;
}

int main(void)
{
    plan(9);
    ok(!np_fault() && !np_fault_is_armed(), "unarmed, nothing fails");
    is_int(pattern(77, 0, 0), 77, "the nth question fails, and no other");
    is_int(np_fault_count(), 1, "which is counted");
    uint64_t first = pattern(0, 50, 9);
    uint64_t count = np_fault_count();
    ok(count > QUESTIONS / 60 && count < QUESTIONS / 40, "one in 50 fails: %llu of %d",
       (unsigned long long)count, QUESTIONS);
    ok(pattern(0, 50, 9) == first, "the same seed fails the same questions");
    ok(pattern(0, 50, 10) != first, "another seed fails others");
    np_fault_arm(1, 0, 0);
    void *refused = np_fault_calloc(1, 8), *given = np_fault_calloc(1, 8);
    ok(refused == NULL && given != NULL, "the C library's memory asks too");
    free(given);
    np_fault_disarm();
    ok(!np_fault(), "disarmed, nothing fails any more");
    is_int(np_fault_count(), 1, "and the count stays to be read");
    return done();
}
