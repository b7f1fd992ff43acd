/* SPDX-License-Identifier: MIT
 *
 * Making, sharing, counting, queues. Each action takes what it needs from random hands and leaves
 * what it got in a random hand, so that what one thread makes is soon in everybody's. */
#include "tools/stress/hands.h"
#include "tools/stress/story.h"

struct shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- hands ---- */

void empty_hand(struct worker *worker, uint32_t index)
{
    struct node *object = worker->hands[index];
    worker->hands[index] = NULL;
    if (index < WEAKS)
        worker->weaks[index].followed = false;
    if (object != NULL)
        hand_give(object);
}

void keep(struct worker *worker, struct node *object)
{
    if (object == NULL)
        return;
    uint32_t index = roll(worker, HANDS);
    empty_hand(worker, index);
    worker->hands[index] = object;
}

struct node *any_hand(struct worker *worker)
{
    struct node *object = worker->hands[roll(worker, HANDS)];
    if (object != NULL)
        (void)object_check(object, "hand");
    return object;
}

struct node *any_parent(struct worker *worker)
{
    for (int i = 0; i < 4; i++) {
        struct node *object = any_hand(worker);
        if (object != NULL && object_slots(object) > 0)
            return object;
    }
    return NULL;
}

uint32_t any_slot(struct worker *worker, const struct node *object, bool atomic)
{
    uint32_t count = object_slots(object), index = roll(worker, count);
    while (slot_is_atomic(object, index) != atomic)
        index = (index + 1) % count;
    return index;
}

struct node *any_board(struct worker *worker, uint32_t *ret_slot)
{
    *ret_slot = BOARD_FIRST + roll(worker, BOARD_SLOTS);
    return shared.boards[roll(worker, BOARDS)];
}

/* ---- making ---- */

static enum kind any_kind(struct worker *worker)
{
    static const uint8_t kinds[] = {NODE, NODE, NODE,    NODE,    QUIET,  QUIET,  LEAF, LEAF,
                                    BARE, BARE, PHOENIX, PHOENIX, PEEKED, PROMPT, BIG,  ROWS};
    return (enum kind)kinds[roll(worker, sizeof kinds)];
}

struct node *make_any(struct worker *worker)
{
    enum kind kind = any_kind(worker);
    uint32_t more = roll(worker, 12);
    if (kind == BIG && roll(worker, 20) == 0)
        more = roll(worker, 2000);
    return object_make(kind, more);
}

struct node *make_parent(struct worker *worker)
{
    static const uint8_t kinds[] = {NODE, NODE, NODE, QUIET, QUIET, PHOENIX, PROMPT, PEEKED};
    return object_make((enum kind)kinds[roll(worker, sizeof kinds)], 0);
}

void act_make(struct worker *worker)
{
    keep(worker, make_any(worker));
}

/* Linked to what is at hand before anybody else sees it. */
void act_make_linked(struct worker *worker)
{
    struct node *object = make_parent(worker);
    for (uint32_t i = 0; object != NULL && i < 4; i++) {
        struct node *child = any_hand(worker);
        if (child != NULL)
            edge_build(object, i, child);
    }
    keep(worker, object);
}

/* Two quiet objects that only their maker has ever had hold of, one in the other's plain slot; what
 * others do to them is what a thread's collection of its own objects has to notice. */
void act_bury(struct worker *worker)
{
    struct node *outer = object_make(QUIET, 0), *inner = object_make(QUIET, 0);
    if (outer != NULL && inner != NULL) {
        edge_build(outer, 0, inner);
        edge_set(shared.boards[roll(worker, BOARDS)], roll(worker, 2), outer);
    }
    if (outer != NULL)
        hand_give(outer);
    if (inner != NULL)
        hand_give(inner);
}

void act_unearth(struct worker *worker)
{
    for (int i = 0; i < 4; i++) {
        struct node *outer = edge_get(shared.boards[roll(worker, BOARDS)], roll(worker, 2));
        if (outer == NULL)
            continue;
        keep(worker, edge_take(outer, 0));
        hand_give(outer);
    }
}

/* count objects, each linked by link, then all but one dropped. */
static void build(struct worker *worker, uint32_t count,
                  void (*link)(struct worker *worker, struct node **made, uint32_t count))
{
    struct node *made[48];
    uint32_t have = 0;
    while (have < count && (made[have] = make_parent(worker)) != NULL)
        have++;
    if (have == 0)
        return;
    link(worker, made, have);
    keep(worker, made[0]);
    for (uint32_t i = 1; i < have; i++)
        hand_give(made[i]);
}

