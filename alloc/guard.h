/* SPDX-License-Identifier: MIT
 *
 * Guards of small blocks, in builds with NP_GUARD (debug, paranoid, AddressSanitizer, Valgrind): a
 * write to a freed block, a write past a block's end and a second free are reported.
 *
 *   handed out    an untyped block is filled with 0xCD and ends in a canary, 8 bytes that the
 *                 program does not get; an object's body is zeroed by who makes it
 *   freed here    hidden, and kept back for the next 128 frees of the thread (quarantine.c); an
 *                 untyped block is filled with 0xDD at once, an object's body is summed and stays
 *                 as it was, since a tracer may be on its way out of it; what the collector gives
 *                 back in bulk (bulk.h) is not kept back
 *   freed there   an untyped block is filled; both are hidden, and an object filled on arrival
 *   free          all of it reads 0xDD, which is verified when it is handed out again
 *
 * The first 16 bytes of an object's block are its header: they are neither filled nor hidden, since
 * lock-free readers may be late (docs/memory-model.md).
 *
 * Callers ask `if (NP_GUARD)` first; other builds contain nothing of it.
 *
 * Implemented by guard.c; used by pool.c, quarantine.c, remote.c, untyped.c and runtime/object.c.
 */
#ifndef NP_ALLOC_GUARD_H
#define NP_ALLOC_GUARD_H

#include "alloc/pool.h"
#include "base/check.h"

/* Bytes of an untyped block that the program does not get. */
enum { NP_GUARD_TAIL = NP_GUARD ? 8 : 0, NP_GUARD_HEADER = 16 };

/* The region exists. */
void np_guard_init(void);

/* The pool has blocks of another size from now on: all of it is hidden. */
void np_guard_pool(const struct np_pool *pool);
/* The block is free for the first time; an object's header is shown. */
void np_guard_carve(const struct np_pool *pool, void *block);

/* An untyped block goes to the program, comes from it. Giving panics on a second free and on a
 * canary that was written over. */
void np_guard_take(const struct np_pool *pool, void *block);
void np_guard_give(const struct np_pool *pool, void *block);
/* The same for an object's body; giving hides it and leaves it as it is. */
void np_guard_take_object(void *block);
void np_guard_give_object(const struct np_pool *pool, void *block);

/* The body's sum, for a look at whether it changes. */
uint64_t np_guard_sum(const struct np_pool *pool, void *block);
/* Free blocks: filled anew; found as they were filled, or panic. Of objects the body. */
void np_guard_fill(const struct np_pool *pool, void *block);
void np_guard_verify(const struct np_pool *pool, void *block);
/* The block has come from another thread. */
void np_guard_arrive(const struct np_pool *pool, void *block);

/* The canary of an untyped block of any size, at the end of its bytes. */
void np_guard_seal(void *block, size_t bytes);
/* Panics when it was written over; what calls itself `function` to the user. The bytes are plain
 * memory again. */
void np_guard_unseal(const char *function, void *block, size_t bytes);

/* Panic: a freed block has changed. */
_Noreturn void np_guard_changed(const void *block, const void *where) np_cold;

#endif
