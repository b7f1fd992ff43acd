/* SPDX-License-Identifier: MIT
 *
 * Short names for what the compiler offers. */
#ifndef NP_BASE_COMPILER_H
#define NP_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define np_likely(x)    __builtin_expect(!!(x), 1)
#define np_unlikely(x)  __builtin_expect(!!(x), 0)
#define np_noinline     __attribute__((noinline))
#define np_cold         __attribute__((cold, noinline))
#define np_printf(f, a) __attribute__((format(printf, f, a)))

#define NP_CACHE_LINE 64

/* Asks for the line in order to write it, so that a swap on it does not go to the other cores
 * twice: once to read it and once more to own it. */
static inline void np_prefetch_write(const void *address)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address)); /* gcc needs -mprfchw else */
#else
    __builtin_prefetch(address, 1);
#endif
}

/* ThreadSanitizer forgets a thread in the last round of key destructors: nothing of ours runs then.
 */
#if defined(__SANITIZE_THREAD__)
#    define NP_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define NP_TSAN 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#    define NP_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define NP_ASAN 1
#    endif
#endif

/* A header's word read or written whole, where its fields are read one by one elsewhere. */
typedef uint64_t __attribute__((may_alias)) np_word;

#define np_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define np_count_of(array) (sizeof(array) / sizeof((array)[0]))

#endif
