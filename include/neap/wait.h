/* SPDX-License-Identifier: MIT
 *
 * neap: calls that wait, each in a blocking region (<neap/thread.h>), so that the thread delays
 * nobody while it waits. They are what NEAP_BLOCKED(read(...)) and its like do, and one thing more:
 * where the thread is cancelled in one of them, its clean-up handlers find it outside the region.
 *
 *     neap_mutex_lock(&queue->mutex);
 *     while (queue->length == 0)
 *         neap_cond_wait(&queue->filled, &queue->mutex);
 *
 * Each does what the call of that name does, returns what it returns and sets errno as it does.
 * Inside a region they are welcome, and do nothing special.
 */
#ifndef NEAP_WAIT_H
#define NEAP_WAIT_H

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <time.h>

#include <neap/export.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* pthread_join. Returns NEAP_OK, NEAP_EINVAL where pthread_join fails.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_thread_join(pthread_t thread, void **ret_value);

/* pthread_mutex_lock. A mutex held across neap calls is always taken by this: a thread stopped
 * while it holds the mutex and one that waits for it bare would never meet. A free mutex is taken
 * without entering a region.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: errno value */
NEAP_PUBLIC int neap_mutex_lock(pthread_mutex_t *mutex);

/* pthread_mutex_timedlock; deadline is of CLOCK_REALTIME.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: errno value */
NEAP_PUBLIC int neap_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *deadline);

/* pthread_cond_wait, the mutex taken again as neap_mutex_lock takes it.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: errno value */
NEAP_PUBLIC int neap_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);

/* pthread_cond_timedwait; deadline is of the condition's clock.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: errno value */
NEAP_PUBLIC int neap_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                    const struct timespec *deadline);

/* read(2).
 * refs: none | user code: no | point: quiescent | threads: attached | fails: -1, errno */
NEAP_PUBLIC ssize_t neap_read(int fd, void *buffer, size_t bytes);

/* write(2).
 * refs: none | user code: no | point: quiescent | threads: attached | fails: -1, errno */
NEAP_PUBLIC ssize_t neap_write(int fd, const void *buffer, size_t bytes);

/* poll(2).
 * refs: none | user code: no | point: quiescent | threads: attached | fails: -1, errno */
NEAP_PUBLIC int neap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

/* epoll_wait(2).
 * refs: none | user code: no | point: quiescent | threads: attached | fails: -1, errno */
NEAP_PUBLIC int neap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
