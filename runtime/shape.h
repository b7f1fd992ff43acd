/* SPDX-License-Identifier: MIT
 *
 * Shapes: the names of a dynamic object's attributes, in the order in which they were set first.
 * The shared ones form a tree, from the shape without names; an object that gets an attribute moves
 * to the child of that name. They live until shutdown, and there are at most SHARED_MOST of them:
 * beyond, and when an attribute is deleted, an object gets a shape of its own.
 *
 * Implemented by shape.c. Used by dynamic.c. */
#ifndef NP_RUNTIME_SHAPE_H
#define NP_RUNTIME_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "neap/string.h"

struct np_shape {
    uint32_t count;           /* (c) of a shared one */
    uint32_t room;            /* (c) names that fit */
    bool is_shared;           /* (c) */
    struct np_shape *child;   /* (x) shared: the youngest child; set under the lock */
    struct np_shape *sibling; /* (c) shared: the next older one */
    struct neap_string *
        *names; /* interned; behind the shape in the same block, as the hashes are */
    uint32_t hashes[];
};

/* The shape without names. */
struct np_shape *np_shape_root(void);

/* The place of the name, or SIZE_MAX. */
size_t np_shape_find(const struct np_shape *shape, const char *name, size_t length, uint32_t hash);

/* The shape with this name added; NULL: out of memory. An own shape is changed, or freed and
 * replaced. */
struct np_shape *np_shape_add(struct np_shape *shape, const char *name, size_t length,
                              uint32_t hash);

/* A shape of the caller's own without the name at this place; NULL: out of memory. An own shape is
 * changed. */
struct np_shape *np_shape_without(struct np_shape *shape, size_t place);

/* The object that has it dies; nothing for a shared one. */
void np_shape_drop(struct np_shape *shape);

/* No dynamic object is left: the tree and its names. */
void np_shape_fini(void);

#endif
