/* SPDX-License-Identifier: MIT
 *
 * What do objects cost whose attributes are named at run time, beside declared slots and beside a
 * map each? And what does a generator save that a list needs?
 *
 * containers/instances: a million instances with three attributes each (all refer to one object);
 * nanoseconds and resident bytes per instance. The maps are a hundred thousand, which is enough.
 * containers/get: reading one of the three attributes of a thousand instances in turn, and dropping
 * the reference.
 * containers/numbers: the sum of a million numbers, each an object, that a generator yields one by
 * one, or that stand in a list first; peak_kib is resident memory beyond what there was before.
 *
 * Peers: CPython's classes with __slots__ and with an instance dictionary, through its C API, with
 * interned names (containers_python.c).
 *
 * Leaves out: attributes beyond four, instances with unlike attributes, deletion.
 *
 * Reading: declared slots are a load and a count; dynamic objects hash the name each time. */
#include "bench/containers.h"

#include <stdlib.h>

#define NEAP_INLINE
#include <neap/neap.h>

struct value {
    int64_t number;
};
NEAP_DEFINE_TYPE(value, ());

struct declared {
    struct value *first, *second, *third;
};
NEAP_DEFINE_TYPE(declared, (first, second, third));

static struct value *shared;
static struct neap_string *keys[3];

/* ---- instances ---- */

static void *make_declared(void)
{
    struct declared *one = neap_new(declared);
    neap_set(&one->first, shared);
    neap_set(&one->second, shared);
    neap_set(&one->third, shared);
    return one;
}

static int64_t get_declared(void *one)
{
    struct value *value = neap_get(&((struct declared *)one)->second);
    int64_t number = value->number;
    neap_release(value);
    return number;
}

static void *make_dynamic(void)
{
    struct neap_dynamic *one = neap_dynamic_new();
    (void)neap_attr_set(one, "first", shared);
    (void)neap_attr_set(one, "second", shared);
    (void)neap_attr_set(one, "third", shared);
    return one;
}

static int64_t get_dynamic(void *one)
{
    struct value *value = neap_attr_get(one, "second");
    int64_t number = value->number;
    neap_release(value);
    return number;
}

static void *make_map(void)
{
    struct neap_map *one = neap_map_new();
    for (int i = 0; i < 3; i++)
        (void)neap_map_set(one, keys[i], shared);
    return one;
}

static int64_t get_map(void *one)
{
    struct value *value = neap_map_get(one, keys[1]);
    int64_t number = value->number;
    neap_release(value);
    return number;
}

static void drop(void *one)
{
    neap_release(one);
}

static void begin(void)
{
    static const char *const names[] = {"first", "second", "third"};
    shared = neap_new(value);
    for (int i = 0; i < 3; i++)
        keys[i] = neap_string_from(names[i]);
}

static void end(void)
{
    neap_release(shared);
    for (int i = 0; i < 3; i++)
        neap_release(keys[i]);
}

/* ---- numbers ---- */

struct numbers {
    struct neap_generator generator;
    int64_t next, end;
};
NEAP_GENERATOR(numbers, ())
{
    struct value *one;
    NEAP_BEGIN();
    for (; self->next < self->end; self->next++) {
        one = neap_new(value);
        one->number = self->next;
        NEAP_YIELD(one);
    }
    NEAP_END();
}

static int64_t add_up_generated(void)
{
    struct numbers *numbers = neap_new(numbers);
    struct value *one;
    int64_t sum = 0;
    numbers->end = CONTAINERS_MANY;
    while ((one = neap_next(numbers)) != NULL) {
        sum += one->number;
        neap_release(one);
    }
    neap_release(numbers);
    return sum;
}

static int64_t add_up_listed(void)
{
    struct neap_list *list = neap_list_new();
    int64_t sum = 0;
    for (int64_t i = 0; i < CONTAINERS_MANY; i++) {
        struct value *one = neap_new(value);
        one->number = i;
        (void)neap_list_append(list, one);
        neap_release(one);
    }
    for (size_t i = 0; i < CONTAINERS_MANY; i++) {
        struct value *one = neap_list_get(list, i);
        sum += one->number;
        neap_release(one);
    }
    neap_release(list);
    return sum;
}

static void run_numbers(struct bench_state *state, const void *arg)
{
    int64_t (*const *add_up)(void) = arg;
    int64_t sum = 0;
    bench_peak_reset();
    uint64_t before = bench_resident_kib();
    while (bench_keep_running(state, CONTAINERS_MANY))
        sum += (*add_up)();
    bench_use(sum);
    uint64_t peak = bench_peak_kib();
    bench_counter(state, "peak_kib", (double)(peak > before ? peak - before : 0), BENCH_SUM);
}

int main(int argc, char **argv)
{
    static int64_t (*const by_generator)(void) = add_up_generated,
                           (*const by_list)(void) = add_up_listed;
    static const struct containers_peer declared = {make_declared, get_declared,    drop, begin,
                                                    end,           CONTAINERS_MANY, true},
                                        dynamic = {make_dynamic, get_dynamic,     drop, begin,
                                                   end,          CONTAINERS_MANY, true},
                                        map = {make_map, get_map, drop,
                                               begin,    end,     CONTAINERS_MANY / 10,
                                               true};
    containers_add("neap_declared", &declared);
    containers_add("neap_dynamic", &dynamic);
    containers_add("neap_map", &map);
    bench_add(&(struct bench_case){.name = "containers/numbers/neap_generator",
                                   .run = run_numbers,
                                   .arg = &by_generator,
                                   .attached = true,
                                   .iterations = CONTAINERS_MANY});
    bench_add(&(struct bench_case){.name = "containers/numbers/neap_list",
                                   .run = run_numbers,
                                   .arg = &by_list,
                                   .attached = true,
                                   .iterations = CONTAINERS_MANY});
    return bench_main(argc, argv);
}
