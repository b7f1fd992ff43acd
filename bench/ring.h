/* SPDX-License-Identifier: MIT
 *
 * A pipe of pointers between two threads of a case: thread 0 puts, thread 1 takes. Each end writes
 * its own index and looks at the other's once per BENCH_HAND entries, so that a row measures the
 * memory and not the ring.
 *
 * An end that is attached to neap polls while it waits: the other end may want to stop the world.
 */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <neap/thread.h>

enum { BENCH_RING = 1024, BENCH_HAND = 64 };

struct bench_ring {
    uint64_t put __attribute__((aligned(64)));   /* (x) written by thread 0 */
    uint64_t taken __attribute__((aligned(64))); /* (x) written by thread 1 */
    void *entries[BENCH_RING] __attribute__((aligned(64)));
};

static inline void bench_ring_wait(const uint64_t *index, uint64_t least, bool attached)
{
    /* acquire: the entries up to the index are the other end's finished work; pairs with
     * bench_ring_done */
    for (unsigned round = 1; __atomic_load_n(index, __ATOMIC_ACQUIRE) < least; round++) {
        if (attached)
            neap_safepoint();
        if (round % 256 == 0)
            sched_yield();
    }
}

/* relaxed: only read by the thread that writes it, or after a barrier between two runs */
static inline uint64_t bench_ring_at(const uint64_t *index)
{
    return __atomic_load_n(index, __ATOMIC_RELAXED);
}

/* Waits until the next BENCH_HAND entries from `at` on may be put, or taken. */
static inline void bench_ring_wait_room(struct bench_ring *ring, uint64_t at, bool attached)
{
    if (at + BENCH_HAND > BENCH_RING)
        bench_ring_wait(&ring->taken, at + BENCH_HAND - BENCH_RING, attached);
}

static inline void bench_ring_wait_full(struct bench_ring *ring, uint64_t at, bool attached)
{
    bench_ring_wait(&ring->put, at + BENCH_HAND, attached);
}

/* The entries before `at` are put, or taken. */
static inline void bench_ring_done(uint64_t *index, uint64_t at)
{
    __atomic_store_n(index, at, __ATOMIC_RELEASE); /* release: see bench_ring_wait */
}

#endif
