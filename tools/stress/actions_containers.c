/* SPDX-License-Identifier: MIT
 *
 * Containers that all threads use.
 *
 * A map. What its keys hold is kept as slots are: the exclusive or of the ids that went in and came
 * out. Every key has objects of its own, and no other comes out.
 *
 * A channel. A message in it is a hand; as many come out as went in.
 *
 * A weak map, made when it is first used and gone with the round, since collections take another
 * way while there is one. Which value belongs to an object as key is in the object's record
 * (`ward`), under a lock that is held around the map's call too: whoever has the key in hand finds
 * exactly that value. Where finalizers bring objects back, those may have lost their entries. */
#include "tools/stress/hands.h"
#include "tools/stress/story.h"

enum { KEYS = 48, FIRST_HOME = 1000, CHANNEL_ROOM = 24, WARD_LOCKS = 16 };

static struct neap_map *map;
static struct neap_string *keys[KEYS];
static _Atomic uint32_t held[KEYS];

static struct neap_channel *channel;
static _Atomic long sent; /* and not received */

static struct neap_weak_map *_Atomic wards;
static pthread_mutex_t ward_locks[WARD_LOCKS] = {[0 ... WARD_LOCKS - 1] =
                                                     PTHREAD_MUTEX_INITIALIZER};

/* It has not come, and there is no going without. */
static void need(const char *what)
{
    if (!refused(NEAP_ENOMEM))
        story_lie(0, 0, "no memory for %s", what);
}

void containers_begin(void)
{
    while ((channel = neap_channel_new(CHANNEL_ROOM)) == NULL)
        need("the channel");
    while ((map = neap_map_new()) == NULL)
        need("the map");
    for (unsigned i = 0; i < KEYS; i++) {
        char name[2] = {(char)('0' + i), '\0'};
        while ((keys[i] = neap_string_from(name)) == NULL)
            need("a key");
    }
}

static void check_home(const struct node *object, uint32_t key)
{
    if (records[object->head.id].home != FIRST_HOME + key)
        story_lie(object->head.id, 0, "key %u gives out object %u, which was never there", key,
                  object->head.id);
}

static void came_out(struct node *object, uint32_t key)
{
    hand_take(object, "out of the map");
    check_home(object, key);
    atomic_fetch_xor(&held[key], object->head.id);
}

static struct node *make_for(struct worker *worker, uint32_t key)
{
    struct node *object = make_any(worker);
    if (object != NULL)
        records[object->head.id].home = FIRST_HOME + key;
    return object;
}

static void put(struct worker *worker, uint32_t key)
{
    struct node *object = make_for(worker, key);
    struct node *found = object != NULL ? neap_map_set_default(map, keys[key], object) : NULL;
    if (found != NULL) {
        hand_take(found, "in the map");
        check_home(found, key);
        if (found == object)
            atomic_fetch_xor(&held[key], object->head.id);
        hand_give(found);
    }
    if (object != NULL)
        hand_give(object);
}

static void replace(struct worker *worker, uint32_t key)
{
    struct node *old = neap_map_get(map, keys[key]), *object = make_for(worker, key);
    if (old != NULL) {
        hand_take(old, "in the map");
        check_home(old, key);
    }
    if (neap_map_compare_exchange(map, keys[key], old, object) == NEAP_OK)
        atomic_fetch_xor(&held[key], object_id(old) ^ object_id(object));
    if (old != NULL)
        hand_give(old);
    if (object != NULL)
        hand_give(object);
}

static bool see(struct neap_string *key, void *value, void *arg)
{
    (void)key;
    (void)object_check(value, "walk through the map");
    ++*(unsigned *)arg;
    return true;
}

void act_map(struct worker *worker)
{
    for (int i = 0; i < 8; i++) {
        uint32_t key = roll(worker, KEYS), choice = roll(worker, 40);
        struct node *object;
        if (choice < 16 && (object = neap_map_get(map, keys[key])) != NULL) {
            hand_take(object, "in the map");
            check_home(object, key);
            hand_give(object);
        } else if (choice < 24) {
            put(worker, key);
        } else if (choice < 31) {
            replace(worker, key);
        } else if (choice < 39) {
            object = neap_map_take(map, keys[key]);
            if (object == NULL)
                continue;
            came_out(object, key);
            hand_give(object);
        } else {
            unsigned seen = 0;
            if (neap_map_each(map, see, &seen) != seen || seen > KEYS)
                story_lie(0, 0, "a walk through %d keys shows %u", KEYS, seen);
        }
    }
}

/* ---- the channel ---- */

static void send_any(struct worker *worker)
{
    uint32_t index = roll(worker, HANDS);
    struct node *object = worker->hands[index];
    if (object == NULL)
        return;
    (void)object_check(object, "to be sent");
    uint32_t id = object->head.id;
    story_note("send", id, 0);
    atomic_fetch_add(&sent, 1); /* before: who receives it counts down */
    bool gone = roll(worker, 4) == 0 ? neap_channel_send_within(channel, object, roll(worker, 2))
                                     : neap_channel_try_send(channel, object);
    if (!gone) {
        atomic_fetch_sub(&sent, 1);
        (void)object_check(object, "not sent");
        return;
    }
    worker->hands[index] = NULL;
    if (index < WEAKS)
        worker->weaks[index].followed = false;
}

