/* SPDX-License-Identifier: MIT
 *
 * Walking every object: pools by headers, then the large list.
 *
 * Implemented by walk.c. The caller has stopped the world or is the only attached thread. */
#ifndef NP_RUNTIME_WALK_H
#define NP_RUNTIME_WALK_H

#include "runtime/header.h"

/* Calls visit for every block that holds an object (dying ones included: their owner bits are
 * reserved) until it returns false. */
void np_walk_objects(bool (*visit)(struct neap_header *header, void *arg), void *arg);

#endif
