/* SPDX-License-Identifier: MIT
 *
 * tidepool: sets and hashes (see set.h). */
#include "set.h"

NEAP_DEFINE_TYPE(set, (dict.table, dict.next));
NEAP_DEFINE_TYPE(member, (node.chain));
NEAP_DEFINE_TYPE(hash, (dict.table, dict.next));
NEAP_DEFINE_TYPE(field, (node.chain, value));

struct set *set_new(void)
{
    struct set *set = neap_new(set);
    if (set != NULL && dict_init(&set->dict, offsetof(struct member, name)))
        return set;
    neap_release(set);
    return NULL;
}

struct hash *hash_new(void)
{
    struct hash *hash = neap_new(hash);
    if (hash != NULL && dict_init(&hash->dict, offsetof(struct field, name)))
        return hash;
    neap_release(hash);
    return NULL;
}

enum set_result set_add(struct set *set, struct slice name)
{
    if (dict_find(&set->dict, name) != NULL)
        return SET_CHANGED;
    struct member *member = neap_new_extra(member, name.length);
    if (member == NULL)
        return SET_NO_MEMORY;
    dict_name_node(&set->dict, &member->node, name);
    dict_add(&set->dict, &member->node);
    return SET_ADDED;
}

enum set_result hash_put(struct hash *hash, struct slice name, struct slice value)
{
    struct string *string = string_new(value);
    if (string == NULL)
        return SET_NO_MEMORY;
    struct field *field = hash_find(hash, name);
    if (field != NULL) {
        neap_give(&field->value, string);
        return SET_CHANGED;
    }
    field = neap_new_extra(field, name.length);
    if (field == NULL) {
        neap_release(string);
        return SET_NO_MEMORY;
    }
    neap_give(&field->value, string);
    dict_name_node(&hash->dict, &field->node, name);
    dict_add(&hash->dict, &field->node);
    return SET_ADDED;
}
