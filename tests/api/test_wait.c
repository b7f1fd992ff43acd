/* SPDX-License-Identifier: MIT
 *
 * Calls that wait. A thread that says it is about to wait, and then waits without a poll, delays no
 * collection: were it not in a blocking region, neap_collect here would never return. */
#include <neap/neap.h>

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/harness.h"

struct node {
    struct node *next;
    struct node *shared;
};
static atomic_int disposed;
static void node_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(node, (next, NEAP_ATOMIC(shared)), .dispose = node_dispose,
                 .flags = NEAP_PEEKABLE);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int ends[2], epoll, cancelled_in_region;
static bool signalled; /* under the mutex */
static atomic_bool about_to_wait;

static struct timespec in_a_minute(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += 60;
    return now;
}

/* ---- each kind of wait, and what ends it ---- */

static bool wait_read(void)
{
    char byte;
    return neap_read(ends[0], &byte, 1) == 1;
}

static bool wait_poll(void)
{
    struct pollfd fd = {.fd = ends[0], .events = POLLIN};
    return neap_poll(&fd, 1, -1) == 1 && wait_read();
}

static bool wait_epoll(void)
{
    struct epoll_event event;
    return neap_epoll_wait(epoll, &event, 1, -1) == 1 && wait_read();
}

static bool wait_write(void)
{
    static char much[1 << 20]; /* more than a pipe holds */
    return neap_write(ends[1], much, sizeof much) == (ssize_t)sizeof much;
}

static bool wait_expression(void)
{
    char byte;
    return NEAP_BLOCKED(read(ends[0], &byte, 1)) == 1;
}

static bool wait_block(void)
{
    char byte;
    NEAP_BLOCKING
    {
        return read(ends[0], &byte, 1) == 1;
    }
    return false;
}

static bool wait_lock(void)
{
    return neap_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0;
}

static bool wait_timed_lock(void)
{
    struct timespec deadline = in_a_minute();
    return neap_mutex_timedlock(&mutex, &deadline) == 0 && pthread_mutex_unlock(&mutex) == 0;
}

static bool wait_condition(void)
{
    neap_mutex_lock(&mutex);
    while (!signalled)
        neap_cond_wait(&condition, &mutex);
    return pthread_mutex_unlock(&mutex) == 0;
}

static bool wait_timed_condition(void)
{
    struct timespec deadline = in_a_minute();
    neap_mutex_lock(&mutex);
    int error = 0;
    while (!signalled && error == 0)
        error = neap_cond_timedwait(&condition, &mutex, &deadline);
    return pthread_mutex_unlock(&mutex) == 0 && error == 0;
}

static void put_byte(void)
{
    if (write(ends[1], "", 1) != 1)
        bail("write");
}

static void drain_pipe(void)
{
    static char sink[1 << 20];
    for (ssize_t left = sizeof sink, length; left > 0; left -= length)
        if ((length = read(ends[0], sink, (size_t)left)) <= 0)
            bail("read");
}

static void unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static void signal_it(void)
{
    neap_mutex_lock(&mutex);
    signalled = true;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
}

static const struct kind {
    const char *name;
    bool (*wait)(void);
    void (*end)(void);
    bool locked;
} kinds[] = {
    {"neap_read", wait_read, put_byte, false},
    {"neap_write", wait_write, drain_pipe, false},
    {"neap_poll", wait_poll, put_byte, false},
    {"neap_epoll_wait", wait_epoll, put_byte, false},
    {"NEAP_BLOCKED", wait_expression, put_byte, false},
    {"NEAP_BLOCKING", wait_block, put_byte, false},
    {"neap_mutex_lock", wait_lock, unlock, true},
    {"neap_mutex_timedlock", wait_timed_lock, unlock, true},
    {"neap_cond_wait", wait_condition, signal_it, false},
    {"neap_cond_timedwait", wait_timed_condition, signal_it, false},
};

static void *wait_as_told(void *arg)
{
    const struct kind *kind = arg;
    atomic_store(&about_to_wait, true);
    bool right = kind->wait();
    neap_release(neap_new(node)); /* attached and able again */
    return right ? arg : NULL;
}

static void test_kind(const struct kind *kind)
{
    pthread_t thread;
    void *value = NULL;
    about_to_wait = signalled = false;
    if (kind->locked)
        neap_mutex_lock(&mutex);
    if (neap_thread_create(&thread, "waiter", wait_as_told, (void *)(uintptr_t)kind) != NEAP_OK)
        bail("no thread");
    while (!atomic_load(&about_to_wait))
        (void)NEAP_BLOCKED(usleep(100));
    ok(neap_collect(2) >= 0, "a thread in %s lets a collection pass", kind->name);
    kind->end();
    ok(neap_thread_join(thread, &value) == NEAP_OK && value == kind, "%s does its work",
       kind->name);
}

/* ---- values and errors ---- */

static void test_errors(void)
{
    char byte;
    struct timespec past = {0, 0};
    struct epoll_event event;
    errno = 0;
    ok(neap_read(-1, &byte, 1) == -1 && errno == EBADF, "neap_read leaves read's errno");
    errno = 0;
    ok(neap_write(-1, &byte, 1) == -1 && errno == EBADF, "neap_write leaves write's errno");
    is_int(neap_poll(NULL, 0, 0), 0, "neap_poll returns poll's value");
    errno = 0;
    ok(neap_epoll_wait(-1, &event, 1, 0) == -1 && errno == EBADF,
       "neap_epoll_wait leaves epoll_wait's errno");
    neap_mutex_lock(&mutex);
    is_int(neap_cond_timedwait(&condition, &mutex, &past), ETIMEDOUT,
           "neap_cond_timedwait returns at its deadline");
    is_int(pthread_mutex_trylock(&mutex), EBUSY, "with the mutex");
    is_int(neap_mutex_timedlock(&mutex, &past), ETIMEDOUT, "so does neap_mutex_timedlock");
    pthread_mutex_unlock(&mutex);
    is_int(neap_thread_join(pthread_self(), NULL), NEAP_EINVAL, "nobody joins itself");
}

