/* SPDX-License-Identifier: MIT
 *
 * The states of free pools, in two bitmaps per arena, and the choice of the next one.
 *
 * Arenas are kept in buckets by the number of their pools in use (waiting ones count as used): the
 * fullest with a ready pool is the highest bucket that is not empty, found by a bit scan. Arenas
 * with resident free pools are also on the idle list, the one that changed last at its end, which
 * is where decay.c takes them from.
 *
 * Waiting pools are on one list per class, oldest tag first. The tags of a list ascend, so its head
 * tells whether anything in it is ready. */
#include "alloc/arena.h"

#include <pthread.h>
#include <string.h>

#include "alloc/arena_own.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "base/check.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/plant.h"

enum { BUCKETS = NP_ARENA_POOLS + 1, BUCKET_WORDS = (BUCKETS + 63) / 64 };
enum { BITS_BYTES = NP_ARENA_POOLS * NP_POOL_WORDS * sizeof(uint64_t) }; /* of an arena */

static struct {
    struct np_arena *arenas;             /* (c) one per arena of the region */
    uint32_t arena_count;                /* (c) of the region */
    uint32_t touched;                    /* (L) arenas [0, touched) have been used */
    uint32_t buckets[BUCKETS];           /* (L) by pools in use; index + 1 */
    uint64_t filled[BUCKET_WORDS];       /* (L) buckets that are not empty */
    uint32_t waiting[NP_CLASS_COUNT][2]; /* (L) first and last pool waiting, by class */
    struct np_arena_counts counts;       /* (L) */
} space;

static struct {
    uint32_t first, last; /* (L) arenas with resident free pools, longest unchanged first */
} idle;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void np_arena_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_arena_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static void unreserve(void *address, size_t bytes)
{
    if (address != NULL)
        np_os_unreserve(address, bytes);
}

bool np_arena_init(size_t bytes)
{
    bytes &= ~(NP_ARENA_BYTES - 1);
    void *region = NULL, *pools = NULL, *bits = NULL, *arenas = NULL;
    for (; bytes >= NP_ARENA_BYTES; bytes = bytes / 2 & ~(NP_ARENA_BYTES - 1)) {
        size_t pools_bytes = (bytes >> NP_POOL_LOG2) * sizeof(struct np_pool);
        size_t bits_bytes = (bytes >> NP_POOL_LOG2) * NP_POOL_WORDS * sizeof(uint64_t);
        size_t arenas_bytes = (bytes >> NP_ARENA_LOG2) * sizeof(struct np_arena);
        size_t page = np_os_page_bytes();
        arenas_bytes = (arenas_bytes + page - 1) & ~(page - 1);
        region = np_os_reserve(bytes, NP_ARENA_BYTES);
        pools = np_os_reserve(pools_bytes, page);
        bits = np_os_reserve(bits_bytes, page);
        arenas = np_os_reserve(arenas_bytes, page);
        if (region != NULL && pools != NULL && bits != NULL && arenas != NULL)
            break;
        unreserve(region, bytes);
        unreserve(pools, pools_bytes);
        unreserve(bits, bits_bytes);
        unreserve(arenas, arenas_bytes);
        region = NULL;
    }
    if (region == NULL)
        return false;
    np_check((uintptr_t)region + bytes <= (uintptr_t)1 << 47, "addresses of more than 47 bits");
    space.arenas = arenas;
    space.arena_count = (uint32_t)(bytes >> NP_ARENA_LOG2);
    np_region = (struct np_region){(uintptr_t)region, bytes, pools, bits, 0};
    return true;
}

/* ---- lists of arenas; all of this file from here on: arena lock held ---- */

static struct np_arena *arena_at(uint32_t link)
{
    return &space.arenas[link - 1];
}

static void bucket_remove(struct np_arena *arena)
{
    uint32_t *head = &space.buckets[arena->used];
    if (arena->prev != 0)
        arena_at(arena->prev)->next = arena->next;
    else
        *head = arena->next;
    if (arena->next != 0)
        arena_at(arena->next)->prev = arena->prev;
    if (*head == 0)
        space.filled[arena->used / 64] &= ~((uint64_t)1 << arena->used % 64);
}

static void bucket_insert(struct np_arena *arena)
{
    uint32_t link = (uint32_t)(arena - space.arenas) + 1, *head = &space.buckets[arena->used];
    arena->prev = 0;
    arena->next = *head;
    if (*head != 0)
        arena_at(*head)->prev = link;
    *head = link;
    space.filled[arena->used / 64] |= (uint64_t)1 << arena->used % 64;
}

static void set_used(struct np_arena *arena, uint32_t used)
{
    bucket_remove(arena);
    arena->used = (uint16_t)used;
    bucket_insert(arena);
}

