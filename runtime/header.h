/* SPDX-License-Identifier: MIT
 *
 * Reading an object's header: state bits of `shared`, bits of the gc and flags bytes, and what they
 * mean together. The layout is <neap/header.h>; docs/memory-model.md says who writes what in which
 * order.
 *
 * The true count of an object with a thread's id or `handed` as owner is local + count(shared);
 * without owner it is count(shared). A count may exceed the truth, never fall below it, wherever a
 * thread can be stopped.
 */
#ifndef NP_RUNTIME_HEADER_H
#define NP_RUNTIME_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "base/tls.h"
#include "neap/header.h"
#include "neap/type.h"

/* State bits of `shared`; sticky but for QUEUED. The signed count starts at bit 5. */
enum {
    NP_PUBLISHED = 1, /* may be acquired by try-retain: death goes through an atomic transition */
    NP_HAS_WEAK = 2,  /* the weak table has an entry for it; implies PUBLISHED */
    NP_QUEUED = 4,    /* a merge queue holds one of its references */
    NP_MERGED = 8,    /* no owner: the count is here alone */
    NP_CANDIDATE = 16,
    NP_SHARED_ONE = 32,
    NP_SHARED_FLAGS = NP_SHARED_ONE - 1
};

/* Bits of the gc byte. */
enum {
    NP_GC_GENERATION = 3, /* 0 young, 1, 2 old */
    NP_GC_TRACKED = 4,    /* the collector examines it */
    NP_GC_FINALIZED = 8,  /* its finalizer has run or is running */
    NP_GC_CONDEMNED = 16, /* found unreachable; no reference from outside its set exists */
    NP_GC_WAITED = 64,    /* dead and past its peek grace period */
    NP_GC_FROZEN = 32     /* moved out of the collector's sight by neap_gc_freeze */
};

/* What a dying object's word 0 keeps beside its link: gc and flags, but for tracked, so that no
 * collection looks at it. */
static const uint64_t np_link_kept = (uint64_t)0xFFFF << 48 & ~((uint64_t)NP_GC_TRACKED << 48);

/* Bits of the flags byte. */
enum {
    NP_FLAG_ARRAY = 1,
    NP_FLAG_LARGE = 2,
    NP_FLAG_BARE = 4,   /* small, no slots, no hooks, not traced: to destroy it is to give its block
                           back */
    NP_FLAG_TRACED = 8, /* the tracer is told of its end */
    NP_FLAG_NUMBERED = 16 /* (s) graph.c knows its id */
};

static inline int32_t np_shared_count(uint32_t shared)
{
    return (int32_t)shared >> 5;
}

static inline uint16_t np_owner_of(const struct neap_header *header)
{
    /* relaxed: decides only which path runs; each path is right for a stale answer */
    return np_load_relaxed(&header->owner);
}

static inline void *np_object_of(const struct neap_header *header)
{
    return (void *)(uintptr_t)(header + 1);
}

/* Dead by value for every acquirer: nothing can make a reference from this word. */
static inline bool np_shared_is_acquirable(uint32_t shared)
{
    if (shared & NP_MERGED)
        return np_shared_count(shared) > 0;
    return np_shared_count(shared) > 0 || (shared & (NP_PUBLISHED | NP_QUEUED)) != 0;
}

/* ---- types by index; index 0 is no type. The table never moves; entries are (c) once published.
 * ---- */
enum { NP_TYPE_CHUNK_LOG2 = 8, NP_TYPE_CHUNKS = 4096 };
extern const struct neap_type **np_type_chunks[NP_TYPE_CHUNKS];

static inline const struct neap_type *np_type_at(uint32_t index)
{
    /* [MM-type-1] acquire: pairs with the release in type.c that publishes the chunk */
    const struct neap_type **chunk = np_load_acquire(&np_type_chunks[index >> NP_TYPE_CHUNK_LOG2]);
    return chunk[index & ((1u << NP_TYPE_CHUNK_LOG2) - 1)];
}

/* Bits of neap_type.traits, computed when the type takes its index. */
enum {
    NP_TRAIT_SLOTS = 1,    /* has slots or visit: tracked, and its children are released */
    NP_TRAIT_HOOKS = 2,    /* finalize or dispose */
    NP_TRAIT_TRAILING = 4, /* a slot is a flexible array */
    NP_TRAIT_USER = 8      /* its death runs the program's code */
};

/* In neap_type.flags of the runtime's own types: dispose is ours, short, and runs anywhere. */
#define NP_TYPE_INTERNAL (1u << 31)

/* In neap_type.flags of containers whose slots are in blocks of their own, with `user` set to a
 * struct np_piecemeal: what they hold is released within the budget, as a large array's slots are.
 */
#define NP_TYPE_PIECEMEAL (1u << 30)

/* Bits of neap_type.flags that a program may not set: these, and ephemeron.h's. */
#define NP_TYPE_OURS (7u << 29)

/* How a death that follows may run: with user code on this thread, or queued (death.h). */
enum np_manner { NP_LOUD, NP_QUIET };

struct np_piecemeal {
    /* Releases at most *budget references, one off for each; true when the container is empty and
     * its blocks are freed. */
    bool (*release)(void *self, uint64_t *budget, enum np_manner manner);
};

static inline const struct np_piecemeal *np_piecemeal_of(const struct neap_type *type)
{
    return type->flags & NP_TYPE_PIECEMEAL ? (const struct np_piecemeal *)type->user : NULL;
}

/* Gives the type its index on first use; 0 out of memory. */
uint32_t np_type_register(const struct neap_type *type);

/* Number of types registered, the highest index. */
uint32_t np_type_count(void);

/* ---- geometry ---- */
size_t np_object_block_bytes(const struct neap_header *header); /* header included */
size_t np_object_length(const struct neap_header *header);      /* elements; 1 unless an array */

/* The exact count, for a stopped world or the only thread that can change it. *ret_exempt: immortal
 * or deferred, whose count says nothing. */
size_t np_object_count(const struct neap_header *header, bool *ret_exempt);

#endif
