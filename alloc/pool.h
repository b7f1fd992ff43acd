/* SPDX-License-Identifier: MIT
 *
 * Pools: 16 KiB of blocks of one size, aligned to their size, with dense metadata out of line.
 *
 * All pools live in one reserved region, so the metadata of any small block is an array element: no
 * header in the pool, no search. np_region is (c) after np_alloc_init.
 *
 * The life of a pool; the state says which list it is on:
 *
 *                 np_pool_init (a heap)               last free block taken (owner)
 *      ARENA ------------------------------> PARTIAL ------------------------------> FULL
 *        ^                                   |  ^   <------------------------------    |
 *        |  grace period (arena.c)           |  |       a block comes back (owner)     |
 *     WAITING <------------------------------+  |                                      |
 *             last block came back; kind objects|  abandoned and adopted: the owner    |
 *                                               +- changes, the state stays ----------+
 *
 * Which blocks are free is a bitmap beside the metadata: finding them touches no block, a block
 * that is freed twice shows, and blocks are handed out in address order.
 *
 * Invariants, with the owner's exclusive access: used + free bits == carved <= capacity; PARTIAL
 * has used < capacity, FULL used == capacity; blocks [0, carved) of an object pool have a valid
 * header, type 0 when free; bit 0 of generations is set exactly while the pool is on some heap's
 * young list (which need not be its owner's: pools change owners, lists are renewed by the
 * collector only).
 *
 * Implemented by pool.c. Used by the rest of alloc (the owner's side), runtime (free, size_of) and
 * the collector (walks while the world is stopped; it reads `kind` relaxed, since unattached
 * threads may turn free pools into untyped ones meanwhile).
 */
#ifndef NP_ALLOC_POOL_H
#define NP_ALLOC_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "alloc/size_class.h"
#include "base/atomics.h"
#include "base/compiler.h"

#define NP_POOL_LOG2  14
#define NP_POOL_BYTES ((size_t)1 << NP_POOL_LOG2)
enum { NP_POOL_WORDS = (1 << NP_POOL_LOG2) / NP_CLASS_STEP / 64 };

/* What a pool's blocks are. Changes only after an operation grace period. Untyped is 0, so that
 * np_pool_key of an untyped pool is its owner's id; a pool that was never used reads as an untyped
 * one of nobody's, without blocks. */
enum np_pool_kind { NP_POOL_UNTYPED, NP_POOL_OBJECTS, NP_POOL_FREE };

enum np_pool_state { NP_POOL_IN_ARENA, NP_POOL_WAITING, NP_POOL_PARTIAL, NP_POOL_FULL };

enum np_pool_flag { NP_POOL_ZERO = 1 /* what is not carved yet reads as zero */ };

struct neap_magazine; /* alloc/heap.h */

/* One cache line. (o) the owner's heap, its claimer, or the lock of the shared heap where owner is
 * 0; (L) arena lock. */
struct np_pool {
    union {
        struct {
            uint16_t owner; /* (o>) id of the heap that may touch (o) fields; 0: free or shared */
            uint8_t kind;   /* (o>) enum np_pool_kind; (c) while not free */
            uint8_t traced; /* (o>) 1: untyped blocks of it may be traced */
        };
        uint32_t key; /* both at once: np_pool_key */
    };
    uint16_t class_index;   /* (c) while not free */
    uint16_t traced_blocks; /* (x) relaxed: less those that others than the owner freed; the two
                             * together are how many there are, modulo 2^16 */
    uint8_t generations; /* (o, s) bit g: may hold objects of generation g; bit 0 set at refill */
    uint8_t state;       /* (o, L) enum np_pool_state */
    uint8_t flags;       /* (o) enum np_pool_flag */
    uint8_t spare_too;
    uint32_t block_bytes; /* (c) while not free */
    uint32_t reciprocal;  /* (c) while not free: ceil(2^32 / block_bytes), for np_block_index */
    uint16_t capacity;    /* (c) while not free: blocks */
    uint16_t carved;      /* (o>) blocks [0, carved) were handed out or linked at least once */
    uint16_t used;        /* (o) carved blocks that are not free; in magazines they count as used */
    uint16_t confined_row; /* (o>) the collector's: row in a confined collection under way, or 0 */
    uint32_t next, prev;   /* (o, L) list links: pool index + 1; 0 ends */
    uint32_t young_next;   /* (o, s) next on the young list: index + 1; 0 ends */
    uint32_t type_index;   /* (c) while not free: of a NEAP_POOLED type's own pool; else 0 */
    uint16_t traced_own;   /* (o) traced blocks that the owner made, less those that it freed */
    uint64_t grace;        /* (L) clock tag before which it may not change kind or class */
    struct neap_magazine *magazine; /* (o) the owner's for the class */
} __attribute__((aligned(NP_CACHE_LINE)));
_Static_assert(sizeof(struct np_pool) == NP_CACHE_LINE, "one line per pool");