static void link_ring(struct worker *worker, struct node **made, uint32_t count)
{
    (void)worker;
    for (uint32_t i = 0; i < count; i++)
        edge_build(made[i], 0, made[(i + 1) % count]);
}

static void link_both_ways(struct worker *worker, struct node **made, uint32_t count)
{
    (void)worker;
    for (uint32_t i = 0; i + 1 < count; i++) {
        edge_build(made[i], 0, made[i + 1]);
        edge_build(made[i + 1], 1, made[i]);
    }
}

void link_tree(struct worker *worker, struct node **made, uint32_t count)
{
    (void)worker;
    for (uint32_t i = 1; i < count; i++)
        edge_build(made[(i - 1) / 4], (i - 1) % 4, made[i]);
}

static void link_hub(struct worker *worker, struct node **made, uint32_t count)
{
    (void)worker;
    for (uint32_t i = 1; i < count; i++) {
        edge_build(made[i], 0, made[0]);
        edge_build(made[i], 2, made[i - 1]);
    }
    edge_build(made[0], 1, made[count - 1]);
}

static void link_random(struct worker *worker, struct node **made, uint32_t count)
{
    for (uint32_t i = 0; i < 2 * count; i++)
        edge_build(made[roll(worker, count)], roll(worker, 4), made[roll(worker, count)]);
}

void act_graph(struct worker *worker)
{
    static void (*const links[])(struct worker * worker, struct node * *made, uint32_t count) = {
        link_ring, link_both_ways, link_tree, link_hub, link_random};
    build(worker, 1 + roll(worker, 40), links[roll(worker, 5)]);
}

/* ---- sharing ---- */

void act_publish(struct worker *worker)
{
    uint32_t slot;
    struct node *board = any_board(worker, &slot);
    edge_exchange(board, slot, any_hand(worker));
}

void act_load(struct worker *worker)
{
    uint32_t slot;
    struct node *board = any_board(worker, &slot);
    keep(worker, edge_load(board, slot));
}

void act_swap(struct worker *worker)
{
    uint32_t slot;
    struct node *board = any_board(worker, &slot);
    edge_compare_exchange(board, slot, any_hand(worker));
}

void act_clear(struct worker *worker)
{
    uint32_t slot;
    struct node *board = any_board(worker, &slot);
    edge_exchange(board, slot, NULL);
}

/* Everybody at the same few places: short lives, many hands. Each place has objects of its own, and
 * a load gives out no other. */
void act_fight(struct worker *worker)
{
    for (int i = 0; i < 16; i++) {
        uint32_t slot = BOARD_FIRST + roll(worker, FIGHT_SLOTS);
        if (roll(worker, 3) > 0) {
            struct node *object = edge_load(shared.fight_board, slot);
            if (object == NULL)
                continue;
            if (records[object->head.id].home != slot)
                story_lie(object->head.id, 0,
                          "a load from place %u gives out object %u, which was "
                          "never there",
                          slot, object->head.id);
            hand_give(object);
        } else {
            struct node *object = make_any(worker);
            if (object != NULL)
                records[object->head.id].home = slot;
            edge_exchange(shared.fight_board, slot, object);
            if (object != NULL)
                hand_give(object);
        }
    }
}

void act_link(struct worker *worker)
{
    struct node *object = any_parent(worker);
    if (object != NULL)
        edge_exchange(object, any_slot(worker, object, true), any_hand(worker));
}

void act_walk(struct worker *worker)
{
    struct node *object = any_parent(worker);
    for (int i = 0; object != NULL && i < 6 && object_slots(object) > 0; i++) {
        bool atomic = roll(worker, 2) == 0 || object->head.kind == BIG;
        uint32_t slot = any_slot(worker, object, atomic);
        struct node *next = atomic ? edge_load(object, slot) : edge_get(object, slot);
        if (i > 0)
            keep(worker, object);
        object = next;
        if (next == NULL)
            return;
    }
    keep(worker, object);
}

void act_set(struct worker *worker)
{
    struct node *object = any_parent(worker);
    if (object != NULL)
        edge_set(object, any_slot(worker, object, false), any_hand(worker));
}

void act_take(struct worker *worker)
{
    struct node *object = any_parent(worker);
    if (object != NULL)
        keep(worker, edge_take(object, any_slot(worker, object, false)));
}

void act_drop(struct worker *worker)
{
    empty_hand(worker, roll(worker, HANDS));
}

void act_count(struct worker *worker)
{
    struct node *object = any_hand(worker);
    if (object == NULL)
        return;
    uint32_t times = roll(worker, 8);
    for (uint32_t i = 0; i < times; i++)
        (void)neap_retain(object);
    (void)object_check(object, "retain");
    for (uint32_t i = 0; i < times; i++)
        neap_release(object);
}

