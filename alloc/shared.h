/* SPDX-License-Identifier: MIT
 *
 * The shared heap, id 0: it has the pools that exited threads left, and it serves untyped blocks to
 * threads that have no heap of their own (unattached, or in a blocking region). One lock guards all
 * of it: the heap and every pool whose owner reads 0.
 *
 * Lock order: shared lock, then arena lock, then the strays' lock. The lock is held for a few list
 * operations, never across a claim, a wait or a stop point.
 *
 * Implemented by shared.c. */
#ifndef NP_ALLOC_SHARED_H
#define NP_ALLOC_SHARED_H

#include "alloc/own.h"

struct np_heap *np_shared_heap(void); /* NULL before np_alloc_init */

void np_shared_lock(void);
void np_shared_unlock(void);

/* Makes the heap; once, before anything else here. */
bool np_shared_init(void);

/* Untyped blocks for threads without a heap. */
void *np_shared_take(unsigned class_index);
void np_shared_give(struct np_pool *pool, void *block);

/* The block goes back to its pool if nobody owns the pool; false: somebody adopted it meanwhile. */
bool np_shared_put(struct np_pool *pool, void *block);

/* A partial pool of the class for the heap, or NULL. The pool is on no list and the heap's. */
struct np_pool *np_shared_adopt(struct np_heap *heap, unsigned class_index);

/* All pools of the heap become nobody's. */
void np_shared_abandon(struct np_heap *heap);

/* Magazines, outgoing chains and spare pools go home. */
void np_shared_settle(void);

#endif
