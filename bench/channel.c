/* SPDX-License-Identifier: MIT
 *
 * What does a message cost that goes through a channel, from the thread that makes it to the thread
 * that drops it?
 *
 * Models: a pipeline of two threads, each message a small object of its own (48 bytes), the queue
 * as long as a server would make it (1,024 where it is bounded). Both ends wait for each other.
 *
 * neap: neap_channel_send and neap_channel_receive; the message changes its owner on the way.
 *
 * Peers, with messages from malloc: a ring under a mutex with two condition variables; liburcu's
 * wait-free queue (wfcqueue), which is not bounded and whose receiver can only poll.
 *
 * Leaves out: several senders and receivers, long sleeps.
 *
 * Reading: nanoseconds per message; both threads work at the same time. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#define NEAP_INLINE
#include <neap/neap.h>

#ifdef BENCH_HAS_WFCQ
#    include <urcu/wfcqueue.h>
#endif

#include "bench/measure.h"
#include "bench/shim.h"

enum { BATCH = 256, ROOM = 1024, MESSAGES = 1 << 20 };

struct message {
    int64_t value, spare[5];
};
NEAP_DEFINE_TYPE(message, ());

struct peer {
    const char *name;
    void (*begin)(void), (*end)(void);
    void (*send)(int64_t value);
    int64_t (*receive)(void); /* what it says */
    bool attached;
};

/* ---- neap ---- */

static struct neap_channel *channel;

static void neap_begin(void)
{
    channel = neap_channel_new(ROOM);
}

static void neap_end(void)
{
    neap_release(channel);
}

static void neap_send(int64_t value)
{
    struct message *message = neap_new(message);
    message->value = value;
    (void)neap_channel_send(channel, message);
}

static int64_t neap_receive(void)
{
    struct message *message = neap_channel_receive(channel);
    int64_t value = message->value;
    neap_release(message);
    return value;
}

/* ---- messages from malloc ---- */

struct plain {
#ifdef BENCH_HAS_WFCQ
    struct cds_wfcq_node node;
#endif
    struct message body;
};

static struct plain *make(int64_t value)
{
    struct plain *plain = calloc(1, sizeof *plain);
    if (plain == NULL)
        abort();
    plain->body.value = value;
    return plain;
}

static int64_t drop(struct plain *plain)
{
    int64_t value = plain->body.value;
    free(plain);
    return value;
}

/* ---- mutex and conditions ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    uint64_t put, taken;
    struct plain *entries[ROOM];
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .filled = PTHREAD_COND_INITIALIZER,
          .emptied = PTHREAD_COND_INITIALIZER};

static void nothing(void)
{
}

static void ring_send(int64_t value)
{
    struct plain *plain = make(value);
    pthread_mutex_lock(&ring.lock);
    while (ring.put - ring.taken == ROOM)
        pthread_cond_wait(&ring.emptied, &ring.lock);
    ring.entries[ring.put++ % ROOM] = plain;
    pthread_cond_signal(&ring.filled);
    pthread_mutex_unlock(&ring.lock);
}

static int64_t ring_receive(void)
{
    pthread_mutex_lock(&ring.lock);
    while (ring.put == ring.taken)
        pthread_cond_wait(&ring.filled, &ring.lock);
    struct plain *plain = ring.entries[ring.taken++ % ROOM];
    pthread_cond_signal(&ring.emptied);
    pthread_mutex_unlock(&ring.lock);
    return drop(plain);
}

/* ---- wfcqueue ---- */

#ifdef BENCH_HAS_WFCQ
static struct cds_wfcq_head head;
static struct cds_wfcq_tail tail;

static void wfcq_begin(void)
{
    cds_wfcq_init(&head, &tail);
}

static void wfcq_end(void)
{
    cds_wfcq_destroy(&head, &tail);
}

static void wfcq_send(int64_t value)
{
    struct plain *plain = make(value);
    cds_wfcq_node_init(&plain->node);
    cds_wfcq_enqueue(&head, &tail, &plain->node);
}

static int64_t wfcq_receive(void)
{
    struct cds_wfcq_node *node;
    for (unsigned round = 1;; round++) {
        node = __cds_wfcq_dequeue_blocking(&head, &tail); /* one receiver: no lock */
        if (node != NULL)
            break;
        if (round % 256 == 0)
            sched_yield();
    }
    return drop(caa_container_of(node, struct plain, node));
}
#endif

/* ---- the row ---- */

static void run(struct bench_state *state, const void *arg)
{
    const struct peer *peer = arg;
    bool sends = bench_thread(state) == 0;
    int64_t sum = 0;
    if (sends)
        peer->begin();
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            if (sends)
                peer->send(i);
            else
                sum += peer->receive();
        }
        if (peer->attached)
            neap_safepoint();
    }
    bench_use(sum);
    if (sends)
        peer->end();
}

int main(int argc, char **argv)
{
    static const struct peer peers[] = {
        {"channel/one/neap", neap_begin, neap_end, neap_send, neap_receive, true},
        {"channel/one/condition", nothing, nothing, ring_send, ring_receive, false},
#ifdef BENCH_HAS_WFCQ
        {"channel/one/wfcqueue", wfcq_begin, wfcq_end, wfcq_send, wfcq_receive, false},
#endif
    };
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++)
        bench_add(&(struct bench_case){.name = peers[i].name,
                                       .run = run,
                                       .arg = &peers[i],
                                       .threads = 2,
                                       .attached = peers[i].attached,
                                       .iterations = MESSAGES});
    return bench_main(argc, argv);
}
