/* SPDX-License-Identifier: MIT
 *
 * One pool: its lists, its free blocks, its invariants.
 *
 * Blocks are carved lazily, in address order: a pool's memory is touched as far as it was needed.
 * Carving gives an object block its header of zeros, which is what the collector's walk and stale
 * readers rely on. */
#include "alloc/pool.h"

#include <string.h>

#include "alloc/guard.h"
#include "alloc/heap.h"
#include "base/check.h"
#include "base/options.h"

struct np_region np_region;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "np_pool_key");

/* Heads are stored relaxed: np_shared_adopt reads them as a hint without the lock. */
void np_pool_push(uint32_t *list, struct np_pool *pool)
{
    pool->prev = 0;
    pool->next = *list;
    if (*list != 0)
        np_pool_at(*list)->prev = np_pool_link(pool);
    np_store_relaxed(list, np_pool_link(pool));
}

void np_pool_remove(uint32_t *list, struct np_pool *pool)
{
    if (pool->prev != 0)
        np_pool_at(pool->prev)->next = pool->next;
    else
        np_store_relaxed(list, pool->next);
    if (pool->next != 0)
        np_pool_at(pool->next)->prev = pool->prev;
    pool->next = pool->prev = 0;
}

void np_pool_set_owner(struct np_pool *pool, struct np_heap *heap)
{
    pool->magazine = &heap->magazines[pool->class_index];
    /* relaxed: others find the pool through a block, which reaches them by their own means; a stale
     * owner sends them a detour (remote.c) */
    np_store_relaxed(&pool->owner, heap->id);
}

void np_pool_init(struct np_pool *pool, struct np_heap *heap, unsigned class_index)
{
    const struct np_size_class *row = &np_size_classes[class_index];
    pool->class_index = (uint16_t)class_index;
    pool->generations &= 1; /* on a young list still: see the header */
    pool->block_bytes = row->block_bytes;
    pool->reciprocal = row->reciprocal;
    pool->capacity = np_options.one_block_pools ? 1 : row->capacity;
    pool->type_index = row->type_index;
    np_store_relaxed(&pool->carved, (uint16_t)0); /* relaxed: a hint for others */
    pool->used = 0;
    np_store_relaxed(&pool->traced, (uint8_t)0); /* relaxed, both: no block of it is out */
    np_store_relaxed(&pool->traced_blocks, (uint16_t)0);
    pool->traced_own = 0;
    memset(np_pool_free_bits(pool), 0, (row->capacity + 63u) / 64 * sizeof(uint64_t));
    /* [MM-pool-kind-1] release: a concurrent collection that sees the kind sees the class; pairs
     * with the acquire in proposal.c */
    np_store_release(&pool->kind, (uint8_t)(row->is_object ? NP_POOL_OBJECTS : NP_POOL_UNTYPED));
    np_pool_set_owner(pool, heap);
    if (NP_GUARD)
        np_guard_pool(pool);
}

static void write_dead_header(void *block)
{
    /* relaxed: no reader of an earlier life is left; the collector comes later */
    np_store_relaxed((np_word *)block, 0);
    np_store_relaxed((np_word *)block + 1, 0);
}

static unsigned carve(struct np_pool *pool, void **blocks, unsigned want)
{
    unsigned first = pool->carved, count = (unsigned)(pool->capacity - first);
    if (count > want)
        count = want;
    char *block = np_block_at(pool, first);
    bool write = pool->kind == NP_POOL_OBJECTS && !(pool->flags & NP_POOL_ZERO);
    for (unsigned i = 0; i < count; i++, block += pool->block_bytes) {
        if (NP_GUARD)
            np_guard_carve(pool, block);
        if (write)
            write_dead_header(block);
        blocks[i] = block;
    }
    np_store_relaxed(&pool->carved, (uint16_t)(first + count)); /* relaxed: a hint for others */
    return count;
}

static unsigned take_free(struct np_pool *pool, void **blocks, unsigned want)
{
    unsigned free = (unsigned)(pool->carved - pool->used), count = free < want ? free : want;
    void **end = blocks + count;
    uint64_t *words = np_pool_free_bits(pool);
    size_t block_bytes = pool->block_bytes;
    char *memory = np_pool_memory(pool);
    for (; blocks < end; words++, memory += 64 * block_bytes) {
        uint64_t word = *words;
        for (; word != 0 && blocks < end; word &= word - 1)
            *blocks++ = memory + (size_t)__builtin_ctzll(word) * block_bytes;
        *words = word;
    }
    return count;
}

unsigned np_pool_take(struct np_pool *pool, void **blocks, unsigned want)
{
    unsigned count = pool->used < pool->carved ? take_free(pool, blocks, want) : 0;
    if (count < want && pool->carved < pool->capacity)
        count += carve(pool, blocks + count, want - count);
    pool->used = (uint16_t)(pool->used + count);
    return count;
}

void np_pool_refuse(const struct np_pool *pool, const void *block)
{
    uint32_t index = np_block_index(pool, block);
    np_check(pool->kind != NP_POOL_FREE && index < pool->carved &&
                 np_block_at(pool, index) == block,
             "%p is not a block: freed by a pointer into it, or its memory is not in use", block);
    np_panic("%p was freed twice", block);
}

void np_pool_check(const struct np_pool *pool)
{
    unsigned free = 0;
    const uint64_t *words = np_pool_free_bits(pool);
    for (unsigned i = 0; i < pool->capacity; i++) {
        if (!(words[i / 64] >> i % 64 & 1))
            continue;
        free++;
        np_check(i < pool->carved, "pool %p: block %u is free and was never carved",
                 (const void *)pool, i);
        const np_word *block = np_block_at(pool, i);
        np_check(pool->kind != NP_POOL_OBJECTS || block[1] >> 32 == 0,
                 "pool %p: the free block %p has a type", (const void *)pool, (const void *)block);
    }
    np_check(free + pool->used == pool->carved && pool->carved <= pool->capacity,
             "pool %p: %u free and %u used blocks of %u carved, capacity %u", (const void *)pool,
             free, pool->used, pool->carved, pool->capacity);
    np_check(pool->state == (np_pool_is_exhausted(pool) ? NP_POOL_FULL : NP_POOL_PARTIAL),
             "pool %p: state %u does not fit", (const void *)pool, pool->state);
}
