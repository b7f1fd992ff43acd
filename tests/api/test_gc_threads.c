/* SPDX-License-Identifier: MIT
 *
 * Eight threads on two cores make, share and drop cyclic graphs while collections of every
 * generation run. Every node carries a canary that its disposal destroys: a node in hand is whole,
 * and in the end all are disposed of, once. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/harness.h"

enum { THREADS = 8, ROUNDS = 3000, BOARD = 64, CANARY = 0x74687264 };

struct node {
    struct node *next, *prev;
    struct node *link; /* atomic */
    uint64_t canary;
};

static atomic_long made, gone, broken;

static void node_dispose(void *self)
{
    struct node *node = self;
    if (node->canary != CANARY)
        atomic_fetch_add(&broken, 1);
    node->canary = 0;
    atomic_fetch_add(&gone, 1);
}
NEAP_DEFINE_TYPE(node, (next, prev, NEAP_ATOMIC(link)), .dispose = node_dispose);

struct board {
    struct node *places[BOARD];
};
NEAP_DEFINE_TYPE(board, (NEAP_ATOMIC(places)));

static struct node *ring(uint64_t length)
{
    struct node *first = NULL, *last = NULL;
    for (uint64_t i = 0; i < length; i++) {
        struct node *node = neap_new(node);
        node->canary = CANARY;
        atomic_fetch_add(&made, 1);
        if (first == NULL) {
            first = last = node;
            continue;
        }
        neap_set(&node->prev, last);
        neap_give(&last->next, node);
        last = last->next;
    }
    neap_set(&last->next, first);
    neap_set(&first->prev, last);
    return first;
}

static void share(void *arg, unsigned index)
{
    struct board *board = arg;
    uint64_t random = harness_seed() + index;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned place = (unsigned)(harness_random(&random) % BOARD);
        struct node *mine = ring(1 + harness_random(&random) % 12);
        struct node *theirs = neap_load(&board->places[harness_random(&random) % BOARD]);
        if (theirs != NULL) {
            if (theirs->canary != CANARY)
                atomic_fetch_add(&broken, 1);
            neap_store(&mine->link, theirs);
            struct node *beyond = neap_load(&theirs->link);
            if (beyond != NULL && beyond->canary != CANARY)
                atomic_fetch_add(&broken, 1);
            neap_release(beyond);
            if (harness_random(&random) % 2 == 0)
                neap_store(&theirs->link, mine);
            neap_release(theirs);
        }
        neap_store(&board->places[place], mine);
        neap_release(mine);
        if (harness_random(&random) % 256 == 0 &&
            neap_collect((int)(harness_random(&random) % 3)) < 0)
            atomic_fetch_add(&broken, 1);
        neap_safepoint();
    }
}

int main(void)
{
    plan_lazy();
    harness_begin();
    (void)harness_seed();
    struct board *board = neap_new(board);
    harness_run(THREADS, share, board);
    is_int(atomic_load(&broken), 0, "every node in hand was whole");
    neap_release(board);
    harness_calm();
    while (neap_collect(2) > 0)
        ;
    is_int(atomic_load(&gone), atomic_load(&made), "every node was disposed of, once");
    return harness_end();
}
