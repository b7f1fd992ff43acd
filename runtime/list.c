/* SPDX-License-Identifier: MIT
 *
 * The elements are slots in an untyped block that doubles when it is full and halves when three
 * quarters are empty. The type's visit hands out their addresses, so counting, tracing and
 * releasing work as for slots inside the object. The block changes between two stop points only:
 * whoever stops the world finds it whole. A block that was replaced is retired (retire.h), so that
 * a reader that found it before may finish. */
#include "neap/list.h"

#include <string.h>

#include "base/check.h"
#include "neap/block.h"
#include "neap/slot.h"
#include "neap/status.h"
#include "runtime/count.h"
#include "runtime/retire.h"

enum { FIRST_CAPACITY = 6 };

struct items {
    uintptr_t retired; /* see retire.h */
    void *slots[];
};

struct neap_list {
    size_t length, capacity;
    struct items *items; /* slots [0, length); NULL while the capacity is 0 */
    bool sorting;        /* (o) compare is running: nothing may change */
};

static void list_visit(void *self, struct neap_visitor *visitor)
{
    struct neap_list *list = self;
    for (size_t i = 0; i < list->length; i++)
        neap_visit(visitor, &list->items->slots[i]);
}

/* From the end, so that the list is whole whenever it is looked at. */
static bool list_release(void *self, uint64_t *budget, enum np_manner manner)
{
    struct neap_list *list = self;
    while (list->length > 0) {
        if (*budget == 0)
            return false;
        void *object = list->items->slots[--list->length];
        if (object == NULL)
            continue;
        --*budget;
        np_release(neap_header_of(object), manner);
    }
    neap_free(list->items);
    list->items = NULL;
    return true;
}

static const struct np_piecemeal pieces = {list_release};
NEAP_DEFINE_TYPE(neap_list, (), .visit = list_visit, .flags = NP_TYPE_INTERNAL | NP_TYPE_PIECEMEAL,
                 .user = (void *)&pieces);

struct neap_list *neap_list_new(void)
{
    return neap_new(neap_list);
}

static void check_change(const struct neap_list *list, const char *call)
{
    if (np_unlikely(list->sorting))
        np_panic_at(call, "the list is being sorted: compare must not change it");
}

static bool resize(struct neap_list *list, size_t capacity)
{
    size_t bytes;
    if (__builtin_mul_overflow(capacity, sizeof(void *), &bytes) ||
        __builtin_add_overflow(bytes, sizeof *list->items, &bytes))
        return false;
    struct items *items = neap_alloc(bytes), *old = list->items;
    if (items == NULL)
        return false;
    if (list->length > 0)
        memcpy(items->slots, old->slots, list->length * sizeof old->slots[0]);
    list->items = items;
    list->capacity = capacity;
    if (old != NULL)
        np_retire(old, NP_RETIRED_BLOCK);
    return true;
}

static bool make_room(struct neap_list *list)
{
    return list->length < list->capacity ||
           resize(list, list->capacity == 0 ? FIRST_CAPACITY : 2 * list->capacity);
}

/* Without memory for a smaller block the larger one stays. */
static void give_room(struct neap_list *list)
{
    if (list->capacity > FIRST_CAPACITY && list->length <= list->capacity / 4)
        (void)resize(list, list->capacity / 2);
}

int neap_list_append(struct neap_list *list, void *object)
{
    check_change(list, "neap_list_append");
    if (!make_room(list))
        return NEAP_ENOMEM;
    /* relaxed: a plain slot; a collector may read beside */
    np_store_relaxed(&list->items->slots[list->length], neap_retain(object));
    list->length++;
    return NEAP_OK;
}

void *neap_list_get(struct neap_list *list, size_t index)
{
    return index < list->length ? neap_get(&list->items->slots[index]) : NULL;
}

int neap_list_set(struct neap_list *list, size_t index, void *object)
{
    check_change(list, "neap_list_set");
    if (index >= list->length)
        return NEAP_EINVAL;
    neap_set(&list->items->slots[index], object);
    return NEAP_OK;
}

int neap_list_insert(struct neap_list *list, size_t index, void *object)
{
    check_change(list, "neap_list_insert");
    if (index > list->length)
        return NEAP_EINVAL;
    if (!make_room(list))
        return NEAP_ENOMEM;
    void **place = &list->items->slots[index];
    memmove(place + 1, place, (list->length - index) * sizeof *place);
    *place = neap_retain(object);
    list->length++;
    return NEAP_OK;
}

void *neap_list_remove(struct neap_list *list, size_t index)
{
    check_change(list, "neap_list_remove");
    if (index >= list->length)
        return NULL;
    void **place = &list->items->slots[index];
    void *object = neap_take(place);
    list->length--;
    memmove(place, place + 1, (list->length - index) * sizeof *place);
    give_room(list);
    return object;
}

void *neap_list_pop(struct neap_list *list)
{
    check_change(list, "neap_list_pop");
    if (list->length == 0)
        return NULL;
    void *object = neap_take(&list->items->slots[list->length - 1]);
    list->length--;
    give_room(list);
    return object;
}

size_t neap_list_length(const struct neap_list *list)
{
    return list->length;
}

struct neap_list *neap_list_slice(struct neap_list *list, size_t start, size_t stop)
{
    struct neap_list *slice = neap_list_new();
    if (slice == NULL)
        return NULL;
    stop = stop < list->length ? stop : list->length;
    if (start >= stop)
        return slice;
    if (!resize(slice, stop - start)) {
        neap_release(slice);
        return NULL;
    }
    for (; start < stop; start++)
        slice->items->slots[slice->length++] = neap_get(&list->items->slots[start]);
    return slice;
}

size_t neap_list_each(struct neap_list *list, neap_visit_fn *visit, void *arg)
{
    size_t calls = 0;
    bool more = true;
    while (more && calls < list->length) {
        void *object = neap_get(&list->items->slots[calls++]); /* visit may take it out */
        more = visit(object, arg);
        neap_release(object);
    }
    return calls;
}

/* ---- sorting: merge sort, on copies of the elements, which the list keeps alive ---- */

struct sort {
    int (*compare)(const void *a, const void *b, void *arg);
    void *arg;
};

/* from[0, middle) and from[middle, count) are sorted; they become one in to. */
static void merge(const struct sort *sort, void **from, size_t middle, size_t count, void **to)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_left = right == count ||
                         (left < middle && sort->compare(from[left], from[right], sort->arg) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

/* Runs of `run` elements are sorted; true when the result is in spare. */
static bool merge_all(const struct sort *sort, void **work, void **spare, size_t count)
{
    bool swapped = false;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t start = 0; start < count; start += 2 * run) {
            size_t left = count - start;
            merge(sort, work + start, run < left ? run : left, 2 * run < left ? 2 * run : left,
                  spare + start);
        }
        void **other = work;
        work = spare;
        spare = other;
        swapped = !swapped;
    }
    return swapped;
}

int neap_list_sort(struct neap_list *list, int (*compare)(const void *a, const void *b, void *arg),
                   void *arg)
{
    check_change(list, "neap_list_sort");
    size_t count = list->length;
    if (count < 2)
        return NEAP_OK;
    void **work = neap_alloc(2 * count * sizeof *work);
    if (work == NULL)
        return NEAP_ENOMEM;
    memcpy(work, list->items->slots, count * sizeof *work);
    list->sorting = true;
    bool swapped = merge_all(&(struct sort){compare, arg}, work, work + count, count);
    list->sorting = false;
    memcpy(list->items->slots, swapped ? work + count : work, count * sizeof *work);
    neap_free(work);
    return NEAP_OK;
}
