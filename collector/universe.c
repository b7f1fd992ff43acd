/* SPDX-License-Identifier: MIT
 *
 * Pools by list: young ones through the heaps, middle ones from the array that the last promotion
 * wrote. Heaps outlive the runtime's end and come back with the slots of the next one, one by one,
 * so all are looked at and not those of this runtime's slots alone: a pool whose bit is cleared
 * must leave the list that has it. A pool may have been emptied, reused or become young since then:
 * the array says where to look, the headers say what is there. */
#include "collector/universe.h"

#include "alloc/heap.h"
#include "base/os.h"
#include "runtime/ephemeron.h"

/* More large objects than this (each over 512 bytes) stay unexamined. */
#define LARGE_LIMIT ((size_t)1 << 27)

struct np_universe np_universe;

static struct {
    uint32_t *pools; /* (s) pools that hold objects of generation 1 */
    uint8_t *listed; /* (s) per pool: is on the list */
    size_t count;
    size_t limit; /* pools of the region */
} middle;

static void unreserve(void *memory, size_t bytes)
{
    if (memory != NULL)
        np_os_unreserve(memory, bytes);
}

int np_universe_init(void)
{
    np_universe = (struct np_universe){0};
    middle.count = 0;
    middle.limit = np_region.bytes >> NP_POOL_LOG2;
    middle.pools = np_os_reserve(middle.limit * sizeof *middle.pools, 1);
    middle.listed = np_os_reserve(middle.limit, 1);
    np_universe.large = np_os_reserve(LARGE_LIMIT * sizeof *np_universe.large, 1);
    if (middle.pools != NULL && middle.listed != NULL && np_universe.large != NULL)
        return 0;
    np_universe_fini();
    return -1;
}

void np_universe_fini(void)
{
    unreserve(middle.pools, middle.limit * sizeof *middle.pools);
    unreserve(middle.listed, middle.limit);
    unreserve(np_universe.large, LARGE_LIMIT * sizeof *np_universe.large);
    middle.pools = NULL;
    middle.listed = NULL;
    np_universe.large = NULL;
}

/* ---- gathering ---- */

/* May the pool hold objects that a collection examines? Not when its blocks are untyped or have no
 * slots and are no keys of weak maps, nor when all in it is frozen. */
static bool is_examined(uint32_t pool_index)
{
    const struct np_pool *pool = &np_region.pools[pool_index];
    /* relaxed: object pools change kind only by threads that are stopped */
    return np_load_relaxed(&pool->kind) == NP_POOL_OBJECTS &&
           (np_size_classes[pool->class_index].is_tracked || np_ephemeron_has_keys(pool_index)) &&
           pool->generations != NP_POOL_FROZEN;
}

static void cover(uint32_t pool_index)
{
    if (is_examined(pool_index))
        (void)np_side_cover(pool_index);
}

static void cover_young(struct np_heap *heap, void *unused)
{
    (void)unused;
    for (uint32_t link = heap->young_head; link != 0; link = np_region.pools[link - 1].young_next)
        cover(link - 1);
}

static void cover_middle(void)
{
    for (size_t i = 0; i < middle.count; i++)
        cover(middle.pools[i]);
}

static void cover_all(void)
{
    uint32_t count =
        np_load_relaxed(&np_region.used_count); /* relaxed: pools taken later hold no objects */
    if (np_side_cover_whole(count)) {
        for (uint32_t i = 0; i < count; i++)
            if (!is_examined(i))
                np_side.rows[i] = 0;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        cover(i);
}

/* Newest first. Every block walked ages, objects and others, so that a young collection stops at
 * the first one that an earlier collection has seen often enough. */
static void gather_large(uint32_t age)
{
    np_universe.large_count = 0;
    np_large_lock();
    NP_LIST_EACH (node, np_large_all()) {
        struct np_large *large = np_container_of(node, struct np_large, link);
        if (age < 2 && large->mark > age)
            break;
        struct neap_header *header = (struct neap_header *)(void *)(large + 1);
        if (!large->is_object || np_load_relaxed(&header->type) == 0) /* or held back (hold.h) */
            continue;
        if (np_universe.large_count < LARGE_LIMIT)
            np_universe.large[np_universe.large_count++] = header;
        large->counter = 0;
    }
    np_large_unlock();
}

void np_universe_gather_stopped(int generation)
{
    np_universe.generation = generation;
    np_side.large_age = (uint32_t)generation;
    if (generation == 2) {
        cover_all();
    } else {
        np_heap_each(cover_young, NULL);
        if (generation == 1)
            cover_middle();
    }
    gather_large((uint32_t)generation);
}

/* ---- afterwards ---- */

/* What is not covered (a pool that is empty now, or holds untyped blocks) stays listed: alloc goes
 * by bit 0 of its generations, which only a collection that looks inside may clear. */
static void forget_young(struct np_heap *heap, void *unused)
{
    (void)unused;
    uint32_t *link = &heap->young_head;
    while (*link != 0) {
        struct np_pool *pool = &np_region.pools[*link - 1];
        if (np_universe_has(*link - 1))
            *link = pool->young_next;
        else
            link = &pool->young_next;
    }
}

static void forget_middle(void)
{
    for (size_t i = 0; i < middle.count; i++)
        middle.listed[middle.pools[i]] = 0;
    middle.count = 0;
}

static void list_middle(uint32_t pool_index)
{
    if (middle.listed[pool_index])
        return;
    middle.listed[pool_index] = 1;
    middle.pools[middle.count++] = pool_index;
}

/* On the list of the heap that has it; a pool that nobody has goes to the collecting thread's,
 * where it is found as well as anywhere. */
static void list_young(struct np_pool *pool, uint32_t pool_index)
{
    struct np_heap *heap = pool->owner != 0 ? np_heap_at(pool->owner) : np_tls.heap;
    pool->young_next = heap->young_head;
    heap->young_head = pool_index + 1;
}

static void age_large(uint32_t age)
{
    np_large_lock();
    NP_LIST_EACH (node, np_large_all()) {
        struct np_large *large = np_container_of(node, struct np_large, link);
        if (age < 2 && large->mark > age)
            break;
        if (large->mark < 2)
            large->mark++;
        large->counter = 0;
    }
    np_large_unlock();
}

void np_universe_promote_stopped(void)
{
    if (np_universe.generation > 0)
        forget_middle();
    np_heap_each(forget_young, NULL);
    for (uint32_t row = 1; row <= np_side.row_count; row++) {
        uint32_t pool_index = np_side.pools[row];
        struct np_pool *pool = &np_region.pools[pool_index];
        if (!np_universe_has(pool_index))
            continue;
        if (pool->generations & 1)
            list_young(pool, pool_index);
        if (pool->generations & 2)
            list_middle(pool_index);
    }
    age_large((uint32_t)np_universe.generation);
}
