/* SPDX-License-Identifier: MIT
 *
 * Guard pages on a sample: one in so many untyped blocks (option guard_sample) ends where a page
 * begins that nobody may touch, and its own page is closed when it is freed. So the program stops
 * with SIGSEGV at the very instruction that writes past the end, or uses the block afterwards. What
 * is written just before the block is found when it is freed.
 *
 * There are 64 such places, used in turn. A block that finds none free is made as any other.
 *
 * Implemented by sample.c; used by untyped.c, in every build. Any thread; one lock. */
#ifndef NP_ALLOC_SAMPLE_H
#define NP_ALLOC_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"

enum { NP_SAMPLE_PLACES = 64 };

extern uintptr_t np_sample_base; /* (c) once not 0 */
extern size_t np_sample_bytes;   /* (c) the same */

struct np_heap;

/* Is it the heap's turn? Counts its slow paths. */
bool np_sample_is_due(struct np_heap *heap);

/* At most a page; NULL: no place is free, or no memory. Aligned to the largest power of two that
 * divides bytes, rounded up to 16. */
void *np_sample_take(size_t bytes);
void np_sample_give(void *block);
size_t np_sample_usable(const void *block);

struct np_sample_counts {
    uint64_t blocks, bytes; /* live */
};
void np_sample_count(struct np_sample_counts *ret_counts);

void np_sample_lock(void);
void np_sample_unlock(void);

static inline bool np_sample_has(const void *block)
{
    /* relaxed: whoever has such a block got it after the region was made */
    return (uintptr_t)block - np_load_relaxed(&np_sample_base) < np_load_relaxed(&np_sample_bytes);
}

#endif
