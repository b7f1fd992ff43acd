/* SPDX-License-Identifier: MIT
 *
 * Dynamic objects keep the attributes they are given, in order, few and many, shared names and own
 * ones, and are counted and collected like any other. */
#include <neap/neap.h>

#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

struct thing {
    void *link;
    int id;
};
static int alive;
static void thing_dispose(void *self)
{
    (void)self;
    __atomic_fetch_sub(&alive, 1, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(thing, (link), .dispose = thing_dispose);

/* object.name = a new thing with this id. */
static int put(struct neap_dynamic *object, const char *name, int id)
{
    struct thing *thing = neap_new(thing);
    __atomic_fetch_add(&alive, 1, __ATOMIC_RELAXED);
    thing->id = id;
    int status = neap_attr_set(object, name, thing);
    neap_release(thing);
    return status;
}

static int id_of(struct neap_dynamic *object, const char *name)
{
    struct thing *thing = neap_attr_get(object, name);
    int id = thing != NULL ? thing->id : -1;
    neap_release(thing);
    return id;
}

static bool list_names(struct neap_string *name, void *value, void *arg)
{
    strcat(arg, neap_string_data(name));
    return ((struct thing *)value)->id >= 0;
}

static const char *names_of(struct neap_dynamic *object)
{
    static char text[64];
    text[0] = '\0';
    neap_attr_each(object, list_names, text);
    return text;
}

static void basics(void)
{
    struct neap_dynamic *object = neap_dynamic_new();
    ok(neap_attr_get(object, "a") == NULL && neap_attr_count(object) == 0, "nothing at first");
    ok(put(object, "a", 1) == NEAP_OK && put(object, "b", 2) == NEAP_OK, "set");
    ok(id_of(object, "a") == 1 && id_of(object, "b") == 2, "get");
    is_int(put(object, "a", 3), NEAP_OK, "set again");
    ok(id_of(object, "a") == 3 && alive == 2 && neap_attr_count(object) == 2, "replaces the value");
    is_int(neap_attr_set(object, NULL, object), NEAP_EINVAL, "no name is no attribute");
    is_int(neap_attr_set(object, "n", NULL), NEAP_EINVAL, "nor is no value");
    put(object, "c", 4);
    put(object, "d", 5);
    put(object, "e", 6);
    put(object, "f", 7);
    is_str(names_of(object), "abcdef", "each goes in the order of setting");
    ok(neap_attr_delete(object, "b") && !neap_attr_delete(object, "b"), "delete, once");
    ok(neap_attr_get(object, "b") == NULL && alive == 5, "it is gone");
    is_str(names_of(object), "acdef", "the others keep their order");
    ok(id_of(object, "a") == 3 && id_of(object, "c") == 4 && id_of(object, "f") == 7,
       "and their values");
    put(object, "b", 8);
    put(object, "g", 9);
    is_str(names_of(object), "acdefbg", "a name that comes back is the last");
    struct neap_dynamic *other = neap_dynamic_new();
    put(other, "a", -1);
    put(other, "b", 1);
    is_str(names_of(other), "a", "a walk ends where it is told to");
    ok(neap_size_of(other) <= 64 && neap_size_of(object) == neap_size_of(other),
       "an object is one block of 64 bytes");
    neap_release(object);
    neap_release(other);
    is_int(alive, 0, "all values go with their objects");
}

static bool delete_it(struct neap_string *name, void *value, void *arg)
{
    (void)value;
    return neap_attr_delete(arg, neap_string_data(name));
}

static void many(void)
{
    enum { MANY = 300 };
    struct neap_dynamic *object = neap_dynamic_new();
    char name[16];
    int wrong = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "a%d", i);
        wrong += put(object, name, i) != NEAP_OK;
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "a%d", i);
        wrong += id_of(object, name) != i;
    }
    is_int(wrong, 0, "three hundred attributes");
    is_int(neap_attr_each(object, delete_it, object), MANY, "a walk may delete what it is shown");
    ok(neap_attr_count(object) == 0 && alive == 0, "down to the last");
    neap_release(object);
    struct neap_dynamic *objects[MANY];
    for (int i = 0; i < MANY; i++) { /* more names than a table may have children */
        objects[i] = neap_dynamic_new();
        snprintf(name, sizeof name, "b%d", i);
        wrong += put(objects[i], name, i) != NEAP_OK || put(objects[i], "x", -i) != NEAP_OK;
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "b%d", i);
        wrong += id_of(objects[i], name) != i || id_of(objects[i], "x") != -i;
        neap_release(objects[i]);
    }
    is_int(wrong, 0, "three hundred objects with names of their own");
    is_int(alive, 0, "and none left");
}

static void cycles(void)
{
    struct neap_dynamic *object = neap_dynamic_new();
    for (int i = 0; i < 8; i++)
        put(object, (const char *[]){"a", "b", "c", "d", "e", "f", "g", "h"}[i], i);
    neap_attr_set(object, "h", object);
    is_int(neap_collect(2), 0, "an object that holds itself lives while it is held");
    is_int(id_of(object, "e"), 4, "whole");
    neap_release(object);
    (void)neap_collect(2); /* finds it, if no other collection was first */
    is_int(alive, 0, "and is found when it is not, with its values");
}

/* Threads make objects of the same few shapes. */
enum { ROUNDS = 3000 };
static int wrong_values;

static void race(void *arg, unsigned index)
{
    static const char *const names[] = {"x", "y", "z", "width", "height", "depth"};
    (void)arg;
    uint64_t state = 5 + index;
    for (int i = 0; i < ROUNDS; i++) {
        struct neap_dynamic *object = neap_dynamic_new();
        unsigned first = (unsigned)(harness_random(&state) % 6);
        for (unsigned k = 0; k < 6; k++)
            put(object, names[(first + k) % 6], (int)((first + k) % 6));
        for (int k = 0; k < 6; k++)
            if (id_of(object, names[k]) != k)
                __atomic_fetch_add(&wrong_values, 1, __ATOMIC_RELAXED);
        neap_release(object);
        neap_safepoint();
    }
}

int main(void)
{
    plan_lazy();
    harness_begin();
    basics();
    many();
    cycles();
    harness_run(4, race, NULL);
    is_int(wrong_values, 0, "shared names in four threads");
    return harness_end();
}