/* ---- forms ---- */

static int returns(void)
{
    NEAP_BLOCKING
    {
        NEAP_BLOCKING
        {
            return 7;
        }
    }
    return 0;
}

static int jumps(void)
{
    NEAP_BLOCKING
    {
        goto out;
    }
    return 0;
out:
    return 8;
}

static void touch(void)
{
    neap_release(neap_new(node)); /* panics inside a region */
}

static void nothing(void)
{
}

static void test_forms(void)
{
    is_int(NEAP_BLOCKED(NEAP_BLOCKED(1) + NEAP_BLOCKED(NEAP_BLOCKED(2))), 3, "expressions nest");
    touch();
    NEAP_BLOCKED(nothing());
    touch();
    is_int(returns(), 7, "return leaves nested blocks");
    touch();
    is_int(jumps(), 8, "so does goto");
    touch();
    int rounds = 0;
    for (int i = 0; i < 3; i++) {
        NEAP_BLOCKING
        {
            if (i == 1)
                break;
            if (i == 2)
                continue;
        }
        touch();
        rounds++;
    }
    is_int(rounds, 3, "break and continue end the block only");
    neap_blocking_enter();
    is_int(neap_mutex_lock(&mutex), 0, "a wait inside a region is what it is called");
    pthread_mutex_unlock(&mutex);
    is_int(neap_poll(NULL, 0, 0), 0, "for files too");
    neap_blocking_leave();
    touch();
}

/* ---- cancellation ---- */

static void release_at_cancel(void *object)
{
    neap_release(object); /* panics inside a region */
    cancelled_in_region--;
}

static void *wait_and_release(void *arg)
{
    struct node *node = neap_new(node);
    pthread_cleanup_push(release_at_cancel, node);
    cancelled_in_region++;
    ((const struct kind *)arg)->wait();
    pthread_cleanup_pop(0);
    return NULL;
}

static void unlock_at_cancel(void *unused)
{
    (void)unused;
    pthread_mutex_unlock(&mutex);
}

static bool wait_condition_carefully(void)
{
    neap_mutex_lock(&mutex);
    pthread_cleanup_push(unlock_at_cancel, NULL);
    atomic_store(&about_to_wait, true);
    while (!signalled)
        neap_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(1);
    return true;
}

static void cancel_it(const struct kind *kind)
{
    pthread_t thread;
    void *value = NULL;
    signalled = false;
    cancelled_in_region = 0;
    if (neap_thread_create(&thread, "victim", wait_and_release, (void *)(uintptr_t)kind) != NEAP_OK)
        bail("no thread");
    pthread_cancel(thread);
    ok(neap_thread_join(thread, &value) == NEAP_OK && value == PTHREAD_CANCELED &&
           cancelled_in_region == 0,
       "a thread cancelled in %s is outside the region in its clean-up handlers", kind->name);
    is_int(pthread_mutex_trylock(&mutex), 0, "and the mutex is free");
    pthread_mutex_unlock(&mutex);
}

static void *block_for_ever(void *arg)
{
    (void)NEAP_BLOCKED(pause());
    return arg;
}

static void test_cancel(void)
{
    static const struct kind careful = {"neap_cond_wait", wait_condition_carefully, NULL, false};
    cancel_it(&kinds[0]);
    cancel_it(&kinds[2]);
    cancel_it(&careful);
    pthread_t thread;
    void *value = NULL;
    if (neap_thread_create(&thread, "victim", block_for_ever, NULL) != NEAP_OK)
        bail("no thread");
    pthread_cancel(thread);
    ok(neap_thread_join(thread, &value) == NEAP_OK && value == PTHREAD_CANCELED,
       "a thread cancelled in NEAP_BLOCKED is detached");
}

/* ---- what waits for a place to run stays asked for ---- */

static void test_pending_survives(void)
{
    struct node *hub = neap_new(node), *shared = neap_new(node);
    neap_store(&hub->shared, shared);
    neap_release(shared);
    neap_store(&hub->shared, NULL); /* NEAP_PEEKABLE: dies after a grace period, at a safepoint */
    int before = atomic_load(&disposed);
    for (int i = 0; i < 4; i++) {
        neap_lock(&mutex);
        neap_unlock(&mutex);
        neap_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    is_int(disposed, before, "no user code runs where a lock is taken");
    for (int i = 0; i < 4; i++)
        neap_safepoint();
    is_int(disposed, before + 1, "and the safepoint after it still knows of it");
    neap_release(hub);
}

int main(void)
{
    plan_lazy();
    harness_begin();
    struct epoll_event interest = {.events = EPOLLIN};
    if (pipe(ends) != 0 || (epoll = epoll_create1(0)) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &interest) != 0)
        bail("no pipe or epoll");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        test_kind(&kinds[i]);
    test_errors();
    test_forms();
    test_cancel();
    test_pending_survives();
    return harness_end();
}
