/* SPDX-License-Identifier: MIT
 *
 * The containers when memory runs out. One program per container, compared with a model after each
 * step: every allocation of it fails once, the first in the first run, the second in the second,
 * and so on. What a call could not do it says, and it leaves the container as it was; what it got
 * is not lost; each run ends with nothing alive.
 *
 * In most runs every allocation asks (option eager_collect), else one in a few dozen does. */
#include <neap/neap.h>

#include <string.h>

#include "tests/harness.h"

enum {
    MOST_RUNS = 3000,
    UNTOUCHED = 3, /* runs in a row without a fault: the helper thread's questions count too */
    ELEMENTS = 20,
    STRIDE = HARNESS_SLOW ? 7 : 1 /* where a run takes long not every allocation fails */
};

struct item {
    int id;
};
NEAP_DEFINE_TYPE(item, ());

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

static struct item *make(int id)
{
    struct item *item = had(neap_new(item));
    if (item != NULL)
        item->id = id;
    return item;
}

/* Of a reference that a container gave; 0: none. */
static int id_of(struct item *item)
{
    int id = item != NULL ? item->id : 0;
    neap_release(item);
    return id;
}

/* ---- strings ---- */

static void use_strings(void)
{
    struct neap_string *names[ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++) {
        struct neap_string *name = had(neap_string_format("%s %d", "element", i));
        names[i] = had(neap_string_intern(name));
        struct neap_string *again = names[i] != NULL ? neap_string_intern(name) : NULL;
        wrong += names[i] != NULL && (again != names[i] || !neap_string_equal(names[i], name));
        neap_release(again);
        neap_release(name);
    }
    struct neap_string *long_one = had(neap_string_new(NULL, 100000));
    for (int i = 0; i < ELEMENTS; i++)
        neap_release(names[i]);
    neap_release(long_one);
}

/* ---- lists ---- */

struct list_model {
    int ids[4 * ELEMENTS];
    size_t length;
};

static void check_list(struct neap_list *list, const struct list_model *model)
{
    wrong += neap_list_length(list) != model->length;
    for (size_t i = 0; i < model->length; i++)
        wrong += id_of(neap_list_get(list, i)) != model->ids[i];
}

static void list_insert(struct neap_list *list, struct list_model *model, size_t index, int id)
{
    struct item *item = make(id);
    if (item != NULL && done_well(index < model->length ? neap_list_insert(list, index, item)
                                                        : neap_list_append(list, item))) {
        memmove(model->ids + index + 1, model->ids + index,
                (model->length++ - index) * sizeof model->ids[0]);
        model->ids[index] = id;
    }
    wrong += item != NULL && neap_refcount(item) > 2;
    neap_release(item);
    check_list(list, model);
}

static void list_remove(struct neap_list *list, struct list_model *model, size_t index)
{
    wrong += id_of(neap_list_remove(list, index)) != model->ids[index];
    memmove(model->ids + index, model->ids + index + 1,
            (--model->length - index) * sizeof model->ids[0]);
    check_list(list, model);
}

static int downwards(const void *a, const void *b, void *arg)
{
    (void)arg;
    return ((const struct item *)b)->id - ((const struct item *)a)->id;
}

static void check_slice(struct neap_list *list, const struct list_model *model)
{
    struct neap_list *slice = had(neap_list_slice(list, 2, 9));
    for (size_t i = 2; slice != NULL && i < 9 && i < model->length; i++)
        wrong += id_of(neap_list_get(slice, i - 2)) != model->ids[i];
    neap_release(slice);
}

static void use_lists(void)
{
    struct neap_list *list = had(neap_list_new());
    struct list_model model = {.length = 0};
    if (list == NULL)
        return;
    for (int i = 1; i <= ELEMENTS; i++) {
        list_insert(list, &model, model.length / 2, i);
        list_insert(list, &model, model.length, ELEMENTS + i);
    }
    if (done_well(neap_list_sort(list, downwards, NULL))) {
        for (size_t i = 1; i < model.length; i++) /* insertion sort */
            for (size_t k = i; k > 0 && model.ids[k - 1] < model.ids[k]; k--) {
                int id = model.ids[k];
                model.ids[k] = model.ids[k - 1];
                model.ids[k - 1] = id;
            }
    }
    check_list(list, &model);
    check_slice(list, &model);
    while (model.length > 1)
        list_remove(list, &model, model.length / 3);
    neap_release(list);
}

