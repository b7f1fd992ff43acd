/* SPDX-License-Identifier: MIT
 *
 * contention.h, behind the calls that gcc's and clang's -fsanitize=thread make. This file is
 * compiled without it. The names and signatures are the compilers' (sanitizer interface); what is
 * atomic for the program is atomic here, in the strongest order: only the counts are of interest.
 */
#include "bench/contention.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINES_LOG2 = 18, LINES = 1 << LINES_LOG2, LINES_MOST = LINES / 4 * 3, LINE_LOG2 = 6 };

struct line {
    uintptr_t number;          /* address / 64; 0: free */
    uint32_t holders, writers; /* a bit per thread */
    uint32_t moves;            /* since contention_reset */
};

static struct line lines[LINES];
static size_t line_count;
static struct contention sum;
static __thread uint32_t self __attribute__((tls_model("initial-exec"))); /* 0: not seen */

static struct line *find(uintptr_t number)
{
    for (uintptr_t place = number * UINT64_C(0x9E3779B97F4A7C15) >> (64 - LINES_LOG2);;
         place = (place + 1) % LINES) {
        if (lines[place].number == 0) {
            lines[place].number = number;
            if (++line_count > LINES_MOST)
                abort(); /* 12 MiB were touched: the rows need a larger table */
        }
        if (lines[place].number == number)
            return &lines[place];
    }
}

static void touch(const volatile void *address, size_t bytes, bool writes)
{
    if (self == 0)
        return;
    uintptr_t first = (uintptr_t)address >> LINE_LOG2;
    uintptr_t last = ((uintptr_t)address + bytes - 1) >> LINE_LOG2;
    for (uintptr_t number = first; number <= last; number++) {
        struct line *line = find(number);
        bool has = (line->holders & self) != 0, alone = (line->holders & ~self) == 0;
        bool moves = line->holders != 0 && (!has || (writes && !alone));
        line->moves += moves;
        if (writes) {
            sum.writes_moved += moves;
            line->holders = self;
            line->writers |= self;
        } else {
            sum.reads_moved += moves;
            line->holders |= self;
        }
    }
}

static void lock(const volatile void *address, size_t bytes)
{
    sum.locked += self != 0;
    touch(address, bytes, true);
}

/* ---- what the benchmark asks ---- */

void contention_clear(void)
{
    memset(lines, 0, sizeof lines);
    line_count = 0;
    sum = (struct contention){0};
}

void contention_reset(void)
{
    for (size_t i = 0; i < LINES; i++)
        lines[i].moves = lines[i].writers = 0;
    sum = (struct contention){0};
}

struct contention contention_sum(void)
{
    struct contention result = sum;
    for (size_t i = 0; i < LINES; i++) {
        if (lines[i].moves > result.hottest)
            result.hottest = lines[i].moves;
        result.two_writers += (lines[i].writers & (lines[i].writers - 1)) != 0;
    }
    return result;
}

void contention_enter(unsigned thread)
{
    self = UINT32_C(1) << thread;
}

void contention_leave(void)
{
    self = 0;
}

/* ---- what the instrumentation calls ---- */

