/* SPDX-License-Identifier: MIT
 *
 * Eight producers and one consumer: nothing is lost, nothing comes twice, each producer's nodes
 * come in its order, and what a producer wrote before its push is seen by who takes. */
#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "tests/tap.h"

enum { PRODUCERS = 8, EACH = 20000 };

struct item {
    struct np_queue_node node;
    int producer, number; /* plain: the queue orders them */
};

static struct np_queue queue;
static struct item *items;
static uint32_t finished;

static void *produce(void *arg)
{
    int producer = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        struct item *item = &items[producer * EACH + i];
        item->producer = producer;
        item->number = i;
        np_queue_push(&queue, &item->node);
    }
    np_fetch_add_acq_rel(&finished, 1);
    return NULL;
}

/* Returns how many nodes came; next[p] is the number that producer p's next node must have. */
static int take(int *next, bool *in_order)
{
    struct np_queue local;
    int count = 0;
    for (struct np_queue_node *node = np_queue_take_all(&queue, &local); node != NULL;
         node = np_queue_next(&local)) {
        struct item *item = np_container_of(node, struct item, node);
        *in_order = *in_order && item->number == next[item->producer];
        next[item->producer] = item->number + 1;
        item->number = -1; /* the taker's from here on */
        count++;
    }
    return count;
}

int main(void)
{
    plan(5);
    struct np_queue local;
    np_queue_init(&queue);
    ok(np_queue_empty(&queue), "a new queue is empty");
    ok(np_queue_take_all(&queue, &local) == NULL, "and nothing can be taken");

    items = calloc(PRODUCERS * EACH, sizeof *items);
    if (items == NULL)
        bail("out of memory");
    pthread_t threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce, (void *)(intptr_t)i) != 0)
            bail("pthread_create");
    int next[PRODUCERS] = {0}, count = 0;
    bool in_order = true;
    while (np_load_acquire(&finished) < PRODUCERS)
        count += take(next, &in_order);
    count += take(next, &in_order);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    is_int(count, PRODUCERS * EACH, "every node came once");
    ok(in_order, "each producer's in its order");
    ok(np_queue_empty(&queue), "and the queue is empty");
    free(items);
    return done();
}
