/* SPDX-License-Identifier: MIT
 *
 * Containers: a map that all threads read and write. What its keys hold is kept as slots are: the
 * exclusive or of the ids that went in and came out. Every key has objects of its own, and no other
 * comes out. */
#include "tools/stress/hands.h"
#include "tools/stress/story.h"

enum { KEYS = 48, FIRST_HOME = 1000 };

static struct neap_map *map;
static struct neap_string *keys[KEYS];
static _Atomic uint32_t held[KEYS];

void containers_begin(void)
{
    map = neap_map_new();
    for (unsigned i = 0; map != NULL && i < KEYS; i++) {
        char name[2] = {(char)('0' + i), '\0'};
        keys[i] = neap_string_from(name);
        if (keys[i] == NULL)
            map = NULL;
    }
    if (map == NULL)
        story_lie(0, 0, "no memory for the map");
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

void containers_each_root(void (*root)(uint32_t id, void *arg), void *arg)
{
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
    for (uint32_t key = 0; key < KEYS; key++) {
        struct node *object = neap_map_take(map, keys[key]);
        if (object == NULL)
            continue;
        came_out(object, key);
        hand_give(object);
    }
}

/* What the map and its keys are themselves is not an object of the oracle's: it goes uncounted. */
void containers_end(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        neap_release(keys[i]);
        keys[i] = NULL;
    }
    neap_release(map);
    map = NULL;
}