struct np_region {
    uintptr_t base;        /* aligned to the arena size */
    size_t bytes;          /* reserved; 0 before np_alloc_init */
    struct np_pool *pools; /* one per pool of the region */
    uint64_t *free_bits;   /* NP_POOL_WORDS per pool; (o) bit i: block i is carved and free */
    uint32_t used_count;   /* (x) pools [0, used_count) were taken from the region at least once */
};
extern struct np_region np_region;

static inline bool np_region_has(const void *address)
{
    return (uintptr_t)address - np_region.base < np_region.bytes;
}

static inline uint32_t np_pool_index_of(const void *block)
{
    return (uint32_t)(((uintptr_t)block - np_region.base) >> NP_POOL_LOG2);
}

/* The key of a pool that reads np_pool_key otherwise, and has traced blocks. */
enum { NP_POOL_KEY_TRACED = 1 << 24 };

/* Requires np_region_has(block). */
static inline struct np_pool *np_pool_of(const void *block)
{
    uintptr_t offset = (uintptr_t)block - np_region.base;
    return (struct np_pool *)(void *)((char *)np_region.pools +
                                      (offset >> NP_POOL_LOG2) * sizeof(struct np_pool));
}

static inline char *np_pool_memory(const struct np_pool *pool)
{
    return (char *)(np_region.base + ((uintptr_t)(pool - np_region.pools) << NP_POOL_LOG2));
}

/* Also right for an address inside the block. */
static inline uint32_t np_block_index(const struct np_pool *pool, const void *block)
{
    uint64_t offset = (uintptr_t)block & (NP_POOL_BYTES - 1);
    return (uint32_t)((offset * pool->reciprocal) >> 32);
}

static inline void *np_block_at(const struct np_pool *pool, uint32_t index)
{
    return np_pool_memory(pool) + (size_t)index * pool->block_bytes;
}

/* What `key` reads for a pool of that owner and kind (little endian, as every target of ours). */
static inline uint32_t np_pool_key(uint16_t owner, enum np_pool_kind kind)
{
    return owner | (uint32_t)kind << 16;
}

/* A freed block's word 0: no live owner id, not immortal, and the address. 47-bit addresses. */
static inline uint64_t np_link_encode(const void *next)
{
    return (uint64_t)0xF << 44 | (uint64_t)(uintptr_t)next >> 3;
}

static inline void *np_link_decode(uint64_t word)
{
    return (void *)(uintptr_t)(word << 20 >> 17);
}

static inline void np_link_store(void *block, const void *next)
{
    /* relaxed: a stale try-retain may read the owner bits at the same time; it finds no live id */
    np_store_relaxed((np_word *)block, np_link_encode(next));
}

static inline void *np_link_load(const void *block)
{
    return np_link_decode(np_load_relaxed((const np_word *)block));
}

/* ---- the owner's side; all need exclusive access to the pool's (o) fields ---- */