/* clang-format off */
#define HOOK(name) __tsan_##name
#define PLAIN(bytes) \
    void HOOK(read##bytes)(void *p); \
    void HOOK(read##bytes)(void *p) { touch(p, bytes, false); } \
    void HOOK(write##bytes)(void *p); \
    void HOOK(write##bytes)(void *p) { touch(p, bytes, true); }
#define UNALIGNED(bytes) \
    void HOOK(unaligned_read##bytes)(void *p); \
    void HOOK(unaligned_read##bytes)(void *p) { touch(p, bytes, false); } \
    void HOOK(unaligned_write##bytes)(void *p); \
    void HOOK(unaligned_write##bytes)(void *p) { touch(p, bytes, true); }
PLAIN(1) PLAIN(2) PLAIN(4) PLAIN(8) PLAIN(16)
UNALIGNED(2) UNALIGNED(4) UNALIGNED(8) UNALIGNED(16)

#define CHANGE(bits, operation) \
    uint##bits##_t HOOK(atomic##bits##_##operation)(volatile uint##bits##_t *p, uint##bits##_t v, \
                                                    int order); \
    uint##bits##_t HOOK(atomic##bits##_##operation)(volatile uint##bits##_t *p, uint##bits##_t v, \
                                                    int order) \
    { (void)order; lock(p, bits / 8); return __atomic_##operation(p, v, __ATOMIC_SEQ_CST); }
#define SWAP(bits, strength, weak) \
    int HOOK(atomic##bits##_compare_exchange_##strength)( \
        volatile uint##bits##_t *p, uint##bits##_t *expected, uint##bits##_t v, int order, \
        int fail); \
    int HOOK(atomic##bits##_compare_exchange_##strength)( \
        volatile uint##bits##_t *p, uint##bits##_t *expected, uint##bits##_t v, int order, \
        int fail) \
    { (void)order; (void)fail; lock(p, bits / 8); \
      return __atomic_compare_exchange_n(p, expected, v, weak, \
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }
#define ATOMIC(bits) \
    uint##bits##_t HOOK(atomic##bits##_load)(const volatile uint##bits##_t *p, int order); \
    uint##bits##_t HOOK(atomic##bits##_load)(const volatile uint##bits##_t *p, int order) \
    { (void)order; touch(p, bits / 8, false); return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
    void HOOK(atomic##bits##_store)(volatile uint##bits##_t *p, uint##bits##_t v, int order); \
    void HOOK(atomic##bits##_store)(volatile uint##bits##_t *p, uint##bits##_t v, int order) \
    { if (order == __ATOMIC_SEQ_CST) lock(p, bits / 8); else touch(p, bits / 8, true); \
      __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \
    uint##bits##_t HOOK(atomic##bits##_exchange)(volatile uint##bits##_t *p, uint##bits##_t v, \
                                                 int order); \
    uint##bits##_t HOOK(atomic##bits##_exchange)(volatile uint##bits##_t *p, uint##bits##_t v, \
                                                 int order) \
    { (void)order; lock(p, bits / 8); return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \
    CHANGE(bits, fetch_add) CHANGE(bits, fetch_sub) CHANGE(bits, fetch_and) \
    CHANGE(bits, fetch_or) CHANGE(bits, fetch_xor) \
    SWAP(bits, strong, false) SWAP(bits, weak, true)
ATOMIC(8) ATOMIC(16) ATOMIC(32) ATOMIC(64)
    /* clang-format on */

    void __tsan_init(void);
void __tsan_init(void)
{
}
void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
    (void)caller;
}
void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
void __tsan_read_range(void *p, unsigned long bytes);
void __tsan_read_range(void *p, unsigned long bytes)
{
    touch(p, bytes, false);
}
void __tsan_write_range(void *p, unsigned long bytes);
void __tsan_write_range(void *p, unsigned long bytes)
{
    touch(p, bytes, true);
}
void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Annotations, where liburcu's code, which is not instrumented, does the access: a push or an
 * insertion is one locked write of what is named, a take or a find reads it. */
void __tsan_acquire(void *p);
void __tsan_acquire(void *p)
{
    touch(p, 1, false);
}
void __tsan_release(void *p);
void __tsan_release(void *p)
{
    lock(p, 1);
}

/* ---- what the linker sends here (--wrap) ---- */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long args[6];
    va_list list;
    va_start(list, number);
    for (unsigned i = 0; i < 6; i++)
        args[i] = va_arg(list, long);
    va_end(list);
    sum.futexes += self != 0 && number == SYS_futex;
    return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    lock(mutex, sizeof(int));
    return __real_pthread_mutex_lock(mutex);
}

int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    lock(mutex, sizeof(int));
    return __real_pthread_mutex_trylock(mutex);
}

int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    lock(mutex, sizeof(int));
    return __real_pthread_mutex_unlock(mutex);
}
