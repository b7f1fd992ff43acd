/* SPDX-License-Identifier: MIT
 *
 * Many producers, one consumer at a time: liburcu's wait-free queue with concurrent enqueue
 * (wfcqueue). Enqueue is one exchange on the tail. This is the one header that touches liburcu's
 * queues, and the one place that annotates them: liburcu's inline assembly is invisible to
 * ThreadSanitizer, so enqueue releases on the queue's address and take-all acquires on it.
 * _LGPL_SOURCE stays undefined: the calls go to liburcu-common, whose plain accesses are not
 * instrumented.
 *
 * Concurrency: np_queue_push any thread; np_queue_take_all and np_queue_next only by the thread
 * that owns the consumer's side (the owner, or who claimed it). Between a producer's exchange and
 * its link the node is in the queue but not reachable. At the head that reads as "nothing yet": the
 * producer tells the consumer after its push returned, so the consumer looks again. In the middle
 * the consumer waits for the link, a window of one store; no thread is stopped, parked or forked
 * inside a push.
 */
#ifndef NP_BASE_QUEUE_H
#define NP_BASE_QUEUE_H

#include <sched.h>
#include <stdbool.h>

#include "base/atomics.h"

#include <urcu/wfcqueue.h>

#if defined(__SANITIZE_THREAD__)
#    define NP_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define NP_TSAN 1
#    endif
#endif
#ifdef NP_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#    define np_tsan_acquire(address) __tsan_acquire(address)
#    define np_tsan_release(address) __tsan_release(address)
#else
#    define np_tsan_acquire(address) ((void)(address))
#    define np_tsan_release(address) ((void)(address))
#endif

struct np_queue_node {
    struct cds_wfcq_node link;
};

struct np_queue {
    struct __cds_wfcq_head head; /* consumer's */
    struct cds_wfcq_tail tail;   /* producers' */
};

static inline void np_queue_init(struct np_queue *queue)
{
    __cds_wfcq_init(&queue->head, &queue->tail);
}

/* Any thread. The exchange is a full barrier: what was written before is seen by the taker, and a
 * load that follows is not done before it. */
static inline void np_queue_push(struct np_queue *queue, struct np_queue_node *node)
{
    cds_wfcq_node_init(&node->link);
    np_tsan_release(queue);
    (void)cds_wfcq_enqueue(&queue->head, &queue->tail, &node->link);
}

/* One thread, a queue of its own: as np_queue_push, with nothing in between. */
static inline void np_queue_fill(struct np_queue *own, struct np_queue_node *node)
{
    np_store_relaxed(&node->link.next, NULL); /* relaxed, all: no other thread sees it yet */
    np_store_relaxed(&own->tail.p->next, &node->link);
    np_store_relaxed(&own->tail.p, &node->link);
}

/* Any thread: all nodes of `own`, which the caller has filled, by one exchange; as np_queue_push.
 * There is one at least. `own` is undefined afterwards. */
static inline void np_queue_push_all(struct np_queue *queue, struct np_queue *own)
{
    np_tsan_release(queue);
    (void)__cds_wfcq_splice_nonblocking(&queue->head, &queue->tail, &own->head, &own->tail);
}

/* Any thread; a hint unless the caller orders it (see np_queue_push). As cds_wfcq_empty, without
 * the call: every blocking region asks. */
static inline bool np_queue_empty(const struct np_queue *queue)
{
    /* relaxed, both: what was pushed before the caller's last acquire is seen */
    return np_load_relaxed(&queue->head.node.next) == NULL &&
           np_load_relaxed(&queue->tail.p) == &queue->head.node;
}

/* Consumer. The next node of what np_queue_take_all took, or NULL. */
static inline struct np_queue_node *np_queue_next(struct np_queue *local)
{
    for (unsigned round = 0;; round++) {
        struct cds_wfcq_node *node = __cds_wfcq_dequeue_nonblocking(&local->head, &local->tail);
        if (node != CDS_WFCQ_WOULDBLOCK)
            return (struct np_queue_node *)(void *)node;
        if (round < 100)
            np_spin_hint();
        else
            sched_yield();
    }
}

/* Consumer. Takes what was pushed so far into local (storage of the caller's, uninitialised);
 * returns the first node, or NULL when there is none yet. */
static inline struct np_queue_node *np_queue_take_all(struct np_queue *queue,
                                                      struct np_queue *local)
{
    np_queue_init(local);
    enum cds_wfcq_ret taken =
        __cds_wfcq_splice_nonblocking(&local->head, &local->tail, &queue->head, &queue->tail);
    if (taken == CDS_WFCQ_RET_SRC_EMPTY || taken == CDS_WFCQ_RET_WOULDBLOCK)
        return NULL;
    np_tsan_acquire(queue);
    return np_queue_next(local);
}

#endif
