/* SPDX-License-Identifier: MIT
 *
 * What does not keep an object alive: peeks, weak references, callbacks, cleanups. */
#include <sched.h>

#include "tools/stress/hands.h"
#include "tools/stress/story.h"

_Atomic long weaks_alive;

/* ---- peeking ---- */

void act_peek_publish(struct worker *worker)
{
    struct node *object = object_make(PEEKED, 0);
    edge_exchange(shared.peek_board, BOARD_FIRST + roll(worker, PEEK_SLOTS), object);
    if (object != NULL)
        keep(worker, object);
}

static void check_peeked(const struct node *object)
{
    uint32_t id = object->head.id;
    if (id == 0 || id >= RECORDS || records[id].object != object ||
        atomic_load(&records[id].state) != ALIVE)
        story_lie(id < RECORDS ? id : 0, 0, "peek: %p is not a living object",
                  (const void *)object);
}

void act_peek(struct worker *worker)
{
    for (int i = 0; i < 8; i++) {
        uint32_t slot = BOARD_FIRST + roll(worker, PEEK_SLOTS);
        struct node *object = neap_peek(object_slot(shared.peek_board, slot));
        if (object == NULL)
            continue;
        check_peeked(object);
        if (roll(worker, 4) == 0) { /* no quiescent point: it stays readable */
            sched_yield();
            check_peeked(object);
        }
        struct node *kept = neap_try_retain(object);
        if (kept == NULL)
            continue;
        hand_take(kept, "try retain");
        keep(worker, kept);
    }
}

/* ---- weak references ---- */

void weak_look(struct weak_entry *entry, enum expectation expected, const char *where)
{
    struct node *object = neap_weak_get(entry->weak);
    if (object == NULL) {
        if (expected == SURELY_ALIVE)
            story_lie(entry->id, 0, "%s: a weak reference says that %u is dead, and it is alive",
                      where, entry->id);
        return;
    }
    if (expected == SURELY_DEAD || object->head.id != entry->id ||
        records[entry->id].serial != entry->serial)
        story_lie(entry->id, object->head.id < RECORDS ? object->head.id : 0,
                  "%s: a weak reference to %u (dead: %s) gives out %p", where, entry->id,
                  expected == SURELY_DEAD ? "yes" : "perhaps", (void *)object);
    hand_take(object, "weak get");
    hand_give(object);
}

void weak_drop(struct weak_entry *entry)
{
    struct neap_weak *weak = entry->weak;
    if (weak == NULL)
        return;
    *entry = (struct weak_entry){0};
    neap_release(weak);
    atomic_fetch_sub(&weaks_alive, 1);
}

static void called_back(struct neap_weak *weak, void *arg)
{
    struct record *record = arg;
    if (neap_weak_get(weak) != NULL)
        story_lie((uint32_t)(record - records), 0, "a weak reference whose callback runs is alive");
}

void act_weak(struct worker *worker)
{
    uint32_t index = roll(worker, WEAKS);
    struct weak_entry *entry = &worker->weaks[index];
    struct node *object = worker->hands[index];
    if (object == NULL)
        return;
    weak_drop(entry);
    struct record *record = object_check(object, "weak new");
    struct neap_weak *weak = roll(worker, 4) == 0 ? neap_weak_new_with(object, called_back, record)
                                                  : neap_weak_new(object);
    if (weak == NULL)
        return;
    story_note("weak new", object->head.id, 0);
    atomic_fetch_add(&weaks_alive, 1);
    *entry = (struct weak_entry){weak, object->head.id, record->serial, false, true};
}

void act_weak_look(struct worker *worker)
{
    for (uint32_t i = 0; i < WEAKS; i++) {
        struct weak_entry *entry = &worker->weaks[i];
        if (entry->weak != NULL)
            weak_look(entry,
                      entry->dead       ? SURELY_DEAD
                      : entry->followed ? SURELY_ALIVE
                                        : UNKNOWN,
                      "weak");
    }
}

void act_weak_share(struct worker *worker)
{
    struct weak_entry *entry = &worker->weaks[roll(worker, WEAKS)], mine = *entry;
    *entry = (struct weak_entry){0};
    mine.followed = false;
    (void)neap_mutex_lock(&shared.lock);
    struct weak_entry *place = &shared.weaks[roll(worker, SHARED_WEAKS)], other = *place;
    *place = mine;
    pthread_mutex_unlock(&shared.lock);
    weak_drop(&other);
}

void act_weak_shared(struct worker *worker)
{
    for (int i = 0; i < 8; i++) {
        (void)neap_mutex_lock(&shared.lock);
        struct weak_entry entry = shared.weaks[roll(worker, SHARED_WEAKS)];
        if (entry.weak != NULL)
            (void)neap_retain(entry.weak);
        pthread_mutex_unlock(&shared.lock);
        if (entry.weak == NULL)
            continue;
        weak_look(&entry, entry.dead ? SURELY_DEAD : UNKNOWN, "shared weak");
        neap_release(entry.weak);
    }
}

static void cleanup(void *arg)
{
    atomic_fetch_sub((atomic_long *)arg, 1);
}

void act_cleanup(struct worker *worker)
{
    static atomic_long due;
    struct node *object = any_hand(worker);
    if (object == NULL)
        return;
    atomic_fetch_add(&due, 1);
    if (neap_cleanup_add(object, cleanup, &due) != NEAP_OK)
        atomic_fetch_sub(&due, 1);
}