/* A list of pools through next and prev: index + 1 of the first, 0 when empty. */
static inline struct np_pool *np_pool_at(uint32_t link)
{
    return link == 0 ? NULL : &np_region.pools[link - 1];
}

static inline uint32_t np_pool_link(const struct np_pool *pool)
{
    return (uint32_t)(pool - np_region.pools) + 1;
}

void np_pool_push(uint32_t *list, struct np_pool *pool);
void np_pool_remove(uint32_t *list, struct np_pool *pool);

struct np_heap;

/* The pool, just taken from its arena, becomes the heap's for class_index; all blocks free. */
void np_pool_init(struct np_pool *pool, struct np_heap *heap, unsigned class_index);
/* The pool, which is nobody's or under the shared lock, becomes the heap's as it is. */
void np_pool_set_owner(struct np_pool *pool, struct np_heap *heap);

/* Up to want free blocks into blocks[0 ...], in address order; returns how many. The block on top
 * of a magazine is then at another offset of its pool for each class: at the same one, the hottest
 * blocks of all classes would share one set of the processor's cache. */
unsigned np_pool_take(struct np_pool *pool, void **blocks, unsigned want);

static inline bool np_pool_is_exhausted(const struct np_pool *pool)
{
    return pool->used == pool->capacity;
}

static inline uint64_t *np_pool_free_bits(const struct np_pool *pool)
{
    return np_region.free_bits + (size_t)(pool - np_region.pools) * NP_POOL_WORDS;
}

/* Is it one of the pool's free blocks? Exclusive access. */
static inline bool np_pool_has_free(const struct np_pool *pool, const void *block)
{
    uint32_t index = np_block_index(pool, block);
    return (np_pool_free_bits(pool)[index / 64] >> index % 64 & 1) != 0;
}

void np_pool_refuse(const struct np_pool *pool, const void *block) np_cold;

/* The block is free. Panics when it is no block of the pool or free already. */
static inline void np_pool_put(struct np_pool *pool, void *block)
{
    uint32_t within = (uint32_t)((uintptr_t)block & (NP_POOL_BYTES - 1));
    uint32_t index = (uint32_t)(((uint64_t)within * pool->reciprocal) >> 32);
    uint64_t *words = np_region.free_bits + (size_t)np_pool_index_of(block) * NP_POOL_WORDS;
    uint64_t word = words[index / 64], bit = (uint64_t)1 << index % 64;
    if (np_unlikely((word & bit) != 0 || index >= pool->carved ||
                    index * pool->block_bytes != within))
        np_pool_refuse(pool, block);
    words[index / 64] = word | bit;
    pool->used--;
}

/* np_pool_put for the first of the blocks, one at least, as far as they lie in the pool; how many.
 */
static inline unsigned np_pool_put_run(struct np_pool *pool, void *const *blocks, unsigned count)
{
    uint64_t *words = np_pool_free_bits(pool);
    uintptr_t memory = (uintptr_t)blocks[0] & ~(uintptr_t)(NP_POOL_BYTES - 1);
    uint64_t reciprocal = pool->reciprocal;
    uint32_t block_bytes = pool->block_bytes, carved = pool->carved;
    unsigned done = 0;
    do {
        uint32_t within = (uint32_t)((uintptr_t)blocks[done] - memory);
        uint32_t index = (uint32_t)(within * reciprocal >> 32);
        uint64_t word = words[index / 64], bit = (uint64_t)1 << index % 64;
        if (np_unlikely((word & bit) != 0 || index >= carved || index * block_bytes != within))
            np_pool_refuse(pool, blocks[done]);
        words[index / 64] = word | bit;
        done++;
    } while (done < count && (uintptr_t)blocks[done] - memory < NP_POOL_BYTES);
    pool->used = (uint16_t)(pool->used - done);
    return done;
}

/* Recomputes what the invariants above say (paranoid builds, tests); panics where they do not hold.
 */
void np_pool_check(const struct np_pool *pool);

#endif
