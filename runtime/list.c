/* SPDX-License-Identifier: MIT
 *
 * The elements are slots in an untyped block that doubles when it is full and halves when three
 * quarters are empty. The type's visit hands out their addresses, so counting, tracing and
 * releasing work as for slots inside the object. The block changes between two stop points only:
 * whoever stops the world finds it whole. */
#include "neap/list.h"

#include "neap/block.h"
#include "neap/slot.h"
#include "neap/status.h"
#include "runtime/header.h"

enum { FIRST_CAPACITY = 4 };

struct neap_list {
    size_t length, capacity;
    void **items; /* [0, length) are slots */
};

static void list_visit(void *self, struct neap_visitor *visitor)
{
    struct neap_list *list = self;
    for (size_t i = 0; i < list->length; i++)
        neap_visit(visitor, &list->items[i]);
}

/* From the end, so that the list is whole whenever it is looked at. */
static void list_dispose(void *self)
{
    struct neap_list *list = self;
    while (list->length > 0)
        neap_release(list->items[--list->length]);
    neap_free(list->items);
    list->items = NULL;
    list->capacity = 0;
}

NEAP_DEFINE_TYPE(neap_list, (), .visit = list_visit, .dispose = list_dispose,
                 .flags = NP_TYPE_INTERNAL);

struct neap_list *neap_list_new(void)
{
    return neap_new(neap_list);
}

static bool resize(struct neap_list *list, size_t capacity)
{
    void **items = neap_realloc(list->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    list->capacity = capacity;
    return true;
}

int neap_list_append(struct neap_list *list, void *object)
{
    if (list->length == list->capacity &&
        !resize(list, list->capacity == 0 ? FIRST_CAPACITY : 2 * list->capacity))
        return NEAP_ENOMEM;
    list->items[list->length] = neap_retain(object);
    list->length++;
    return NEAP_OK;
}

void *neap_list_get(struct neap_list *list, size_t index)
{
    return index < list->length ? neap_get(&list->items[index]) : NULL;
}

int neap_list_set(struct neap_list *list, size_t index, void *object)
{
    if (index >= list->length)
        return NEAP_EINVAL;
    neap_set(&list->items[index], object);
    return NEAP_OK;
}

void *neap_list_pop(struct neap_list *list)
{
    if (list->length == 0)
        return NULL;
    void *object = neap_take(&list->items[list->length - 1]);
    list->length--;
    /* without memory for a smaller block the larger one stays */
    if (list->capacity > FIRST_CAPACITY && list->length <= list->capacity / 4)
        (void)resize(list, list->capacity / 2);
    return object;
}

size_t neap_list_length(const struct neap_list *list)
{
    return list->length;
}
