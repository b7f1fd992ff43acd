/* SPDX-License-Identifier: MIT
 *
 * Locks by address: they exclude, pairs never wait in a circle, a stop goes on while threads wait,
 * nobody is overtaken for ever, locking needs no memory unless hundreds are locked at once, and
 * misuse panics. */
#include "base/fault.h"
#include "tests/death.h"
#include "tests/unit/threads/crew.h"
#include "threads/address_lock.h"

enum { THREADS = 6, ROUNDS = 3000, ADDRESSES = 4 };

static struct crew crew;
static uint64_t values[ADDRESSES], done_by[THREADS];
static uint32_t finish, ready;

static void attach_or_bail(void)
{
    if (np_thread_attach("locker") != NEAP_OK)
        bail("attach failed");
}

static void add_by_ones(unsigned index)
{
    attach_or_bail();
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t *value = &values[(i + index) % ADDRESSES];
        np_address_lock(value);
        uint64_t before = *value;
        if (i % 64 == index)
            sched_yield();
        *value = before + 1;
        np_address_unlock(value);
    }
    np_thread_detach();
}

static void move_in_pairs(unsigned index)
{
    attach_or_bail();
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t *from = &values[(i + index) % ADDRESSES], *to = &values[(i * index) % ADDRESSES];
        np_address_lock2(from, to);
        (*from)--;
        if (i % 64 == index)
            sched_yield();
        (*to)++;
        np_address_unlock2(from, to);
    }
    np_thread_detach();
}

static uint64_t sum(void)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < ADDRESSES; i++)
        all += values[i];
    return all;
}

static void test_exclusion(void)
{
    crew_start(&crew, THREADS, add_by_ones);
    crew_join(&crew);
    is_int(sum(), THREADS * ROUNDS, "%d threads count under %d locks", THREADS, ADDRESSES);
    crew_start(&crew, THREADS, move_in_pairs);
    crew_join(&crew);
    is_int(sum(), THREADS * ROUNDS, "pairs taken in all orders neither lose nor wait in a circle");
}

/* ---- beside stops ---- */

static void hold_long(unsigned index)
{
    attach_or_bail();
    while (!np_load_relaxed(&finish)) {
        np_address_lock(&values[0]);
        values[0]++;
        np_stop_point(np_tls.thread);
        np_address_unlock(&values[0]);
        done_by[index]++;
    }
    np_thread_detach();
}

static void test_stops(void)
{
    values[0] = 0;
    attach_or_bail();
    crew_start(&crew, 4, hold_long);
    unsigned moved = 0;
    for (unsigned i = 0; i < 200; i++) {
        np_world_stop(NP_STOP_COLLECT);
        uint64_t before = values[0];
        sched_yield();
        moved += values[0] != before;
        np_world_start();
        if (i % 8 == 0)
            usleep(200);
    }
    np_store_relaxed(&finish, 1);
    crew_join(&crew);
    is_int(moved, 0, "a stop holds the holder and those that wait");
    is_int(values[0], done_by[0] + done_by[1] + done_by[2] + done_by[3], "and none is lost");
    np_thread_detach();
}

/* ---- overtaken, but not for ever ---- */

static void wait_once(unsigned index)
{
    (void)index;
    attach_or_bail();
    np_store_release(&ready, np_tls.id);
    np_address_lock(&values[1]);
    np_store_release(&finish, 1);
    np_address_unlock(&values[1]);
    np_thread_detach();
}

static void test_no_starvation(void)
{
    finish = ready = 0;
    attach_or_bail();
    np_address_lock(&values[1]);
    crew_start(&crew, 1, wait_once);
    crew_await(&ready, 1);
    while (np_thread_state_of(np_thread_at((uint16_t)ready)) != NP_BLOCKING)
        sched_yield();
    uint64_t end = np_os_now_ns() + UINT64_C(20000000000);
    while (!np_load_acquire(&finish) && np_os_now_ns() < end) {
        np_address_unlock(&values[1]); /* and at once again, before anybody can wake up */
        np_address_lock(&values[1]);
    }
    np_address_unlock(&values[1]);
    is_int(np_load_acquire(&finish), 1, "a waiter gets a lock that another takes again at once");
    crew_join(&crew);
    np_thread_detach();
}

/* ---- without memory ---- */

enum { LOCKED_ONCE = 1024, LOCKED_BEYOND = 64 * 1024 };

static char objects[LOCKED_BEYOND][16];

static void lock_first(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        np_address_lock(objects[i]);
}

static void lock_beyond(void *arg)
{
    (void)arg;
    attach_or_bail();
    np_fault_arm(0, 1, 1);
    lock_first(LOCKED_BEYOND);
}

static void test_without_memory(void)
{
    attach_or_bail();
    np_fault_arm(0, 1, 1);
    lock_first(LOCKED_ONCE);
    for (unsigned i = 0; i < LOCKED_ONCE; i++)
        np_address_unlock(objects[i]);
    is_int((long)np_fault_count(), 0, "a thousand locks at once need no memory");
    np_fault_disarm();
    np_thread_detach();
    dies_with(lock_beyond, NULL, "out of memory for the table of locks",
              "more than the table holds panics when there is none");
}

/* ---- misuse ---- */

static void lock_twice(void *arg)
{
    attach_or_bail();
    np_address_lock(arg);
    np_address_lock(arg);
}

static void unlock_free(void *arg)
{
    attach_or_bail();
    np_address_unlock(arg);
}

#ifndef NP_TSAN
static void lock_for_other(unsigned index)
{
    (void)index;
    attach_or_bail();
    np_address_lock(&values[2]);
    np_store_release(&ready, 1);
    np_blocking_enter(np_tls.thread);
    pause();
}

static void unlock_others(void *arg)
{
    static struct crew other;
    ready = 0;
    attach_or_bail();
    crew_start(&other, 1, lock_for_other);
    crew_await(&ready, 1);
    np_address_unlock(arg);
}
#endif

static void test_misuse(void)
{
    dies_with(lock_twice, &values[2], "is locked by this thread already", "locking twice panics");
    dies_with(unlock_free, &values[2], "is not locked by this thread", "unlocking a free one too");
#ifdef NP_TSAN
    skip(1, "ThreadSanitizer refuses threads in a forked child");
#else
    dies_with(unlock_others, &values[2], "is not locked by this thread", "and another's");
#endif
}

int main(void)
{
    plan_lazy();
    crew_begin(NULL);
    test_misuse();
    test_exclusion();
    test_stops();
    test_no_starvation();
    test_without_memory();
    np_threads_fini();
    return done();
}