/* ---- maps ---- */

struct map_model {
    struct neap_map *map;
    struct neap_string *keys[ELEMENTS];
    int ids[ELEMENTS]; /* 0: the key is not there */
};

static bool see_entry(struct neap_string *key, void *value, void *arg)
{
    struct map_model *model = arg;
    int i = 0;
    while (i < ELEMENTS && model->keys[i] != key)
        i++;
    wrong += i == ELEMENTS || model->ids[i] != ((struct item *)value)->id;
    return true;
}

static void check_map(struct map_model *model)
{
    size_t count = 0;
    for (int i = 0; i < ELEMENTS; i++) {
        wrong += id_of(neap_map_get(model->map, model->keys[i])) != model->ids[i];
        count += model->ids[i] != 0;
    }
    wrong += neap_map_count(model->map) != count;
}

static void map_set(struct map_model *model, int i, int id)
{
    struct item *item = make(id);
    if (item != NULL && model->keys[i] != NULL &&
        done_well(neap_map_set(model->map, model->keys[i], item)))
        model->ids[i] = id;
    neap_release(item);
}

static void map_default(struct map_model *model, int i, int id)
{
    struct item *item = make(id);
    struct item *found = item != NULL && model->keys[i] != NULL
                             ? had(neap_map_set_default(model->map, model->keys[i], item))
                             : NULL;
    if (found != NULL && model->ids[i] == 0)
        model->ids[i] = id;
    wrong += found != NULL && found->id != model->ids[i];
    neap_release(found);
    neap_release(item);
}

static void map_exchange(struct map_model *model, int i, int id)
{
    if (model->keys[i] == NULL)
        return;
    struct item *item = make(id), *old = neap_map_get(model->map, model->keys[i]);
    if (item != NULL && done_well(neap_map_compare_exchange(model->map, model->keys[i], old, item)))
        model->ids[i] = id;
    neap_release(old);
    neap_release(item);
}

static void map_take(struct map_model *model, int i)
{
    wrong += id_of(neap_map_take(model->map, model->keys[i])) != model->ids[i];
    model->ids[i] = 0;
}

static void use_maps(void)
{
    struct map_model model = {.map = had(neap_map_new())};
    if (model.map == NULL)
        return;
    for (int i = 0; i < ELEMENTS; i++)
        model.keys[i] = had(neap_string_format("%d", i));
    for (int i = 0; i < ELEMENTS; i++) {
        if (i % 3 == 0)
            map_set(&model, i, 100 + i);
        else if (i % 3 == 1)
            map_default(&model, i, 100 + i);
        else
            map_exchange(&model, i, 100 + i);
        check_map(&model);
    }
    for (int i = 0; i < ELEMENTS; i += 2) {
        map_set(&model, i, 200 + i);
        map_default(&model, i, 300 + i);
        map_exchange(&model, i, 400 + i);
        map_take(&model, (i + 5) % ELEMENTS);
        check_map(&model);
    }
    size_t shown = neap_map_each(model.map, see_entry, &model);
    wrong += shown != neap_map_count(model.map);
    for (int i = 0; i < ELEMENTS; i++)
        neap_release(model.keys[i]);
    neap_release(model.map);
}

/* More entries than are shown at once: without memory for a marker the place is found again. */
static bool count_entry(struct neap_string *key, void *value, void *arg)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return true;
}

static void use_large_map(void)
{
    enum { ENTRIES = 300 };
    struct neap_map *map = had(neap_map_new());
    struct item *item = make(1);
    size_t count = 0, shown = 0;
    for (int i = 0; map != NULL && item != NULL && i < ENTRIES; i++) {
        struct neap_string *key = had(neap_string_format("%d", i));
        count += key != NULL && done_well(neap_map_set(map, key, item));
        neap_release(key);
    }
    if (map != NULL)
        wrong += neap_map_each(map, count_entry, &shown) != count || shown != count;
    wrong += item != NULL && neap_refcount(item) != count + 1;
    neap_release(map);
    neap_release(item);
}

