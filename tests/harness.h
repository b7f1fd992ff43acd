/* SPDX-License-Identifier: MIT
 *
 * What every test of the whole library needs: a runtime that starts, threads that start together,
 * random numbers that can be repeated, and an end that proves nothing is left alive.
 *
 *     int main(void)
 *     {
 *         plan_lazy();
 *         harness_begin();
 *         harness_run(8, push_and_pop, &list);
 *         is_int(list.length, 0, "what went in came out");
 *         return harness_end();
 *     }
 *
 * The environment chooses how the same program runs: NEAP_OPTIONS as for any program (a collection
 * at every opportunity is threshold_young=1), NEAP_TEST_STORM=1 for a thread that collects without
 * pause beside the test, NEAP_TEST_SEED to repeat a random test. A test that counts collections is
 * not for the storm.
 */
#ifndef NP_TESTS_HARNESS_H
#define NP_TESTS_HARNESS_H

#include <stdbool.h>

#include "tests/random.h"
#include "tests/tap.h"

/* 1: built with ThreadSanitizer or for Valgrind, ten times slower and more beside other load: for
 * the sizes of a test. */
#if defined(__SANITIZE_THREAD__) || defined(NP_VALGRIND)
#    define HARNESS_SLOW 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define HARNESS_SLOW 1
#    endif
#endif
#ifndef HARNESS_SLOW
#    define HARNESS_SLOW 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* neap_init with finalize_ms=0, and the storm when asked for. Bails where it fails. */
void harness_begin(void);

/* Ends the storm, if there is one. What it collected has been disposed of then: for a test that
 * counts disposals. */
void harness_calm(void);

/* Only the test collects, once it has called neap_gc_disable: it may ask how much each collection
 * finds. Otherwise another one may have been first. */
bool harness_is_alone(void);

/* Polls until the counter is what it should be, or for very long: where a storm's collection, on
 * another thread, may have been first to find what was dropped. */
void harness_await(const int *counter, int wanted);
/* The same for any condition; did it come true? */
bool harness_await_that(bool (*holds)(void *arg), void *arg);

/* Ends the storm and the runtime; one point: nothing is alive (the leak report as remark if
 * something is). Returns done(). */
int harness_end(void);

/* Runs run(arg, index) on count attached threads that start together, and waits for them in a
 * blocking region. The caller is attached. */
void harness_run(unsigned count, void (*run)(void *arg, unsigned index), void *arg);

#ifdef __cplusplus
}
#endif

#endif
