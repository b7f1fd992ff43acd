/* SPDX-License-Identifier: MIT
 *
 * The calls that wait. Each is a blocking region around the system's call; a clean-up handler
 * leaves the region where the call is a cancellation point, so that the program's own handlers,
 * which run after it, may release what they hold. */
#include "neap/wait.h"

#include <errno.h>
#include <unistd.h>

#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/safepoint.h"

/* Code: where the program calls from. */
static void enter(const char *call, const void *code)
{
    if (np_unlikely(np_tls.attached == 0))
        np_usage_fail(call);
    np_poll_code(np_tls.thread, code);
    np_blocking_enter(np_tls.thread);
}

static void leave(void *unused)
{
    (void)unused;
    np_blocking_leave(np_tls.thread);
}

/* value = expression, which may be a cancellation point, in a blocking region. */
#define WAIT(call, value, expression) \
    do { \
        enter(call, __builtin_return_address(0)); \
        pthread_cleanup_push(leave, NULL); \
        (value) = (expression); \
        pthread_cleanup_pop(1); \
    } while (0)

int neap_thread_join(pthread_t thread, void **ret_value)
{
    int failed;
    WAIT("neap_thread_join", failed, pthread_join(thread, ret_value));
    return failed == 0 ? NEAP_OK : NEAP_EINVAL;
}

/* A free mutex is taken without entering a region; the poll comes before, so that no stop finds the
 * thread with the mutex in its hand here. */
static int try_lock(const char *call, const void *code, pthread_mutex_t *mutex)
{
    if (np_unlikely(np_tls.attached == 0))
        np_usage_fail(call);
    np_poll_code(np_tls.thread, code);
    if (np_tls.id != NEAP_OWNER_NOBODY)
        np_quiescent_point(np_tls.thread);
    return pthread_mutex_trylock(mutex);
}

int neap_mutex_lock(pthread_mutex_t *mutex)
{
    int error = try_lock("neap_mutex_lock", __builtin_return_address(0), mutex);
    if (error != EBUSY)
        return error;
    WAIT("neap_mutex_lock", error, pthread_mutex_lock(mutex));
    return error;
}

int neap_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *deadline)
{
    int error = try_lock("neap_mutex_timedlock", __builtin_return_address(0), mutex);
    if (error != EBUSY)
        return error;
    WAIT("neap_mutex_timedlock", error, pthread_mutex_timedlock(mutex, deadline));
    return error;
}

int neap_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    int error;
    WAIT("neap_cond_wait", error, pthread_cond_wait(condition, mutex));
    return error;
}

int neap_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                        const struct timespec *deadline)
{
    int error;
    WAIT("neap_cond_timedwait", error, pthread_cond_timedwait(condition, mutex, deadline));
    return error;
}

ssize_t neap_read(int fd, void *buffer, size_t bytes)
{
    ssize_t length;
    WAIT("neap_read", length, read(fd, buffer, bytes));
    return length;
}

ssize_t neap_write(int fd, const void *buffer, size_t bytes)
{
    ssize_t length;
    WAIT("neap_write", length, write(fd, buffer, bytes));
    return length;
}

int neap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int ready;
    WAIT("neap_poll", ready, poll(fds, count, timeout_ms));
    return ready;
}

int neap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
    int ready;
    WAIT("neap_epoll_wait", ready, epoll_wait(epoll, events, most, timeout_ms));
    return ready;
}
