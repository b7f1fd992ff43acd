/* SPDX-License-Identifier: MIT
 *
 * Death tests: misuse that must panic. The misuse runs in a forked child, so a test may die many
 * times.
 *
 *     static void release_twice(void *arg) { ... }
 *     dies_with(release_twice, NULL, "released after its death", "a second release panics");
 *
 * Call from a single-threaded parent, or keep the child to what is legal after fork.
 */
#ifndef NP_TESTS_DEATH_H
#define NP_TESTS_DEATH_H

#include <stdbool.h>

#include "tests/tap.h"

/* One point: run(arg) in a child ends by SIGABRT and standard error contains message. Fails when
 * the child returns, exits, dies otherwise or takes more than 60 seconds; then shows how it ended
 * and what it said. */
#define dies_with(run, arg, message, ...) \
    death_check(__FILE__, __LINE__, #run, (run), (arg), (message), __VA_ARGS__)

bool death_check(const char *file, int line, const char *text, void (*run)(void *), void *arg,
                 const char *message, const char *name, ...) TAP_PRINTF(7, 8);

#endif