/* ---- queues: plain memory under a lock ---- */

void act_send(struct worker *worker)
{
    uint32_t index = roll(worker, HANDS), how = roll(worker, 4);
    struct node *object = worker->hands[index];
    if (object == NULL)
        return;
    worker->hands[index] = NULL;
    if (index < WEAKS)
        worker->weaks[index].followed = false;
    story_note(how == 0 ? "send" : "send, hand over", object->head.id, 0);
    if (how == 1 || how == 2)
        neap_hand_over(object);
    else if (how == 3)
        (void)neap_hand_over_graph(object, roll(worker, 64));
    uint32_t place = roll(worker, MAIL);
    (void)neap_mutex_lock(&shared.lock);
    struct node *other = shared.mail[place];
    shared.mail[place] = object;
    pthread_mutex_unlock(&shared.lock);
    if (other != NULL)
        keep(worker, other);
}

void act_receive(struct worker *worker)
{
    uint32_t place = roll(worker, MAIL);
    (void)neap_mutex_lock(&shared.lock);
    struct node *object = shared.mail[place];
    shared.mail[place] = NULL;
    pthread_mutex_unlock(&shared.lock);
    if (object == NULL)
        return;
    (void)object_check(object, "receive");
    story_note("receive", object->head.id, 0);
    if (roll(worker, 2) == 0)
        (void)neap_adopt(object);
    keep(worker, object);
}

/* A fresh message, handed over whole. */
void act_message(struct worker *worker)
{
    struct node *made[6];
    uint32_t have = 0;
    while (have < 6 && (made[have] = make_parent(worker)) != NULL)
        have++;
    if (have == 0)
        return;
    link_tree(worker, made, have);
    for (uint32_t i = 1; i < have; i++)
        hand_give(made[i]);
    struct node *object = made[0];
    (void)neap_hand_over_graph(object, 16);
    uint32_t place = roll(worker, MAIL);
    (void)neap_mutex_lock(&shared.lock);
    struct node *other = shared.mail[place];
    shared.mail[place] = object;
    pthread_mutex_unlock(&shared.lock);
    if (other != NULL)
        keep(worker, other);
}

/* ---- the shared things ---- */

static struct node *make_board(uint32_t slots)
{
    struct node *board;
    while ((board = object_make(BIG, slots)) == NULL)
        if (!refused(NEAP_ENOMEM))
            story_lie(0, 0, "no memory for the boards");
    return board;
}

void actions_begin(void)
{
    for (unsigned i = 0; i < BOARDS; i++)
        shared.boards[i] = make_board(BOARD_SLOTS);
    shared.peek_board = make_board(PEEK_SLOTS);
    shared.fight_board = make_board(FIGHT_SLOTS);
    limbo = make_board(16);
    containers_begin();
}

static void clear_board(struct node *board)
{
    for (uint32_t i = BOARD_FIRST; i < object_slots(board); i++)
        edge_exchange(board, i, NULL);
}

void actions_drop(void)
{
    for (unsigned i = 0; i < BOARDS; i++)
        clear_board(shared.boards[i]);
    clear_board(shared.peek_board);
    clear_board(shared.fight_board);
    clear_board(limbo);
    containers_drop();
    for (unsigned i = 0; i < MAIL; i++) {
        if (shared.mail[i] != NULL)
            hand_give(shared.mail[i]);
        shared.mail[i] = NULL;
        block_free(&shared.blocks[i]);
    }
    for (unsigned i = 0; i < SHARED_WEAKS; i++)
        weak_drop(&shared.weaks[i]);
}

void actions_end(void)
{
    stress_revives = false;
    actions_drop();
    for (unsigned i = 0; i < BOARDS; i++)
        hand_give(shared.boards[i]);
    hand_give(shared.peek_board);
    hand_give(shared.fight_board);
    hand_give(limbo);
    limbo = NULL;
}

void actions_each_weak(void (*look)(struct weak_entry *entry, void *arg), void *arg)
{
    for (unsigned i = 0; i < SHARED_WEAKS; i++)
        if (shared.weaks[i].weak != NULL)
            look(&shared.weaks[i], arg);
}

void worker_drop(struct worker *worker)
{
    for (uint32_t i = 0; i < HANDS; i++)
        empty_hand(worker, i);
    for (uint32_t i = 0; i < WEAKS; i++)
        weak_drop(&worker->weaks[i]);
    for (uint32_t i = 0; i < BLOCKS; i++)
        block_free(&worker->blocks[i]);
}