/* ---- weak maps ---- */

struct pair {
    void *key, *other;
};
NEAP_DEFINE_TYPE(pair, (key, other));

static void use_weak_maps(void)
{
    struct neap_weak_map *map = had(neap_weak_map_new());
    struct pair *keys[ELEMENTS], *values[ELEMENTS] = {NULL};
    size_t count = 0;
    for (int i = 0; i < ELEMENTS; i++)
        keys[i] = had(neap_new(pair));
    for (int round = 0; map != NULL && round < 2; round++)
        for (int i = 0; i < ELEMENTS; i += 1 + round) { /* replaced in the second */
            struct pair *value = had(neap_new(pair));
            if (value != NULL)
                neap_set((struct pair **)&value->key, keys[i]);
            if (keys[i] != NULL && value != NULL &&
                done_well(neap_weak_map_set(map, keys[i], value))) {
                count += values[i] == NULL;
                values[i] = value; /* only compared */
            }
            struct pair *found = neap_weak_map_get(map, keys[i]);
            wrong += found != values[i] || neap_weak_map_count(map) != count;
            neap_release(found);
            neap_release(value);
        }
    for (int i = 0; i < ELEMENTS; i++)
        neap_release(keys[i]);
    (void)neap_collect(2);
    wrong += map != NULL && neap_weak_map_count(map) != 0;
    neap_release(map);
}

/* ---- channels ---- */

/* Messages with parts, which are handed over with them. */
static void use_channels(void)
{
    struct neap_channel *channel = had(neap_channel_new(ELEMENTS));
    int sent[ELEMENTS], count = 0;
    for (int i = 0; channel != NULL && i < ELEMENTS; i++) {
        struct pair *message = had(neap_new(pair));
        struct item *part = make(i + 1);
        if (message == NULL || part == NULL) {
            neap_release(message);
            neap_release(part);
            continue;
        }
        neap_give((struct item **)&message->key, part);
        if (i % 2 == 0 ? neap_channel_send(channel, message) == NEAP_OK
                       : neap_channel_try_send(channel, message))
            sent[count++] = i + 1;
        else
            wrong++; /* there is room */
    }
    wrong += channel != NULL && neap_channel_count(channel) != (size_t)count;
    for (int i = 0; i < count / 2; i++) { /* the rest dies with the channel */
        struct pair *message = neap_channel_receive(channel);
        wrong += message == NULL || id_of(neap_get((struct item **)&message->key)) != sent[i];
        neap_release(message);
    }
    neap_release(channel);
}

/* ---- dynamic objects ---- */

/* With names: shared between objects up to a number, then of one object. */
static void use_dynamic(int names)
{
    struct neap_dynamic *objects[2] = {had(neap_dynamic_new()), had(neap_dynamic_new())};
    struct item *value = make(1);
    size_t count[2] = {0}, all = 1;
    for (int i = 0; value != NULL && i < names; i++) {
        char name[3] = {(char)('A' + i / 26), (char)('a' + i % 26), '\0'};
        for (int k = 0; k < 2; k++) {
            if (objects[k] == NULL)
                continue;
            bool set = done_well(neap_attr_set(objects[k], name, value));
            count[k] += set;
            wrong += neap_attr_count(objects[k]) != count[k];
            wrong += id_of(neap_attr_get(objects[k], name)) != set;
            if (i % 7 == 0 && neap_attr_delete(objects[k], name))
                wrong += neap_attr_count(objects[k]) != --count[k];
        }
    }
    for (int k = 0; k < 2; k++)
        all += objects[k] != NULL ? count[k] : 0;
    wrong += value != NULL && neap_refcount(value) != all;
    neap_release(objects[0]);
    neap_release(objects[1]);
    neap_release(value);
}

static void use_dynamics(void)
{
    use_dynamic(12);
}

static void use_large_dynamics(void)
{
    use_dynamic(70);
}

/* ---- generators ---- */

