/* SPDX-License-Identifier: MIT
 *
 * The values stand in the order of the shape's names: the first four in the object, the rest in a
 * block that doubles. Shape and values change together between two stop points. */
#include "neap/dynamic.h"

#include <string.h>

#include "base/check.h"
#include "neap/block.h"
#include "neap/slot.h"
#include "runtime/count.h"
#include "runtime/dynamic.h"
#include "runtime/hash.h"
#include "runtime/retire.h"
#include "runtime/shape.h"
#include "runtime/usage.h"
#include "runtime/walk.h"

enum { INLINE = 4, FIRST_ROOM = 5 };

struct rest {
    uintptr_t retired; /* see retire.h */
    size_t room;
    void *values[];
};

struct neap_dynamic {
    struct np_shape *shape; /* NULL: the one without names */
    struct rest *rest;      /* NULL: four values are enough */
    void *values[INLINE];
};

static size_t count_of(const struct neap_dynamic *object)
{
    return object->shape == NULL ? 0 : object->shape->count;
}

static void **value_at(struct neap_dynamic *object, size_t place)
{
    return place < INLINE ? &object->values[place] : &object->rest->values[place - INLINE];
}

static void dynamic_visit(void *self, struct neap_visitor *visitor)
{
    struct neap_dynamic *object = self;
    size_t count = count_of(object);
    for (size_t i = 0; i < count; i++)
        neap_visit(visitor, value_at(object, i));
}

static bool dynamic_release(void *self, uint64_t *budget, enum np_manner manner)
{
    struct neap_dynamic *object = self;
    size_t count = count_of(object);
    for (size_t i = 0; i < count; i++)
        np_release(neap_header_of(*value_at(object, i)), manner);
    *budget -= count < *budget ? count : *budget;
    neap_free(object->rest);
    np_shape_drop(object->shape);
    object->rest = NULL;
    object->shape = NULL;
    return true;
}

static const struct np_piecemeal pieces = {dynamic_release};
NEAP_DEFINE_TYPE(neap_dynamic, (), .visit = dynamic_visit,
                 .flags = NP_TYPE_INTERNAL | NP_TYPE_PIECEMEAL, .user = (void *)&pieces);

struct neap_dynamic *neap_dynamic_new(void)
{
    return neap_new(neap_dynamic);
}

static bool is_other(struct neap_header *header, void *arg)
{
    bool *found = arg;
    *found |= np_type_at(header->type) == &neap_typeof_neap_dynamic;
    return !*found;
}

void np_dynamic_end(void)
{
    bool found = false;
    np_walk_objects(is_other, &found);
    if (!found)
        np_shape_fini();
}

/* ---- attributes ---- */

struct name {
    const char *text;
    size_t length;
    uint32_t hash;
};

static struct name name_of(const char *text)
{
    size_t length = strlen(text);
    return (struct name){text, length, (uint32_t)np_hash_bytes(text, length)};
}

static size_t find(const struct neap_dynamic *object, const struct name *name)
{
    if (object->shape == NULL)
        return SIZE_MAX;
    return np_shape_find(object->shape, name->text, name->length, name->hash);
}

/* Room for a value at this place. */
static bool provide(struct neap_dynamic *object, size_t place)
{
    struct rest *old = object->rest;
    size_t room = old == NULL ? 0 : old->room;
    if (place < INLINE + room)
        return true;
    size_t wanted = room == 0 ? FIRST_ROOM : 2 * room;
    struct rest *rest = neap_alloc(sizeof *rest + wanted * sizeof rest->values[0]);
    if (rest == NULL)
        return false;
    rest->room = wanted;
    if (old != NULL)
        memcpy(rest->values, old->values, room * sizeof rest->values[0]);
    object->rest = rest;
    if (old != NULL)
        np_retire(old, NP_RETIRED_BLOCK);
    return true;
}

int neap_attr_set(struct neap_dynamic *object, const char *text, void *value)
{
    if (text == NULL || value == NULL)
        return NEAP_EINVAL;
    if (!np_usage_alive())
        return NEAP_ESTATE;
    np_usage_check("neap_attr_set");
    struct name name = name_of(text);
    size_t place = find(object, &name);
    if (place != SIZE_MAX) {
        neap_set(value_at(object, place), value);
        return NEAP_OK;
    }
    place = count_of(object);
    if (!provide(object, place))
        return NEAP_ENOMEM;
    struct np_shape *shape = object->shape == NULL ? np_shape_root() : object->shape;
    /* An own shape may grow in place, and making a name is a stop point: the slot is empty then. */
    *value_at(object, place) = NULL;
    shape = np_shape_add(shape, name.text, name.length, name.hash);
    if (shape == NULL)
        return NEAP_ENOMEM;
    *value_at(object, place) = neap_retain(value);
    object->shape = shape;
    return NEAP_OK;
}

void *neap_attr_get(struct neap_dynamic *object, const char *text)
{
    if (text == NULL)
        return NULL;
    struct name name = name_of(text);
    size_t place = find(object, &name);
    return place != SIZE_MAX ? neap_get(value_at(object, place)) : NULL;
}

bool neap_attr_delete(struct neap_dynamic *object, const char *text)
{
    if (text == NULL || !np_usage_alive())
        return false;
    np_usage_check("neap_attr_delete");
    struct name name = name_of(text);
    size_t place = find(object, &name), last = count_of(object) - 1;
    if (place == SIZE_MAX)
        return false;
    struct np_shape *shape = np_shape_without(object->shape, place);
    if (shape == NULL)
        return false;
    void *value = *value_at(object, place);
    for (; place < last; place++)
        *value_at(object, place) = *value_at(object, place + 1);
    *value_at(object, last) = NULL;
    object->shape = shape;
    neap_release_inline(value);
    return true;
}

size_t neap_attr_each(struct neap_dynamic *object, neap_entry_fn *visit, void *arg)
{
    size_t calls = 0;
    bool more = true;
    for (size_t i = 0; more && i < count_of(object);) {
        struct neap_string *name = neap_retain(object->shape->names[i]);
        void *value = neap_get(value_at(object, i));
        calls++;
        more = visit(name, value, arg);
        /* deleted: the next one stands in its place */
        if (i < count_of(object) && object->shape->names[i] == name)
            i++;
        neap_release_inline(name);
        neap_release_inline(value);
    }
    return calls;
}

size_t neap_attr_count(const struct neap_dynamic *object)
{
    return count_of(object);
}
