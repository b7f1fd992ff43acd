/* SPDX-License-Identifier: MIT
 *
 * Blocks over NP_SMALL_MAX: from jemalloc's own arena (mallocx) or, built with -Dlarge=os, from the
 * system. A prefix in front of the block carries what pool metadata carries for small ones. All
 * objects among them are on one list, so that the collector finds them.
 *
 * Implemented by large.c over a backend (large_jemalloc.c or large_os.c). Any thread; one internal
 * lock. */
#ifndef NP_ALLOC_LARGE_H
#define NP_ALLOC_LARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

/* In front of the block, 64 bytes so that the block is aligned to 64. */
struct np_large {
    struct np_list link; /* (L) all that are objects */
    size_t bytes;        /* (c) usable bytes of the block */
    uint64_t grace;      /* (L) clock tag when freed in waiting */
    uint32_t counter;    /* (s) the collector's side counter */
    uint32_t mark;       /* (s) the collector's */
    bool is_object;      /* (c) */
    bool is_freed;    /* (o) survives what backends write into freed blocks, as does what follows */
    uint32_t trace;   /* (x) relaxed: the tracer's; 0: not traced */
    void *base;       /* (c) what the backend gave (over-aligned blocks) */
    size_t alignment; /* (c) */
};
_Static_assert(sizeof(struct np_large) == 64, "prefix keeps the block aligned");

static inline struct np_large *np_large_of(const void *block)
{
    return (struct np_large *)(uintptr_t)block - 1;
}

/* bytes of block (object blocks: header included), zeroed when `zero`. alignment is a power of two,
 * at most 64 costs nothing. NULL out of memory or over heap_hard_limit. */
void *np_large_new(size_t bytes, size_t alignment, bool is_object, bool zero);
/* wait_grace: the block was published; it stays readable until an operation grace period has
 * passed. */
void np_large_free(void *block, bool wait_grace);
/* The untyped block with another size, moved if need be; NULL out of memory, and the old one stays.
 * Its alignment is kept up to 64. */
void *np_large_resize(void *block, size_t bytes);
/* Returns what has waited long enough; called from slow paths and stop points. */
void np_large_reclaim(void);

struct np_large_counts {
    uint64_t blocks[2], bytes[2]; /* untyped, objects */
    uint64_t waiting_bytes, cached_bytes;
};
void np_large_count(struct np_large_counts *ret_counts);
bool np_large_init(void);

/* A freed block on no list goes to the backend. */
void np_large_give_back(struct np_large *large);

/* The objects, newest first, for a stopped world or under np_large_lock. */
struct np_list *np_large_all(void);
void np_large_lock(void);
void np_large_unlock(void);

#endif
