/* SPDX-License-Identifier: MIT
 *
 * Making objects: the public half is <neap/object.h>.
 *
 * Implemented by object.c. */
#ifndef NP_RUNTIME_OBJECT_H
#define NP_RUNTIME_OBJECT_H

#include "alloc/heap.h"
#include "neap/object.h"
#include "runtime/header.h"

#endif
