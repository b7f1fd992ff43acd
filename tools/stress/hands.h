/* SPDX-License-Identifier: MIT
 *
 * What the files of actions share: hands, the things that all workers see, and the list of all
 * actions. */
#ifndef STRESS_HANDS_H
#define STRESS_HANDS_H

#include <pthread.h>

#include "tests/random.h"
#include "tools/stress/actions.h"

enum { BOARD_SLOTS = 60, BOARD_FIRST = 4, PEEK_SLOTS = 16, FIGHT_SLOTS = 4, IMMORTALS_MOST = 40 };

/* Boards: (c), their slots any thread's. The rest under the lock, which is taken by
 * neap_mutex_lock. */
extern struct shared {
    pthread_mutex_t lock;
    struct node *boards[BOARDS], *peek_board, *fight_board;
    struct node *mail[MAIL];
    struct block blocks[MAIL];
    struct weak_entry weaks[SHARED_WEAKS];
    unsigned immortals;
} shared;

static inline uint32_t roll(struct worker *worker, uint32_t sides)
{
    return (uint32_t)(harness_random(&worker->random) >> 32) % sides;
}

/* What the hand holds goes. */
void empty_hand(struct worker *worker, uint32_t index);
/* object, a hand already, into any hand; NULL is fine. */
void keep(struct worker *worker, struct node *object);
/* A borrow from any hand, or NULL. */
struct node *any_hand(struct worker *worker);
/* One that has slots. */
struct node *any_parent(struct worker *worker);
uint32_t any_slot(struct worker *worker, const struct node *object, bool atomic);
struct node *any_board(struct worker *worker, uint32_t *ret_slot);

/* A new object of any kind, as a hand; of a kind with four slots. NULL without memory. */
struct node *make_any(struct worker *worker);
struct node *make_parent(struct worker *worker);
/* Each of made refers to up to four later ones. */
void link_tree(struct worker *worker, struct node **made, uint32_t count);

void containers_begin(void);
void containers_drop(void);

void weak_drop(struct weak_entry *entry);
void block_free(struct block *block);

#define ACTIONS(X) \
    X(make) \
    X(make_linked) \
    X(graph) \
    X(bury) \
    X(unearth) \
    X(publish) \
    X(load) \
    X(swap) \
    X(clear) \
    X(fight) \
    X(link) \
    X(walk) \
    X(set) \
    X(take) \
    X(drop) \
    X(count) \
    X(send) \
    X(receive) \
    X(message) \
    X(peek_publish) \
    X(peek) \
    X(weak) \
    X(weak_look) \
    X(weak_share) \
    X(weak_shared) \
    X(cleanup) \
    X(defer) \
    X(undefer) \
    X(immortalize) \
    X(lock) \
    X(block) \
    X(block_resize) \
    X(block_pass) \
    X(trim) \
    X(safepoint) \
    X(block_region) \
    X(attach) \
    X(thread) \
    X(collect) \
    X(pending) \
    X(walker) \
    X(freeze) \
    X(list) \
    X(map) \
    X(channel) \
    X(weak_map) \
    X(trace) \
    X(fork)

#define DECLARE(name) void act_##name(struct worker *worker);
ACTIONS(DECLARE)
#undef DECLARE

#endif