static void idle_remove(struct np_arena *arena)
{
    uint32_t *next = arena->idle_prev != 0 ? &arena_at(arena->idle_prev)->idle_next : &idle.first;
    uint32_t *prev = arena->idle_next != 0 ? &arena_at(arena->idle_next)->idle_prev : &idle.last;
    *next = arena->idle_next;
    *prev = arena->idle_prev;
    arena->idle_next = arena->idle_prev = 0;
    arena->is_idle = false;
}

static void idle_append(struct np_arena *arena)
{
    uint32_t link = (uint32_t)(arena - space.arenas) + 1;
    arena->idle_next = 0;
    arena->idle_prev = idle.last;
    if (idle.last != 0)
        arena_at(idle.last)->idle_next = link;
    else
        idle.first = link;
    idle.last = link;
    arena->is_idle = true;
}

/* ---- pools ---- */

static struct np_arena *arena_of(const struct np_pool *pool, unsigned *ret_bit)
{
    uint32_t index = (uint32_t)(pool - np_region.pools);
    *ret_bit = index % NP_ARENA_POOLS;
    return &space.arenas[index / NP_ARENA_POOLS];
}

static void make_ready(struct np_pool *pool)
{
    unsigned bit;
    struct np_arena *arena = arena_of(pool, &bit);
    arena->resident[bit / 64] |= (uint64_t)1 << bit % 64;
    arena->changed_ns = np_os_now_ns();
    if (arena->is_idle)
        idle_remove(arena);
    idle_append(arena);
    set_used(arena, arena->used - 1u);
    pool->state = NP_POOL_IN_ARENA;
    pool->flags = 0;
    space.counts.resident++;
}

static bool has_passed(uint64_t tag)
{
    return np_hooks()->clock_passed == NULL || np_hooks()->clock_passed(tag);
}

static void waiting_append(struct np_pool *pool)
{
    uint32_t link = np_pool_link(pool), *ends = space.waiting[pool->class_index];
    pool->next = 0;
    pool->prev = ends[1];
    if (ends[1] != 0)
        np_pool_at(ends[1])->next = link;
    else
        ends[0] = link;
    ends[1] = link;
    pool->state = NP_POOL_WAITING;
    space.counts.waiting++;
}

static void waiting_remove(struct np_pool *pool)
{
    uint32_t *ends = space.waiting[pool->class_index];
    *(pool->prev != 0 ? &np_pool_at(pool->prev)->next : &ends[0]) = pool->next;
    *(pool->next != 0 ? &np_pool_at(pool->next)->prev : &ends[1]) = pool->prev;
    pool->next = pool->prev = 0;
    space.counts.waiting--;
}

static void sweep_locked(void)
{
    for (unsigned i = 0; i < NP_CLASS_COUNT && space.counts.waiting > 0; i++) {
        struct np_pool *pool;
        while ((pool = np_pool_at(space.waiting[i][0])) != NULL && has_passed(pool->grace)) {
            waiting_remove(pool);
            make_ready(pool);
        }
        if (pool != NULL && np_hooks()->clock_ask != NULL)
            np_hooks()->clock_ask(pool->grace);
    }
}

/* The fullest arena with a ready pool; a new one when there is none; NULL when the region is full.
 */
static struct np_arena *choose_arena(void)
{
    for (int word = BUCKET_WORDS - 1; word >= 0; word--) {
        uint64_t bits = space.filled[word];
        if (word == NP_ARENA_POOLS / 64)
            bits &= ~((uint64_t)1 << NP_ARENA_POOLS % 64); /* arenas without a ready pool */
        if (bits != 0)
            return arena_at(space.buckets[word * 64 + 63 - __builtin_clzll(bits)]);
    }
    if (space.touched == space.arena_count)
        return NULL;
    struct np_arena *arena = &space.arenas[space.touched++];
    memset(arena->returned, 0xFF, sizeof arena->returned);
    arena->used = 0;
    bucket_insert(arena);
    space.counts.returned += NP_ARENA_POOLS;
    space.counts.arenas++;
    space.counts.metadata_bytes += NP_ARENA_POOLS * sizeof(struct np_pool) + BITS_BYTES;
    return arena;
}

static int lowest_bit(const uint64_t *words)
{
    for (unsigned i = 0; i < NP_ARENA_WORDS; i++)
        if (words[i] != 0)
            return (int)(i * 64) + __builtin_ctzll(words[i]);
    return -1;
}

static uint64_t *bits_of(const struct np_arena *arena)
{
    return np_region.free_bits + (size_t)(arena - space.arenas) * NP_ARENA_POOLS * NP_POOL_WORDS;
}

/* Of 24 KiB of metadata 16: after a burst of gigabytes most of what would stay. Pools are given
 * new bits with their next owner. Under the lock: a few pages. */
static void give_back_bits(struct np_arena *arena)
{
    size_t page_mask = np_os_page_bytes() - 1;
    if (arena->has_no_bits || (((uintptr_t)bits_of(arena) | BITS_BYTES) & page_mask) != 0)
        return;
    np_os_give_back(bits_of(arena), BITS_BYTES);
    arena->has_no_bits = true;
    space.counts.metadata_bytes -= BITS_BYTES;
}

