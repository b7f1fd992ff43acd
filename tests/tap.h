/* SPDX-License-Identifier: MIT
 *
 * A producer of TAP 13, flat: one line per test point, read by `meson test` and by prove.
 *
 *     int main(void)
 *     {
 *         plan(2);
 *         ok(list_empty(&list), "a new list is empty");
 *         is_int(list_length(&list), 0, "and has no members");
 *         return done();
 *     }
 *
 * done() is the exit status: 0 only if every point passed and their number is the one planned. A
 * program that leaves by exit() without it fails. All output goes to standard output, one write per
 * line.
 *
 * Concurrency: every call except plan, plan_lazy, skip_all and done may be made by any thread at
 * any time; a line and its number are one step under a lock. todo marks the next point of whichever
 * thread comes first. A forked child makes no points: it would share the numbers.
 */
#ifndef NP_TESTS_TAP_H
#define NP_TESTS_TAP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Once, first: how many points there will be, or that done() will count them. */
#define plan(count) tap_plan((unsigned)(count))
#define plan_lazy() tap_plan_lazy()

/* Ends the test: the plan if it was lazy, a diagnosis, and the exit status for main to return. */
#define done() tap_done()

/* One point each, named by a printf format. They return whether the point passed. is_ compares what
 * was seen with what was wanted and shows both on failure. */
#define ok(condition, ...) tap_ok(__FILE__, __LINE__, #condition, !!(condition), __VA_ARGS__)
#define is_int(seen, wanted, ...) \
    tap_is_int(__FILE__, __LINE__, #seen, (intmax_t)(seen), (intmax_t)(wanted), __VA_ARGS__)
#define is_str(seen, wanted, ...) \
    tap_is_str(__FILE__, __LINE__, #seen, (seen), (wanted), __VA_ARGS__)
#define is_ptr(seen, wanted, ...) \
    tap_is_ptr(__FILE__, __LINE__, #seen, (seen), (wanted), __VA_ARGS__)

/* A point that passed, or failed, by the place it stands at. */
#define pass(...) tap_ok(__FILE__, __LINE__, "pass", true, __VA_ARGS__)
#define fail(...) tap_ok(__FILE__, __LINE__, "reached", false, __VA_ARGS__)

/* count points that cannot be tried here, and why. skip_all instead of plan: the whole program;
 * exits. */
#define skip(count, ...) tap_skip((unsigned)(count), __VA_ARGS__)
#define skip_all(...)    tap_skip_all(__VA_ARGS__)

/* The next point is expected to fail, and why; it counts as failed when it passes. */
#define todo(...) tap_todo(__VA_ARGS__)

/* A remark; one # line per line of text. */
#define diag(...) tap_diag(__VA_ARGS__)

/* Nothing that follows makes sense: stops the program with status 255 and prove with it. */
#define bail(...) tap_bail(__VA_ARGS__)

#define TAP_PRINTF(text, first) __attribute__((format(printf, text, first)))

void tap_plan(unsigned count);
void tap_plan_lazy(void);
int tap_done(void);
bool tap_ok(const char *file, int line, const char *text, bool passed, const char *name, ...)
    TAP_PRINTF(5, 6);
bool tap_is_int(const char *file, int line, const char *text, intmax_t seen, intmax_t wanted,
                const char *name, ...) TAP_PRINTF(6, 7);
bool tap_is_str(const char *file, int line, const char *text, const char *seen, const char *wanted,
                const char *name, ...) TAP_PRINTF(6, 7);
bool tap_is_ptr(const char *file, int line, const char *text, const void *seen, const void *wanted,
                const char *name, ...) TAP_PRINTF(6, 7);
void tap_skip(unsigned count, const char *why, ...) TAP_PRINTF(2, 3);
void tap_skip_all(const char *why, ...) TAP_PRINTF(1, 2) __attribute__((noreturn));
void tap_todo(const char *why, ...) TAP_PRINTF(1, 2);
void tap_diag(const char *text, ...) TAP_PRINTF(1, 2);
void tap_bail(const char *why, ...) TAP_PRINTF(1, 2) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif
