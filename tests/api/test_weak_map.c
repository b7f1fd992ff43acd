/* SPDX-License-Identifier: MIT
 *
 * Weak maps keep a value while both the map and its key live: not longer, also when values lead
 * back to their keys or to the map, singly or in long chains, and not shorter; by counting and by
 * collecting; with keys of every kind; beside threads. */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

struct node {
    void *link, *other;
    int id;
};
static int alive;
static void node_dispose(void *self)
{
    (void)self;
    __atomic_fetch_sub(&alive, 1, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(node, (link, other), .dispose = node_dispose);

/* The same without a disposal: garbage that no user code has to see. */
struct plain {
    void *link;
};
NEAP_DEFINE_TYPE(plain, (link));

/* And without slots. */
struct leaf {
    int id;
};
NEAP_DEFINE_TYPE(leaf, ());

struct phoenix {
    void *link;
};
static struct phoenix *risen; /* of the thread that finds times_risen raised */
static int times_risen;
static void phoenix_finalize(void *self)
{
    risen = neap_retain((struct phoenix *)self);
    __atomic_fetch_add(&times_risen, 1, __ATOMIC_RELEASE);
}
NEAP_DEFINE_TYPE(phoenix, (link), .finalize = phoenix_finalize);

/* Whose garbage waits for a peek grace period and is looked at again. */
struct page {
    void *link;
};
NEAP_DEFINE_TYPE(page, (link), .flags = NEAP_PEEKABLE);

static struct node *make(void)
{
    __atomic_fetch_add(&alive, 1, __ATOMIC_RELAXED);
    return neap_new(node);
}

/* ---- what a collection has done, also where others collect and were first ---- */

static bool alone;

/* Of so many objects that are garbage; more means that something living was taken for garbage. */
static void finds(int generation, ptrdiff_t garbage, const char *what)
{
    ptrdiff_t found = neap_collect(alone ? generation : 2);
    ok(alone ? found == garbage : found >= 0 && found <= garbage, "%s (%td of %td)", what, found,
       garbage);
}

static void living(int count, const char *what)
{
    harness_await(&alive, count);
    is_int(__atomic_load_n(&alive, __ATOMIC_RELAXED), count, "%s", what);
}

struct entries {
    const struct neap_weak_map *map;
    size_t count;
};

static bool are_there(void *arg)
{
    const struct entries *entries = arg;
    return neap_weak_map_count(entries->map) == entries->count;
}

static void has_entries(const struct neap_weak_map *map, size_t count, const char *what)
{
    (void)harness_await_that(are_there, &(struct entries){map, count});
    is_int(neap_weak_map_count(map), count, "%s", what);
}

/* map[key] = value, whose reference is given up. */
static void enter(struct neap_weak_map *map, void *key, void *value)
{
    if (neap_weak_map_set(map, key, value) != NEAP_OK)
        bail("out of memory");
    neap_release(value);
}

static void basics(void)
{
    struct neap_weak_map *map = neap_weak_map_new(), *second = neap_weak_map_new();
    struct node *key = make(), *value = make();
    ok(neap_weak_map_get(map, key) == NULL && neap_weak_map_count(map) == 0, "a new map is empty");
    is_int(neap_weak_map_set(map, key, value), NEAP_OK, "set");
    is_int(neap_refcount(key), 1, "does not count the key");
    is_int(neap_refcount(value), 2, "counts the value");
    struct node *found = neap_weak_map_get(map, key);
    ok(found == value && neap_refcount(value) == 3, "get gives a reference");
    neap_release(found);
    ok(neap_weak_map_get(second, key) == NULL, "another map knows nothing of it");
    is_int(neap_weak_map_set(map, key, key), NEAP_OK, "set again");
    ok(neap_refcount(value) == 1 && neap_weak_map_count(map) == 1, "replaces the value");
    is_int(neap_weak_map_set(map, NULL, value), NEAP_EINVAL, "NULL is no key");
    is_int(neap_weak_map_set(map, key, NULL), NEAP_EINVAL, "and no value");
    ok(neap_weak_map_remove(map, key) && !neap_weak_map_remove(map, key), "remove, once");
    is_int(neap_refcount(key), 1, "gives the value back");
    enter(map, key, value);
    enter(second, key, make());
    neap_release(key);
    living(0, "the key's death takes all entries and their values with it");
    ok(neap_weak_map_count(map) == 0 && neap_weak_map_count(second) == 0, "from every map");
    key = make();
    enter(map, key, make());
    enter(map, map, make());
    neap_release(map);
    living(1, "a map's death releases its values, of itself too");
    ok(neap_weak_map_get(second, key) == NULL, "and nothing of other maps");
    neap_release(key);
    neap_release(second);
    living(0, "nothing is left");
}

/* Collections of some generations only: a map that lives is looked at entry by entry there too. */
static void young_entries(void)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct plain *a = neap_new(plain), *b = neap_new(plain);
    neap_set((struct plain **)&b->link, a);
    enter(map, a, b);
    finds(0, 0, "young: a key that is held keeps its value");
    has_entries(map, 1, "and its entry");
    neap_release(a);
    finds(1, 2, "young: a value that holds its own key does not keep it");
    has_entries(map, 0, "and the young entry is gone");
    neap_release(map);
}

static void values_that_know_their_keys(void)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct node *key = make(), *value = make();
    neap_set((struct node **)&value->link, key);
    enter(map, key, value);
    finds(2, 0, "a key that is held keeps its value");
    living(2, "both live");
    neap_release(key);
    finds(2, 2, "a value that holds its own key does not keep it");
    living(0, "both die");
    has_entries(map, 0, "and the entry is gone");

    struct plain *a = neap_new(plain), *b = neap_new(plain);
    neap_set((struct plain **)&b->link, a);
    enter(map, a, b);
    neap_release(a);
    finds(2, 2, "the same without any code to run");

    struct leaf *leaf = neap_new(leaf);
    struct plain *holder = neap_new(plain);
    neap_set((struct leaf **)&holder->link, leaf);
    enter(map, leaf, holder);
    finds(2, 0, "a key without slots");
    neap_release(leaf);
    finds(2, 2, "is not kept by its value either");
    has_entries(map, 0, "no entry is left");

    struct neap_string *name = neap_string_from("a string is a key by address");
    struct neap_list *list = neap_list_new();
    (void)neap_list_append(list, name);
    enter(map, name, list);
    neap_release(name);
    finds(2, 2, "nor is a string");
    has_entries(map, 0, "and its entry goes");
    neap_release(map);
}

static void peekable_ones(void)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct page *page = neap_new(page), *key = neap_new(page);
    (void)neap_weak_map_set(map, page, page);
    neap_release(page);
    finds(2, 1, "a peekable key that is its own value dies");
    neap_set((struct page **)&key->link, page = neap_new(page));
    neap_set((struct page **)&page->link, key);
    (void)neap_weak_map_set(map, key, page);
    neap_release(page);
    finds(2, 0, "one that is held keeps its value");
    has_entries(map, 1, "and its entry");
    neap_release(key);
    finds(2, 2, "and when nobody holds it both die");
    has_entries(map, 0, "and the entry is gone");
    neap_release(map);
}

static void maps_in_cycles(void)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct node *key = make(), *value = make();
    neap_set((struct neap_weak_map **)&value->link, map);
    enter(map, key, value);
    neap_release(map);
    finds(2, 2, "a map that only its own value holds");
    living(1, "dies before its key");
    neap_release(key);

    map = neap_weak_map_new();
    key = make();
    value = make();
    neap_set((struct neap_weak_map **)&key->link, map);
    neap_set((struct node **)&value->link, key);
    enter(map, key, value);
    neap_release(map);
    finds(2, 0, "a key that holds its map");
    living(2, "keeps it and the value");
    neap_release(key);
    finds(2, 3, "until nobody holds the key");
    living(0, "nothing is left");
}

/* value i is key i + 1: only the first key is held. */
static void chains(int length, bool backwards)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct node **nodes = calloc((size_t)length, sizeof *nodes);
    for (int i = 0; i < length; i++) {
        nodes[i] = make();
        neap_set((struct node **)&nodes[i]->link, nodes[0]);
    }
    for (int k = 0; k < length - 1; k++) {
        int i = backwards ? length - 2 - k : k;
        neap_weak_map_set(map, nodes[i], nodes[i + 1]);
    }
    for (int i = 1; i < length; i++)
        neap_release(nodes[i]);
    diag("a chain of %d entries", length);
    finds(2, 0, "a chain of entries that hangs on one key lives");
    has_entries(map, (size_t)length - 1, "whole");
    neap_release(nodes[0]);
    finds(2, length, "and dies whole");
    has_entries(map, 0, "leaving nothing in the map");
    living(0, "nor anywhere");
    free(nodes);
    neap_release(map);
}

static void revival(void)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct phoenix *key = neap_new(phoenix);
    struct node *value = make();
    neap_set((struct phoenix **)&value->link, key);
    enter(map, key, value);
    neap_release(key);
    (void)neap_collect(2);
    harness_await(&times_risen, 1);
    ok(__atomic_load_n(&times_risen, __ATOMIC_ACQUIRE) == 1 && risen == key,
       "a key's finalizer brings it back");
    has_entries(map, 0, "its entry is gone for good");
    neap_collect(2);
    living(0, "and the value with it");
    struct phoenix *again = risen;
    enter(map, again, make());
    ok(neap_weak_map_count(map) == 1, "it can be entered again");
    neap_release(again);
    living(0, "and dies in the end");
    neap_release(map);
}

static void generations(void)
{
    struct neap_weak_map *map = neap_weak_map_new();
    struct node *old_key = make();
    for (int i = 0; i < 3; i++)
        neap_collect(2);
    for (int round = 0; round < 3; round++) {
        struct node *young = make(), *value = make();
        neap_set((struct node **)&value->link, young);
        enter(map, young, value);
        enter(map, old_key, make());
        neap_release(young);
        neap_collect(round);
    }
    neap_collect(2);
    has_entries(map, 1, "old and young keys, collected by generation");
    living(2, "what is held lives");
    neap_release(map);
    neap_release(old_key);
    living(0, "and goes");
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 1500, SHARED = 16 };
static int wrong;

struct board {
    struct node *keys[SHARED];
    struct neap_weak_map *map;
};
NEAP_DEFINE_TYPE(board, (NEAP_ATOMIC(keys), map));

static void churn(void *arg, unsigned index)
{
    struct board *board = arg;
    uint64_t state = 99 + index;
    for (int i = 0; i < ROUNDS; i++) {
        size_t place = harness_random(&state) % SHARED;
        struct node *key = neap_load(&board->keys[place]);
        struct node *value = make();
        value->id = (int)place;
        if (key != NULL && i % 3 == 0) {
            neap_set((struct node **)&value->link, key);
            neap_weak_map_set(board->map, key, value);
        } else if (key != NULL) {
            struct node *found = neap_weak_map_get(board->map, key);
            if (found != NULL && (found->id != (int)place || found->link != key))
                __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
            neap_release(found);
        }
        neap_release(value);
        neap_release(key);
        if (i % 5 == 0) {
            key = make();
            neap_store(&board->keys[place], key);
            neap_release(key);
        }
        if (i % 97 == 0)
            neap_weak_map_remove(board->map, board);
        if (i % 300 == 0)
            neap_collect(2);
        neap_safepoint();
    }
}

static bool few_are_left(void *map)
{
    return neap_weak_map_count(map) <= SHARED;
}

static void together(void)
{
    struct board *board = neap_new(board);
    neap_give(&board->map, neap_weak_map_new());
    harness_run(THREADS, churn, board);
    is_int(wrong, 0, "no key ever gave another key's value");
    (void)neap_collect(2);
    ok(harness_await_that(few_are_left, board->map), "only living keys have entries (%zu)",
       neap_weak_map_count(board->map));
    neap_release(board);
    neap_collect(2);
    living(0, "nothing is left");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    alone = harness_is_alone();
    if (alone)
        neap_gc_disable();
    basics();
    young_entries();
    values_that_know_their_keys();
    peekable_ones();
    maps_in_cycles();
    chains(2, false);
    chains(3000, false);
    chains(3000, true);
    revival();
    generations();
    neap_gc_enable();
    together();
    return harness_end();
}
