/* SPDX-License-Identifier: MIT
 *
 * The containers when memory runs out: every allocation of a program that uses all of them fails
 * once. What a call could not do it says, and it leaves the container as it was; each run ends with
 * nothing alive. */
#include <neap/neap.h>

#include <string.h>

#include "tests/tap.h"

enum { MOST_RUNS = 20000, ELEMENTS = 40 };

static int refused; /* calls of this run that failed */
static int wrong;   /* containers that were not as they should be */

static void *had(void *object)
{
    refused += object == NULL;
    return object;
}

static bool done_well(int status)
{
    refused += status == NEAP_ENOMEM;
    wrong += status != NEAP_OK && status != NEAP_ENOMEM;
    return status == NEAP_OK;
}

static void use_strings(void)
{
    struct neap_string *names[ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++) {
        struct neap_string *name = had(neap_string_format("%s %d", "element", i));
        names[i] = had(neap_string_intern(name));
        wrong += names[i] != NULL && !neap_string_equal(names[i], name);
        neap_release(name);
    }
    for (int i = 0; i < ELEMENTS; i++)
        neap_release(names[i]);
}

static int by_text(const void *a, const void *b, void *arg)
{
    (void)arg;
    return neap_string_compare(a, b);
}

static void use_lists(void)
{
    struct neap_list *list = had(neap_list_new());
    size_t length = 0;
    for (int i = 0; list != NULL && i < ELEMENTS; i++) {
        struct neap_string *string = had(neap_string_format("%d", i));
        if (string != NULL && done_well(neap_list_insert(list, length / 2, string)))
            length++;
        if (string != NULL && done_well(neap_list_append(list, string)))
            length++;
        wrong += neap_list_length(list) != length;
        neap_release(string);
    }
    if (list != NULL)
        (void)done_well(neap_list_sort(list, by_text, NULL));
    struct neap_list *slice = list != NULL ? had(neap_list_slice(list, 3, 30)) : NULL;
    while (list != NULL && neap_list_length(list) > 0)
        neap_release(neap_list_remove(list, 0));
    neap_release(slice);
    neap_release(list);
}

static bool count_entry(struct neap_string *key, void *value, void *arg)
{
    wrong += !neap_string_equal(key, value);
    ++*(size_t *)arg;
    return true;
}

static void use_maps(void)
{
    struct neap_map *map = had(neap_map_new());
    size_t count = 0, shown = 0;
    for (int i = 0; map != NULL && i < 10 * ELEMENTS; i++) {
        struct neap_string *key = had(neap_string_format("%d", i));
        struct neap_string *value = had(neap_string_format("%d", i));
        if (key != NULL && value != NULL && done_well(neap_map_set(map, key, value)))
            count++;
        if (i % 5 == 0 && key != NULL && neap_map_remove(map, key))
            count--;
        wrong += neap_map_count(map) != count;
        neap_release(key);
        neap_release(value);
    }
    if (map != NULL) {
        neap_map_each(map, count_entry, &shown);
        wrong += shown != count;
    }
    neap_release(map);
}

struct pair {
    struct neap_string *key, *other;
};
NEAP_DEFINE_TYPE(pair, (key, other));

static void use_weak_maps(void)
{
    struct neap_weak_map *map = had(neap_weak_map_new());
    struct neap_string *keys[ELEMENTS];
    size_t count = 0;
    for (int i = 0; i < ELEMENTS; i++) {
        keys[i] = had(neap_string_format("%d", i));
        struct pair *value = had(neap_new(pair));
        if (value != NULL)
            neap_set(&value->key, keys[i]);
        if (map != NULL && keys[i] != NULL && value != NULL &&
            done_well(neap_weak_map_set(map, keys[i], value)))
            count++;
        wrong += map != NULL && neap_weak_map_count(map) != count;
        neap_release(value);
    }
    for (int i = 0; i < ELEMENTS; i++)
        neap_release(keys[i]);
    neap_collect(2);
    wrong += map != NULL && neap_weak_map_count(map) != 0;
    neap_release(map);
}

static void use_channels(void)
{
    struct neap_channel *channel = had(neap_channel_new(ELEMENTS));
    size_t sent = 0;
    for (int i = 0; channel != NULL && i < ELEMENTS; i++) {
        struct neap_string *message = had(neap_string_format("%d", i));
        sent += message != NULL && neap_channel_send(channel, message) == NEAP_OK;
    }
    if (channel != NULL) {
        wrong += neap_channel_count(channel) != sent;
        neap_release(neap_channel_try_receive(channel));
    }
    neap_release(channel);
}

static void use_dynamics(void)
{
    struct neap_dynamic *object = had(neap_dynamic_new());
    struct neap_string *value = had(neap_string_from("value"));
    size_t count = 0;
    for (int i = 0; object != NULL && value != NULL && i < ELEMENTS; i++) {
        char name[2] = {(char)('A' + i), '\0'};
        count += done_well(neap_attr_set(object, name, value));
        wrong += neap_attr_count(object) != count;
        if (i % 7 == 0 && neap_attr_delete(object, name))
            count--;
    }
    wrong += value != NULL && neap_refcount(value) != count + 1;
    neap_release(object);
    neap_release(value);
}

/* What is still alive at the end of a run in which allocation `nth` failed. */
static size_t run(uint64_t nth)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.fail_nth = nth;
    options.threshold_young = 10;
    refused = 0;
    int status = neap_init(&options);
    if (status != NEAP_OK) {
        refused += status == NEAP_ENOMEM;
        return status == NEAP_ENOMEM ? 0 : SIZE_MAX;
    }
    use_strings();
    use_lists();
    use_maps();
    use_weak_maps();
    use_channels();
    use_dynamics();
    struct neap_leaks *leaks = NULL;
    size_t alive = neap_shutdown(&leaks);
    if (alive != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    return alive;
}

int main(void)
{
    plan(5);
    is_int(run(0), 0, "with all the memory it wants, the program ends with nothing alive");
    is_int(refused, 0, "and is refused nothing");
    int runs_refused = 0, quiet = 0;
    uint64_t nth = 0;
    size_t alive = 0;
    while (alive == 0 && wrong == 0 && quiet < 100 && nth < MOST_RUNS) {
        alive = run(++nth);
        runs_refused += refused > 0;
        quiet = refused > 0 ? 0 : quiet + 1;
    }
    diag("%llu runs, %d of them refused something", (unsigned long long)nth, runs_refused);
    is_int(alive, 0, "run %llu ends with nothing alive", (unsigned long long)nth);
    is_int(wrong, 0, "a refused call leaves its container as it was");
    ok(runs_refused > 20, "%d runs had a call refused", runs_refused);
    return done();
}
