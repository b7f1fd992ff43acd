/* SPDX-License-Identifier: MIT
 *
 * Panic and checks. np_check stays on in every build: it guards what a caller can get wrong, where
 * the test is O(1). np_assert guards our own invariants and is compiled, never evaluated, in
 * release builds.
 */
#ifndef NP_BASE_CHECK_H
#define NP_BASE_CHECK_H

#include "base/compiler.h"

/* 0 release, 1 debug (np_assert, fills), 2 paranoid (O(n) checks at every transition). */
#ifndef NP_CHECK_LEVEL
#    define NP_CHECK_LEVEL 0
#endif

/* Free blocks are filled, checked, kept back for a while and hidden from AddressSanitizer and
 * Valgrind: alloc/guard.h. */
#if NP_CHECK_LEVEL >= 1 || defined(NP_ASAN) || defined(NP_VALGRIND)
#    define NP_GUARD 1
#else
#    define NP_GUARD 0
#endif

/* Prints "neap: panic: function: message" on standard error and aborts. Allocates nothing. */
_Noreturn void np_panic_at(const char *function, const char *format, ...) np_printf(2, 3) np_cold;

#define np_panic(...) np_panic_at(__func__, __VA_ARGS__)
#define np_check(condition, ...) \
    do { \
        if (np_unlikely(!(condition))) \
            np_panic_at(__func__, __VA_ARGS__); \
    } while (0)

#if NP_CHECK_LEVEL >= 1
#    define np_assert(condition) \
        do { \
            if (np_unlikely(!(condition))) \
                np_panic_at(__func__, "assertion failed: %s (%s:%d)", #condition, __FILE__, \
                            __LINE__); \
        } while (0)
#else
#    define np_assert(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
