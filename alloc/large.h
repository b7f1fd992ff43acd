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

/* In front of the block. Objects have all of it, untyped blocks the last 32 bytes, which share a
 * cache line with the block's first 32: freeing one that was used touches no other line. */
struct np_large {
    struct np_list link; /* (L) all that are objects, and the place of a walk */
    uint32_t counter;    /* (s) the collector's side counter */
    uint32_t mark;       /* (s) the collector's */
    uint64_t grace;      /* (L) clock tag when freed in waiting */
    size_t bytes;        /* (c) usable bytes of the block */
    size_t slack;        /* (o) of these, what nobody asked for */
    uint32_t offset;     /* (c) of the block in what the backend gave */
    uint32_t trace;      /* (x) relaxed: the tracer's; 0: not traced */
    uint32_t spare;
    uint8_t alignment_log2; /* (c) */
    bool is_object;         /* (c) */
    uint16_t
        live; /* (o) np_large_seal while it is; last, where backends write zeroes or pointers */
};
enum { NP_LARGE_OBJECT_PREFIX = 64, NP_LARGE_UNTYPED_PREFIX = 32 };
_Static_assert(sizeof(struct np_large) == NP_LARGE_OBJECT_PREFIX, "keeps objects aligned");
_Static_assert(offsetof(struct np_large, bytes) == NP_LARGE_UNTYPED_PREFIX, "the common half");
_Static_assert(offsetof(struct np_large, live) + 2 == sizeof(struct np_large), "the last bytes");

static inline struct np_large *np_large_of(const void *block)
{
    return (struct np_large *)(uintptr_t)block - 1;
}

/* What `live` reads for a block there; never 0. */
static inline uint16_t np_large_seal(const void *block)
{
    return (uint16_t)((uintptr_t)block * 0x9E3779B97F4A7C15 >> 48 | 1);
}

static inline bool np_large_is_live(const struct np_large *large)
{
    return large->live == np_large_seal(large + 1);
}

/* bytes of block (object blocks: header included), zeroed when `zero`. alignment is a power of two,
 * at most 32 (objects: 64) costs nothing. NULL out of memory or over heap_hard_limit. */
void *np_large_new(size_t bytes, size_t alignment, bool is_object, bool zero);
/* wait_grace: the block was published; it stays readable until an operation grace period has
 * passed. */
void np_large_free(void *block, bool wait_grace);
/* The untyped block with another size, moved if need be; NULL out of memory, and the old one stays.
 * Its alignment is kept up to 64. */
void *np_large_resize(void *block, size_t bytes);
/* The untyped block stays as it is, with so many bytes of it wanted from now on. */
void np_large_ask(void *block, size_t bytes);
/* Returns what has waited long enough; called from slow paths and stop points. */
void np_large_reclaim(void);

/* Bytes of large objects that the heap's thread has made, less those it has freed, count as debt
 * beyond a limit: has it been reached; the next one is so many bytes from now. */
struct np_heap;
bool np_large_is_due(const struct np_heap *heap);
void np_large_set_due(struct np_heap *heap, int64_t more);

struct np_large_counts {
    uint64_t blocks[2], bytes[2]; /* untyped, objects */
    uint64_t slack_bytes;         /* of both */
    uint64_t waiting_bytes, cached_bytes;
};
void np_large_count(struct np_large_counts *ret_counts);
bool np_large_init(void);

/* So many bytes of the backend's, which nobody uses, go back to it. */
void np_large_give_back(void *base, size_t total);

/* The objects, newest first, for a stopped world or under np_large_lock. One entry may be no object
 * (is_object): where a walk has come to. Types of 0 are dead and held back (hold.h). */
struct np_list *np_large_all(void);
void np_large_lock(void);
void np_large_unlock(void);

/* One walk over them at a time while the world runs: `visit` is called for up to `most` more,
 * newest first, with the lock held. False: those were the last. What is made or freed in between
 * does not disturb it. np_large_walk_end: in any state, also in a child that is forked in between.
 */
void np_large_walk_begin(void);
bool np_large_walk(size_t most, void (*visit)(struct np_large *large, void *arg), void *arg);
void np_large_walk_end(void);

#endif
