/* SPDX-License-Identifier: MIT
 *
 * Deadlocks that a careless runtime has (a test that hangs has failed): a thread that is stopped
 * while it holds a mutex beside threads that wait for that mutex; user code that runs where a
 * thread is about to wait, and wants a lock which that thread holds; locks taken in pairs. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness.h"

enum { THREADS = 6, ROUNDS = 300 };

struct node {
    struct node *next;
};
NEAP_DEFINE_TYPE(node, (next));

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int guarded; /* under mutex */

/* ---- holders that are stopped, waiters beside them ---- */

static void hold_and_stop(void *arg, unsigned index)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (neap_mutex_lock(&mutex) != 0)
            bail("neap_mutex_lock");
        struct node *node = neap_new(node);
        neap_safepoint(); /* may stop here, the mutex in hand */
        if (i % 16 == index)
            (void)neap_collect((int)(i % 3)); /* or stop the others, which wait for it */
        guarded++;
        neap_release(node);
        pthread_mutex_unlock(&mutex);
        if (i % 4 == 0)
            (void)neap_collect(0);
    }
}

/* ---- user code that wants what its thread holds ---- */

struct greedy {
    struct greedy *slot;
};
static atomic_int disposed;
static void greedy_dispose(void *self)
{
    (void)self;
    if (neap_mutex_lock(&mutex) != 0)
        bail("neap_mutex_lock");
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(greedy, (NEAP_ATOMIC(slot)), .dispose = greedy_dispose, .flags = NEAP_PEEKABLE);

static void wait_with_lock(void)
{
    static pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec past = {0, 0};
    struct greedy *hub = neap_new(greedy), *shared = neap_new(greedy);
    neap_store(&hub->slot, shared);
    neap_release(shared);
    neap_mutex_lock(&mutex);
    neap_store(&hub->slot, NULL); /* dead after a grace period: its dispose wants the mutex */
    for (int i = 0; i < 5; i++) {
        (void)NEAP_BLOCKED(usleep(1));
        neap_mutex_lock(&other);
        pthread_mutex_unlock(&other);
        (void)neap_poll(NULL, 0, 0);
        neap_lock(hub);
        neap_unlock(hub);
        struct node *node = neap_new(node);
        neap_release(neap_retain(node));
        neap_release(neap_load(&hub->slot));
        neap_release(node);
    }
    is_int(disposed, 0, "no user code runs where a thread waits, locks or allocates");
    (void)neap_cond_timedwait(&condition, &mutex, &past); /* lets go of the mutex for a moment */
    is_int(disposed, 0, "nor in a condition's wait");
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 5; i++)
        neap_safepoint();
    is_int(disposed, 1, "it runs at the safepoints that follow");
    neap_release(hub);
}

/* ---- pairs ---- */

static struct node *left, *right;
static long pairs; /* under both */

static void lock_pairs(void *arg, unsigned index)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct node *first = index % 2 ? left : right, *second = index % 2 ? right : left;
        neap_lock2(first, second);
        pairs++;
        neap_safepoint(); /* may stop here, both in hand */
        neap_unlock2(second, first);
        if (i % 32 == index)
            (void)neap_collect(1);
    }
}

int main(void)
{
    plan_lazy();
    harness_begin();
    harness_run(THREADS, hold_and_stop, NULL);
    is_int(guarded, THREADS * ROUNDS,
           "threads that are stopped with a mutex in hand, and those "
           "that wait for it, all come through");
    left = neap_new(node);
    right = neap_new(node);
    harness_run(THREADS, lock_pairs, NULL);
    is_int(pairs, (long)THREADS * ROUNDS, "so do threads that lock a pair from both ends");
    neap_release(left);
    neap_release(right);
    harness_calm();
    wait_with_lock();
    return harness_end();
}
