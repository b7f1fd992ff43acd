/* SPDX-License-Identifier: MIT
 *
 * tidepool: strings and numbers (see value.h). */
#include "value.h"

#include <string.h>

#include "list.h"
#include "set.h"
#include "zset.h"

NEAP_DEFINE_TYPE(string, ());
NEAP_DEFINE_TYPE(number, ());

struct string *string_new_blank(size_t length)
{
    if (length > UINT32_MAX)
        return NULL;
    struct string *string = neap_new_extra(string, length);
    if (string != NULL)
        string->length = (uint32_t)length;
    return string;
}

struct string *string_new(struct slice text)
{
    struct string *string = string_new_blank(text.length);
    if (string != NULL && text.length > 0)
        memcpy(string->bytes, text.bytes, text.length);
    return string;
}

struct number *number_new(int64_t value)
{
    struct number *number = neap_new(number);
    if (number != NULL)
        number->value = value;
    return number;
}

struct value *value_from_text(struct slice text)
{
    int64_t integer;
    if (text_to_integer(text, &integer))
        return (struct value *)number_new(integer);
    return (struct value *)string_new(text);
}

bool value_is_text(const struct value *value)
{
    return neap_is(value, string) || neap_is(value, number);
}

struct slice value_text(const struct value *value, char buffer[TEXT_INTEGER_BYTES])
{
    if (neap_is(value, number)) {
        size_t length = text_from_integer(((const struct number *)value)->value, buffer);
        return (struct slice){buffer, length};
    }
    return string_text((const struct string *)value);
}

bool value_integer(const struct value *value, int64_t *ret_integer)
{
    if (neap_is(value, number)) {
        *ret_integer = ((const struct number *)value)->value;
        return true;
    }
    return text_to_integer(string_text((const struct string *)value), ret_integer);
}

void value_reply(struct reply *reply, const struct value *value)
{
    char buffer[TEXT_INTEGER_BYTES];
    reply_bulk(reply, value_text(value, buffer));
}

const char *value_type_name(const struct value *value)
{
    if (value == NULL)
        return "none";
    if (neap_is(value, list))
        return "list";
    if (neap_is(value, set))
        return "set";
    if (neap_is(value, hash))
        return "hash";
    return neap_is(value, zset) ? "zset" : "string";
}

/* ---- copying ---- */

struct copying {
    struct dict *from, *to;
    bool failed;
};

static void copy_member(struct node *node, void *arg)
{
    struct copying *copying = arg;
    struct slice name = dict_name(copying->from, node);
    if (neap_is(node, scored))
        copying->failed |=
            !zset_add((struct zset *)copying->to, name, ((struct scored *)node)->score);
    else if (neap_is(node, field))
        copying->failed |= hash_put((struct hash *)copying->to, name,
                                    string_text(((struct field *)node)->value)) == SET_NO_MEMORY;
    else
        copying->failed |= set_add((struct set *)copying->to, name) == SET_NO_MEMORY;
}

static struct list *copy_list(const struct list *from)
{
    struct list *list = list_new();
    struct list_place place = list_seek(from, 0);
    while (list != NULL && place.chunk != NULL) {
        /* the strings are immutable: both lists hold the same */
        if (!list_push(list, LIST_TAIL, neap_retain(list_at(place)))) {
            neap_release(list);
            return NULL;
        }
        place = list_next(place);
    }
    return list;
}

struct value *value_copy(struct value *value)
{
    if (neap_is(value, string))
        return neap_retain(value);
    if (neap_is(value, number))
        return (struct value *)number_new(((struct number *)value)->value);
    if (neap_is(value, list))
        return (struct value *)copy_list((struct list *)value);
    void *copy = neap_is(value, zset)   ? (void *)zset_new()
                 : neap_is(value, hash) ? (void *)hash_new()
                                        : (void *)set_new();
    if (copy == NULL)
        return NULL;
    /* each of the three begins with its dict */
    struct copying copying = {(struct dict *)value, copy, false};
    dict_each(copying.from, copy_member, &copying);
    if (!copying.failed)
        return copy;
    neap_release(copy);
    return NULL;
}

_Static_assert(offsetof(struct set, dict) == 0 && offsetof(struct hash, dict) == 0 &&
                   offsetof(struct zset, dict) == 0,
               "sets, hashes and sorted sets begin with their dict");
