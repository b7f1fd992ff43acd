/* SPDX-License-Identifier: MIT
 *
 * Size classes, links, and one pool's blocks: the arithmetic that everything else trusts. */
#include <string.h>

#include "alloc/arena.h"
#include "base/shadow.h"
#include "tests/death.h"
#include "tests/unit/alloc/slots.h"

static void test_classes(void)
{
    bool right = true;
    for (size_t bytes = 1; bytes <= NP_SMALL_MAX; bytes++) {
        unsigned class_index = np_class_of(bytes);
        size_t block = np_size_classes[class_index].block_bytes;
        right &= block >= bytes && block < bytes + NP_CLASS_STEP;
        right &= block == np_class_bytes(class_index) && np_size_classes[class_index].is_object;
        right &= np_size_classes[class_index + NP_CLASS_UNTYPED].block_bytes == block;
        right &= !np_size_classes[class_index + NP_CLASS_UNTYPED].is_object;
        right &= np_size_classes[class_index + NP_CLASS_LEAF].block_bytes == block;
        right &= !np_size_classes[class_index + NP_CLASS_LEAF].is_tracked;
    }
    ok(right, "every size up to %d has the smallest class that holds it, of each kind",
       NP_SMALL_MAX);
}

static void test_pooled_classes(void)
{
    int first = np_class_for_pooled(1000, 40), second = np_class_for_pooled(1001, 40);
    is_int(first, NP_CLASS_POOLED, "the first pooled type gets the first pooled class");
    ok(second == first + 1, "another type of the same size gets its own");
    is_int(np_class_for_pooled(1000, 40), first, "the same type gets the same class again");
    is_int(np_size_classes[first].block_bytes, 40, "the block is exact, in steps of 8");
    is_int(np_class_for_pooled(1002, NP_SMALL_MAX + 8), -1, "large blocks have no class");
    unsigned made = 2;
    while (np_class_for_pooled(2000 + made, 64) >= 0)
        made++;
    is_int(made, NP_CLASS_LEAF - NP_CLASS_POOLED, "when all are taken, the answer is -1");
    is_int(np_class_for_pooled(1001, 40), second, "and known types keep theirs");
}

static void test_links(void)
{
    static const uintptr_t addresses[] = {0, 16, 0x7FFFFFFFFFF8, 0x555555554008, 0x100000000};
    bool kept = true, dead = true;
    for (size_t i = 0; i < np_count_of(addresses); i++) {
        uint64_t word = np_link_encode((void *)addresses[i]);
        uint64_t mixed = word | (uint64_t)0xFFFF << 48;
        kept &= np_link_decode(word) == (void *)addresses[i];
        kept &= np_link_decode(mixed) == (void *)addresses[i];
        dead &= (uint16_t)(word >> 32) >= NEAP_OWNER_RESERVED && word >> 48 == 0;
    }
    ok(kept, "a link keeps its address, whatever bits 48 to 63 are");
    ok(dead, "the owner bits of a link are no thread's id, and bits 48 to 63 are zero");
}

static void test_indexes(void)
{
    bool right = true;
    for (unsigned class_index = 0; class_index < NP_CLASS_COUNT; class_index++) {
        const struct np_size_class *row = &np_size_classes[class_index];
        struct np_pool *pool = np_arena_take(np_tls.heap, class_index);
        for (uint32_t offset = 0; offset < row->capacity * row->block_bytes; offset++) {
            void *address = np_pool_memory(pool) + offset;
            right &= np_block_index(pool, address) == offset / row->block_bytes;
            right &= np_pool_of(address) == pool;
        }
        right &= np_pool_memory(pool) == (char *)np_block_at(pool, 0);
        np_arena_give(pool);
    }
    ok(right, "every address of every class's pool is in the block that division says");
}

static void test_take_and_put(void)
{
    void *blocks[1024];
    struct np_pool *pool = np_arena_take(np_tls.heap, np_class_of(48));
    pool->state = NP_POOL_PARTIAL;
    unsigned capacity = pool->capacity;
    is_int(np_pool_take(pool, blocks, 10), 10, "ten blocks of a fresh pool");
    ok(blocks[0] == np_pool_memory(pool) && blocks[9] == np_block_at(pool, 9),
       "carved in address order");
    np_pool_check(pool);
    is_int(np_pool_take(pool, blocks + 10, 1024), capacity - 10, "then all the others");
    ok(np_pool_is_exhausted(pool), "then it is exhausted");
    bool whole = true, valid = true;
    static uint8_t seen[1024];
    for (unsigned i = 0; i < capacity; i++) {
        uint32_t index = np_block_index(pool, blocks[i]);
        whole &= index < capacity && np_block_at(pool, index) == blocks[i] && !seen[index];
        seen[index] = 1;
        const struct neap_header *header = blocks[i];
        valid &= header->type == 0 && header->shared == 0;
    }
    ok(whole, "each block came once");
    ok(valid, "carving gives object blocks a header that is dead by value");
    for (unsigned i = 0; i < capacity; i++)
        np_pool_put(pool, blocks[i]);
    is_int(pool->used, 0, "put back, none is used");
    np_pool_check(pool);
    is_int(np_pool_take(pool, blocks, 1), 1, "and they can be taken again");
    np_pool_put(pool, blocks[0]);
    np_arena_give(pool);
}

static void put_twice(void *block)
{
    np_pool_put(np_pool_of(block), block);
    np_pool_put(np_pool_of(block), block);
}

static void put_inside(void *block)
{
    np_pool_put(np_pool_of(block), (char *)block + 16);
}

static void test_misuse(void)
{
    void *block;
    struct np_pool *pool = np_arena_take(np_tls.heap, np_class_of(48));
    pool->state = NP_POOL_PARTIAL;
    np_pool_take(pool, &block, 1);
    dies_with(put_twice, block, "freed twice", "a block cannot come back twice");
    dies_with(put_inside, block, "not a block", "nor by a pointer into it");
    np_pool_put(pool, block);
    np_arena_give(pool);
}

static void test_dirty_pool_becomes_objects(void)
{
    struct np_pool *pool = np_arena_take(np_tls.heap, NP_CLASS_UNTYPED + 2);
    uint32_t index = np_pool_index_of(np_pool_memory(pool));
    np_shadow_show(np_pool_memory(pool), NP_POOL_BYTES);
    memset(np_pool_memory(pool), 0xAB, NP_POOL_BYTES);
    np_arena_give(pool);
    pool = np_arena_take(np_tls.heap, 5);
    is_int(np_pool_index_of(np_pool_memory(pool)), index, "the resident pool is used again");
    void *blocks[1024];
    unsigned count = np_pool_take(pool, blocks, 1024);
    np_shadow_show(np_pool_memory(pool), NP_POOL_BYTES);
    bool valid = true, untouched = true;
    for (unsigned i = 0; i < count; i++) {
        const np_word *words = blocks[i];
        valid &= words[0] == 0 && words[1] == 0;
        untouched &= words[2] == 0xABABABABABABABAB;
    }
    ok(valid, "object blocks carved from memory of an untyped pool have a zeroed header");
    ok(untouched != NP_GUARD, "and only that is written, where there are no guards");
    while (count > 0)
        np_pool_put(pool, blocks[--count]);
    np_arena_give(pool);
}

int main(void)
{
    plan_lazy();
    slots_init();
    slots_enter(1);
    test_classes();
    test_pooled_classes();
    test_links();
    test_indexes();
    test_take_and_put();
    test_misuse();
    test_dirty_pool_becomes_objects();
    return done();
}