static struct np_pool *take_from(struct np_arena *arena)
{
    bool resident = true;
    int bit = lowest_bit(arena->resident);
    if (bit >= 0) {
        arena->resident[bit / 64] &= ~((uint64_t)1 << bit % 64);
        if (lowest_bit(arena->resident) < 0)
            idle_remove(arena);
        space.counts.resident--;
    } else {
        if (!np_commit(NP_POOL_BYTES))
            return NULL;
        resident = false;
        bit = lowest_bit(arena->returned);
        np_check(bit >= 0, "arena %zu is on a list of arenas with room and has none",
                 (size_t)(arena - space.arenas));
        arena->returned[bit / 64] &= ~((uint64_t)1 << bit % 64);
        space.counts.returned--;
    }
    if (arena->has_no_bits) {
        arena->has_no_bits = false;
        space.counts.metadata_bytes += BITS_BYTES;
    }
    set_used(arena, arena->used + 1u);
    uint32_t index = (uint32_t)(arena - space.arenas) * NP_ARENA_POOLS + (uint32_t)bit;
    if (index >= np_region.used_count)
        np_store_relaxed(&np_region.used_count,
                         index + 1); /* relaxed: walkers see stopped owners */
    struct np_pool *pool = &np_region.pools[index];
    pool->flags = resident ? 0 : NP_POOL_ZERO;
    return pool;
}

struct np_pool *np_arena_take(struct np_heap *heap, unsigned class_index)
{
    if (np_may_fail())
        return NULL;
    np_arena_lock();
    struct np_pool *pool = np_pool_at(space.waiting[class_index][1]);
    if (pool != NULL) { /* the same class: at once, with its free list and its headers */
        waiting_remove(pool);
        pool->generations &= 1;
        np_store_relaxed(&pool->kind, (uint8_t)NP_POOL_OBJECTS); /* relaxed: see np_pool_init */
        np_pool_set_owner(pool, heap);
    } else {
        if (space.counts.resident == 0 && space.counts.waiting > 0)
            sweep_locked();
        struct np_arena *arena = choose_arena();
        pool = arena != NULL ? take_from(arena) : NULL;
        if (pool != NULL)
            np_pool_init(pool, heap, class_index);
    }
    if (pool != NULL)
        space.counts.used++;
    np_arena_unlock();
    return pool;
}

void np_arena_give(struct np_pool *pool)
{
    np_assert(pool->used == 0);
    bool waits = pool->kind == NP_POOL_OBJECTS && !np_planted(class_without_grace);
    np_arena_lock();
    /* relaxed: nobody has a block of it */
    np_store_relaxed(&pool->owner, (uint16_t)0);
    np_store_relaxed(&pool->kind, (uint8_t)NP_POOL_FREE);
    space.counts.used--;
    if (waits) {
        np_perturb(pool_given);
        pool->grace = np_hooks()->clock_tag != NULL ? np_hooks()->clock_tag() : 0;
        waiting_append(pool);
    } else {
        make_ready(pool);
    }
    np_arena_unlock();
    np_decay_want();
}

void np_arena_sweep(void)
{
    np_arena_lock();
    sweep_locked();
    np_arena_unlock();
}

bool np_arena_has_waiting(void)
{
    struct np_arena_counts counts;
    np_arena_count(&counts);
    return counts.waiting > 0;
}

void np_arena_count(struct np_arena_counts *ret_counts)
{
    np_arena_lock();
    *ret_counts = space.counts;
    np_arena_unlock();
}

/* ---- giving back: decay.c ---- */

uint64_t np_arena_idle_bytes_locked(void)
{
    return space.counts.resident * NP_POOL_BYTES;
}

struct np_arena *np_arena_idle_first(void)
{
    return idle.first != 0 ? arena_at(idle.first) : NULL;
}

char *np_arena_memory(const struct np_arena *arena)
{
    return (char *)np_region.base + ((size_t)(arena - space.arenas) << NP_ARENA_LOG2);
}

unsigned np_arena_detach_idle_locked(struct np_arena *arena, uint64_t *ret_bits)
{
    unsigned count = 0;
    for (unsigned i = 0; i < NP_ARENA_WORDS; i++) {
        ret_bits[i] = arena->resident[i];
        count += (unsigned)__builtin_popcountll(arena->resident[i]);
        arena->resident[i] = 0;
    }
    idle_remove(arena);
    set_used(arena, arena->used + count);
    space.counts.resident -= count;
    return count;
}

void np_arena_attach_returned_locked(struct np_arena *arena, const uint64_t *bits, unsigned count)
{
    for (unsigned i = 0; i < NP_ARENA_WORDS; i++)
        arena->returned[i] |= bits[i];
    set_used(arena, arena->used - count);
    space.counts.returned += count;
    if (arena->used == 0)
        give_back_bits(arena);
}
