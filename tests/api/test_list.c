/* SPDX-License-Identifier: MIT
 *
 * Lists keep their elements, count them exactly, grow and shrink, and are seen through by the
 * collector. */
#include <neap/neap.h>

#include "tests/harness.h"

struct item {
    int id;
};
static int disposed;
static void item_dispose(void *self)
{
    (void)self;
    __atomic_fetch_add(&disposed, 1, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(item, (), .dispose = item_dispose);

static struct item *make(int id)
{
    struct item *item = neap_new(item);
    item->id = id;
    return item;
}

static void elements(void)
{
    enum { COUNT = 1000 };
    struct neap_list *list = neap_list_new();
    is_int(neap_list_length(list), 0, "a new list is empty");
    ok(neap_list_pop(list) == NULL && neap_list_get(list, 0) == NULL, "there is nothing in it");
    for (int i = 0; i < COUNT; i++) {
        struct item *item = make(i);
        if (neap_list_append(list, item) != NEAP_OK || neap_refcount(item) != 2)
            fail("append %d", i);
        neap_release(item);
    }
    is_int(neap_list_length(list), COUNT, "appended");
    struct item *item = neap_list_get(list, 500);
    ok(item->id == 500 && neap_refcount(item) == 2, "get counts");
    neap_release(item);
    item = make(-1);
    is_int(neap_list_set(list, 500, item), NEAP_OK, "set");
    is_int(disposed, 1, "releases the old element");
    is_int(neap_refcount(item), 2, "counts the new one");
    is_int(neap_list_set(list, COUNT, item), NEAP_EINVAL, "there is nothing past the end");
    neap_release(item);
    for (int i = COUNT - 1; i > 0; i--) {
        item = neap_list_pop(list);
        if (item->id != (i == 500 ? -1 : i) || neap_refcount(item) != 1)
            fail("pop %d", i);
        neap_release(item);
    }
    is_int(neap_list_length(list), 1, "popped all but one");
    is_int(neap_list_append(list, NULL), NEAP_OK, "NULL is an element");
    neap_release(list);
    is_int(disposed, COUNT + 1, "the list releases what is left");
}

static bool alone; /* nobody else collects */

static bool is_the_only_one(void *item)
{
    return neap_refcount(item) == 1;
}

static void cycles(void)
{
    disposed = 0;
    struct neap_list *outer = neap_list_new(), *inner = neap_list_new();
    struct item *item = make(1);
    (void)neap_list_append(outer, inner);
    (void)neap_list_append(inner, outer);
    (void)neap_list_append(inner, item);
    (void)neap_list_append(inner, item);
    is_int(neap_collect(2), 0, "two lists that are held");
    neap_release(inner);
    neap_release(outer);
    ptrdiff_t found = neap_collect(2);
    ok(alone ? found == 2 : found >= 0 && found <= 2, "two lists that hold each other");
    (void)harness_await_that(is_the_only_one, item);
    is_int(neap_refcount(item), 1, "release their elements");
    neap_release(item);
    is_int(disposed, 1, "which die with the last reference");
}

/* A list of fresh items with these ids. */
static struct neap_list *make_list(const int *ids, size_t count)
{
    struct neap_list *list = neap_list_new();
    for (size_t i = 0; i < count; i++) {
        struct item *item = make(ids[i]);
        (void)neap_list_append(list, item);
        neap_release(item);
    }
    return list;
}

static int id_at(struct neap_list *list, size_t index)
{
    struct item *item = neap_list_get(list, index);
    int id = item != NULL ? item->id : -1;
    neap_release(item);
    return id;
}

static void middle(void)
{
    disposed = 0;
    struct neap_list *list = make_list((int[]){1, 2, 3}, 3);
    struct item *item = make(9);
    is_int(neap_list_insert(list, 1, item), NEAP_OK, "insert");
    is_int(neap_refcount(item), 2, "counts");
    is_int(neap_list_insert(list, 4, item), NEAP_OK, "at the end");
    is_int(neap_list_insert(list, 6, item), NEAP_EINVAL, "not past it");
    ok(id_at(list, 0) == 1 && id_at(list, 1) == 9 && id_at(list, 2) == 2 && id_at(list, 3) == 3 &&
           id_at(list, 4) == 9,
       "the others keep their order");
    struct item *out = neap_list_remove(list, 1);
    ok(out == item && id_at(list, 1) == 2 && neap_list_length(list) == 4, "remove closes the gap");
    is_int(neap_refcount(item), 3, "and gives the reference");
    ok(neap_list_remove(list, 4) == NULL, "there is nothing past the end");
    neap_release(out);
    struct neap_list *slice = neap_list_slice(list, 1, 3), *none = neap_list_slice(list, 3, 2);
    ok(neap_list_length(slice) == 2 && id_at(slice, 0) == 2 && id_at(slice, 1) == 3,
       "a slice is a list of its own");
    is_int(neap_list_length(none), 0, "that may be empty");
    struct neap_list *rest = neap_list_slice(list, 2, SIZE_MAX);
    is_int(neap_list_length(rest), 2, "and ends where the list ends");
    neap_release(list);
    is_int(disposed, 1, "what the slice holds lives on");
    neap_release(slice);
    neap_release(none);
    neap_release(rest);
    neap_release(item);
    is_int(disposed, 4, "until it goes");
}

static bool add_up(void *object, void *arg)
{
    struct item *item = object;
    *(int *)arg += item->id;
    return item->id != 3;
}

static bool drop_all(void *object, void *arg)
{
    (void)object;
    struct neap_list *list = arg;
    while (neap_list_length(list) > 0)
        neap_release(neap_list_pop(list));
    return ((struct item *)object)->id == 1;
}

static void walking(void)
{
    struct neap_list *list = make_list((int[]){1, 2, 3, 4}, 4);
    int sum = 0;
    is_int(neap_list_each(list, add_up, &sum), 3, "each stops when told to");
    is_int(sum, 6, "after calling for each element");
    is_int(neap_list_each(list, drop_all, list), 1, "visit may empty the list");
    is_int(neap_list_length(list), 0, "which is empty then");
    neap_release(list);
}

static int by_ten(const void *a, const void *b, void *arg)
{
    ++*(int *)arg;
    neap_release(neap_list_new()); /* a stop point, where the list is looked at */
    return ((const struct item *)a)->id / 10 - ((const struct item *)b)->id / 10;
}

static void sorting(void)
{
    enum { COUNT = 1000 };
    uint64_t seed = harness_seed();
    int calls = 0, wrong = 0, ids[COUNT];
    for (int i = 0; i < COUNT; i++)
        ids[i] = (int)(harness_random(&seed) % 100) * 10;
    for (int length = 0; length <= COUNT; length += length < 40 ? 1 : 320) {
        struct neap_list *list = make_list(ids, (size_t)length);
        for (int i = 0; i < length; i++) { /* the place of birth decides among equals */
            struct item *item = neap_list_get(list, (size_t)i);
            item->id = item->id * COUNT + i;
            neap_release(item);
        }
        is_int(neap_list_sort(list, by_ten, &calls), NEAP_OK, "sorting %d elements", length);
        for (int i = 1; i < length; i++) {
            int before = id_at(list, (size_t)i - 1), after = id_at(list, (size_t)i);
            wrong += before / 10 > after / 10 || (before / 10 == after / 10 && before > after);
        }
        wrong += neap_list_length(list) != (size_t)length;
        neap_release(list);
    }
    is_int(wrong, 0, "sorted, and equal elements in the order they had");
}

/* A long list goes in portions of release_budget, the rest at the next polls. */
static void long_death(void)
{
    enum { COUNT = 100000 };
    neap_collect(0); /* what sorting left behind dies first */
    disposed = 0;
    struct neap_list *list = neap_list_new();
    for (int i = 0; i < COUNT; i++) {
        struct item *item = make(i);
        (void)neap_list_append(list, item);
        neap_release(item);
    }
    neap_release(list);
    ok(disposed <= 1000, "a release destroys %d of %d elements", disposed, COUNT);
    for (int polls = 0; polls < COUNT && disposed < COUNT; polls++)
        neap_safepoint();
    is_int(disposed, COUNT, "the polls that follow the rest");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    alone = harness_is_alone();
    if (alone)
        neap_gc_disable();
    elements();
    cycles();
    middle();
    walking();
    sorting();
    long_death();
    return harness_end();
}
