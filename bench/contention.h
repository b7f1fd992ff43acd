/* SPDX-License-Identifier: MIT
 *
 * A model of who holds which cache line, fed with every memory access of the library and of the
 * benchmark: both are compiled for ThreadSanitizer, and the functions that its instrumentation
 * calls are ours (contention_hooks.c) in place of ThreadSanitizer's.
 *
 * A line is held by the threads that read it since it was last written. A read by a thread that
 * does not hold it moves it, and so does a write by a thread that is not its only holder. That is
 * what coherent caches do (MESI), for caches without end in which nothing else lives.
 *
 * What is not seen: instructions inside libc (memset of new objects, which are their maker's) and
 * inside liburcu. Of the latter the library names what it hands over: a push or an insertion counts
 * as one locked write, a take or a find as one read; the walk through a hash table's chain, which
 * only reads, stays out. */
#ifndef BENCH_CONTENTION_H
#define BENCH_CONTENTION_H

#include <stdbool.h>
#include <stdint.h>

enum { CONTENTION_THREADS = 32 };

/* Sums over all threads since contention_reset. */
struct contention {
    uint64_t locked;       /* read-modify-write instructions that lock a line */
    uint64_t reads_moved;  /* reads that move a line */
    uint64_t writes_moved; /* writes that move a line or take it from readers */
    uint64_t futexes;      /* system calls that wait or wake */
    uint64_t hottest;      /* moves of the line that moved most */
    uint64_t two_writers;  /* lines written by two threads or more */
};

/* Forgets who holds what. */
void contention_clear(void);
/* Counts from zero; who holds what stays. */
void contention_reset(void);
struct contention contention_sum(void);

/* The calling thread's accesses are seen from here on as those of thread 0 ... 31; until then, and
 * after contention_leave, they are not. One thread at a time is inside: who calls sees to it. */
void contention_enter(unsigned thread);
void contention_leave(void);

#endif