struct range {
    struct neap_generator generator;
    int next, end;
    struct item *now;
};
NEAP_GENERATOR(range, (now))
{
    NEAP_BEGIN();
    for (; self->next < self->end; self->next++) {
        while (neap_give(&self->now, make(self->next)), self->now == NULL)
            NEAP_YIELD(NULL); /* this one could not be made: asked again, it tries again */
        NEAP_YIELD(neap_take(&self->now));
    }
    NEAP_END();
}

struct squares {
    struct neap_generator generator;
    struct range *source;
};
NEAP_GENERATOR(squares, (source))
{
    NEAP_BEGIN();
    while (!neap_generator_is_done(self->source)) {
        struct item *item = neap_next(self->source);
        if (item != NULL)
            item->id *= item->id;
        NEAP_YIELD(item);
    }
    NEAP_END();
}

static void use_generators(void)
{
    struct squares *squares = had(neap_new(squares));
    struct range *range = had(neap_new(range));
    if (squares != NULL && range != NULL) {
        range->next = 1;
        range->end = ELEMENTS;
        neap_set(&squares->source, range);
        int sum = 0, wanted = 0;
        for (int i = 1; i < ELEMENTS; i++)
            wanted += i * i;
        while (!neap_generator_is_done(squares))
            sum += id_of(neap_next(squares));
        wrong += sum != wanted;
    }
    neap_release(range);
    neap_release(squares);
}

/* ---- the runs ---- */

struct program {
    const char *name;
    void (*use)(void);
};

static uint64_t faults; /* of this run */

static void note_faults(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    faults = stats.injected_faults;
}

/* What is still alive at the end of a run in which allocation `nth` failed. */
static size_t run(const struct program *program, bool eager, uint64_t nth)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.fail_nth = nth;
    options.eager_collect = eager;
    options.threshold_young = 10;
    options.finalize_ms = 0;
    refused = 0;
    int status = neap_init(&options);
    note_faults();
    if (status != NEAP_OK) {
        refused += status == NEAP_ENOMEM;
        return status == NEAP_ENOMEM ? 0 : SIZE_MAX;
    }
    program->use();
    struct neap_leaks *leaks = NULL;
    size_t alive = neap_shutdown(&leaks);
    note_faults();
    if (alive != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    return alive;
}

static void fail_each(const struct program *program, bool eager)
{
    const char *how = eager ? "each allocation" : "each that asks";
    size_t alive = run(program, eager, 0);
    ok(alive == 0 && refused == 0 && wrong == 0, "%s: with all the memory it wants", program->name);
    int runs_refused = 0, untouched = 0;
    uint64_t nth = 0;
    while (alive == 0 && wrong == 0 && untouched < UNTOUCHED && nth < MOST_RUNS) {
        alive = run(program, eager, nth += STRIDE);
        runs_refused += refused > 0;
        untouched = faults > 0 ? 0 : untouched + 1;
    }
    diag("%s: %llu runs, %d of them had a call refused", program->name,
         (unsigned long long)nth / STRIDE, runs_refused);
    is_int(alive, 0, "%s, %s: run %llu ends with nothing alive", program->name, how,
           (unsigned long long)nth);
    is_int(wrong, 0, "%s, %s: a refused call leaves everything as it was", program->name, how);
    is_int(untouched, UNTOUCHED, "%s, %s has failed", program->name, how);
    ok(runs_refused > (eager ? ELEMENTS / 2 / STRIDE : 0), "%s, %s: %d runs had a call refused",
       program->name, how, runs_refused);
    wrong = 0;
}

int main(void)
{
    static const struct program programs[] = {{"strings", use_strings},
                                              {"lists", use_lists},
                                              {"maps", use_maps},
                                              {"weak maps", use_weak_maps},
                                              {"channels", use_channels},
                                              {"dynamic objects", use_dynamics},
                                              {"generators", use_generators}};
    static const struct program larger[] = {{"a map of 300", use_large_map},
                                            {"objects of 70 attributes", use_large_dynamics}};
    plan_lazy();
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        fail_each(&programs[i], true);
    for (size_t i = 0; i < sizeof larger / sizeof larger[0]; i++)
        fail_each(&larger[i], false);
    return done();
}
