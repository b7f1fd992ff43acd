/* SPDX-License-Identifier: MIT
 *
 * tidepool: sets and hashes, a dict of members and a dict of fields.
 *
 * Concurrency: each belongs to the lock of its key. A field's value is a string: immutable. */
#ifndef TIDEPOOL_SET_H
#define TIDEPOOL_SET_H

#include "dict.h"

struct set {
    struct dict dict;
};
NEAP_DECLARE_TYPE(set);

struct member {
    struct node node;
    char name[];
};
NEAP_DECLARE_TYPE(member);

struct hash {
    struct dict dict;
};
NEAP_DECLARE_TYPE(hash);

struct field {
    struct node node;
    struct string *value; /* slot */
    char name[];
};
NEAP_DECLARE_TYPE(field);

/* New references; NULL out of memory. */
struct set *set_new(void);
struct hash *hash_new(void);

enum set_result { SET_NO_MEMORY, SET_CHANGED, SET_ADDED };

/* Adds the name; SET_CHANGED when it was there. */
enum set_result set_add(struct set *set, struct slice name);

/* Gives the field this value; SET_CHANGED when it had another. */
enum set_result hash_put(struct hash *hash, struct slice name, struct slice value);

/* The field, borrowed; NULL when there is none. */
static inline struct field *hash_find(struct hash *hash, struct slice name)
{
    return (struct field *)dict_find(&hash->dict, name);
}

#endif
