/* SPDX-License-Identifier: MIT
 *
 * The type table. Its reading half, np_type_at, is in header.h.
 *
 * Implemented by type.c. */
#ifndef NP_RUNTIME_TYPE_H
#define NP_RUNTIME_TYPE_H

#include "alloc/size_class.h"
#include "runtime/header.h"

/* In neap_type.class_index: no fixed size class, since the object does not fit a small block or has
 * a flexible array (whose block is zeroed to its end). */
#define NP_CLASS_GENERAL 0xFFFF

/* What is added to np_class_of for objects of a type whose traits are known: leaves have classes of
 * their own. */
static inline unsigned np_class_offset(const struct neap_type *type)
{
    return type->traits & NP_TRAIT_SLOTS ? 0 : NP_CLASS_LEAF;
}

#endif
