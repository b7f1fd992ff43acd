/* SPDX-License-Identifier: MIT
 *
 * The allocator's own memory, and the account of all memory.
 *
 * Metadata (heaps, magazines) comes from reserved chunks of its own, never from malloc, and is kept
 * for the life of the process. The account is what heap_hard_limit is compared with: pools with
 * memory behind them, large blocks and metadata.
 *
 * Implemented by meta.c. Any thread. */
#ifndef NP_ALLOC_META_H
#define NP_ALLOC_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, aligned to a cache line; NULL out of memory or over the limit. */
void *np_meta_new(size_t bytes);
size_t np_meta_bytes(void);

/* The limit of the account from now on; 0: none. */
void np_commit_limit(size_t bytes);
/* When the account passes mark, hook `pressed` is called, by every np_commit until another mark is
 * set; when it falls below base, base is the mark again. 0, 0: never. An allocation that ends in a
 * refusal calls it too. */
void np_commit_watch(size_t base, size_t mark);
/* Adds bytes to the account; false, and no change, when that passes heap_hard_limit. */
bool np_commit(size_t bytes);
/* The same, giving idle pools back to the system before it refuses. */
bool np_commit_hard(size_t bytes);
void np_uncommit(size_t bytes);
/* How an allocation's slow path ends, with no lock held: gives block back. NULL is told as a
 * refusal if the account is why; a refusal after which the allocation found memory all the same is
 * forgotten. Whoever must have the pressure looked at by another thread wakes one here. */
void *np_commit_outcome(void *block);
/* How many have ended with NULL: because of the account, and because the system had nothing (or
 * fault injection said so). */
void np_commit_refusals(uint64_t *ret_by_limit, uint64_t *ret_by_system);
size_t np_committed(void);

void np_meta_lock(void);
void np_meta_unlock(void);

#endif