/* A message that came out is a hand already. */
static struct node *receive(bool waits)
{
    struct node *object =
        waits ? neap_channel_receive_within(channel, 1) : neap_channel_try_receive(channel);
    if (object == NULL)
        return NULL;
    const struct record *record = object_check(object, "out of the channel");
    if (atomic_load(&record->hands) < 1)
        story_lie(object->head.id, 0, "object %u comes out of the channel and is in nobody's hand",
                  object->head.id);
    story_note("receive", object->head.id, 0);
    atomic_fetch_sub(&sent, 1);
    return object;
}

void act_channel(struct worker *worker)
{
    for (int i = 0; i < 6; i++)
        if (roll(worker, 2) == 0)
            send_any(worker);
        else
            keep(worker, receive(roll(worker, 8) == 0));
}

/* ---- the weak map ---- */

static struct neap_weak_map *weak_map(void)
{
    struct neap_weak_map *found = atomic_load(&wards);
    if (found != NULL)
        return found;
    struct neap_weak_map *made = neap_weak_map_new();
    if (made == NULL)
        return NULL;
    if (atomic_compare_exchange_strong(&wards, &found, made)) {
        atomic_fetch_add(&weaks_alive, 1);
        return made;
    }
    neap_release(made);
    return found;
}

static pthread_mutex_t *lock_ward(const struct node *key)
{
    pthread_mutex_t *lock = &ward_locks[key->head.id % WARD_LOCKS];
    (void)neap_mutex_lock(lock);
    return lock;
}

/* The caller has the key in hand, or the world is quiet and the key is reached. */
static void check_ward(struct node *key)
{
    struct record *record = &records[key->head.id];
    struct node *value = neap_weak_map_get(atomic_load(&wards), key);
    uint32_t expected = atomic_load(&record->ward);
    if (value == NULL && stress_revives)
        atomic_store(&record->ward, 0);
    else if (value != (expected != 0 ? records[expected].object : NULL))
        story_lie(key->head.id, expected, "to key %u the weak map gives %p, which is not object %u",
                  key->head.id, (void *)value, expected);
    if (value != NULL) {
        (void)object_check(value, "in the weak map");
        neap_release(value);
    }
}

void ward_check(struct node *key)
{
    if (atomic_load(&wards) != NULL)
        check_ward(key);
}

void act_weak_map(struct worker *worker)
{
    struct node *key = any_hand(worker), *value = any_hand(worker);
    struct neap_weak_map *map_now = weak_map();
    if (key == NULL || map_now == NULL)
        return;
    uint32_t choice = roll(worker, 8);
    pthread_mutex_t *lock = lock_ward(key);
    struct record *record = &records[key->head.id];
    if (choice < 4 && value != NULL) {
        story_note("ward", key->head.id, value->head.id);
        if (neap_weak_map_set(map_now, key, value) == NEAP_OK)
            atomic_store(&record->ward, value->head.id);
    } else if (choice < 5) {
        story_note("no ward", key->head.id, 0);
        (void)neap_weak_map_remove(map_now, key);
        atomic_store(&record->ward, 0);
    } else {
        check_ward(key);
    }
    pthread_mutex_unlock(lock);
}

static void drop_wards(void)
{
    struct neap_weak_map *last = atomic_exchange(&wards, NULL);
    if (last == NULL)
        return;
    neap_release(last);
    atomic_fetch_sub(&weaks_alive, 1);
    for (uint32_t id = 1; id < RECORDS; id++)
        atomic_store_explicit(&records[id].ward, 0, memory_order_relaxed);
}

/* ---- all ---- */

void containers_each_root(void (*root)(uint32_t id, void *arg), void *arg)
{
    long in_channel = atomic_load(&sent);
    if ((long)neap_channel_count(channel) != in_channel)
        story_lie(0, 0, "the channel holds %zu messages, and %ld were sent and not received",
                  neap_channel_count(channel), in_channel);
    for (uint32_t key = 0; key < KEYS; key++) {
        uint32_t id = atomic_load(&held[key]);
        struct node *object = neap_map_get(map, keys[key]);
        if (object != (id != 0 ? records[id].object : NULL))
            story_lie(id, 0, "key %u holds %p, which is not object %u", key, (void *)object, id);
        neap_release(object);
        if (id != 0)
            root(id, arg);
    }
}

void containers_drop(void)
{
    struct node *message;
    while ((message = receive(false)) != NULL)
        hand_give(message);
    drop_wards();
    for (uint32_t key = 0; key < KEYS; key++) {
        struct node *object = neap_map_take(map, keys[key]);
        if (object == NULL)
            continue;
        came_out(object, key);
        hand_give(object);
    }
}

/* What the map, its keys and the channel are themselves is not an object of the oracle's: it goes
 * uncounted. */
void containers_end(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        neap_release(keys[i]);
        keys[i] = NULL;
    }
    neap_release(map);
    map = NULL;
    neap_release(channel);
    channel = NULL;
}
