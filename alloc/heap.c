/* SPDX-License-Identifier: MIT
 *
 * A heap's pools: which lists they are on, when they leave, who is young.
 *
 * A pool that becomes empty goes back to its arena unless it is the only one of its class with a
 * free block: one spare keeps a thread that hovers around a pool's edge from going to the arena
 * each time. Spares are released when the thread goes or has been idle (np_heap_settle). */
#include "alloc/heap.h"

#include <pthread.h>

#include "alloc/arena.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "alloc/shared.h"
#include "alloc/trace.h"
#include "base/check.h"
#include "neap/header.h"

/* (x) by id; an entry is set once and stays */
static struct np_heap *heaps[NEAP_OWNER_LAST + 1];
static uint32_t heap_high;                               /* (x) entries [0, heap_high] may be set */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards making heaps */

/* ---- making ---- */

void np_heap_table_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_heap_table_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static struct np_heap *make(uint16_t id)
{
    struct np_heap *heap = np_meta_new(sizeof *heap);
    if (heap == NULL)
        return NULL;
    heap->own = np_meta_new(sizeof *heap->own);
    if (heap->own == NULL)
        return NULL;
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        void **bottom = heap->own->small[i];
        heap->own->room[i] = 1;
        heap->magazines[i] = (struct neap_magazine){NULL, bottom, bottom, bottom};
    }
    heap->id = id;
    heap->trace_left = heap->trace_set = NP_TRACE_NEW;
    np_queue_init(&heap->remote);
    np_heap_reset_limits(heap);
    return heap;
}

struct np_heap *np_heap_at(uint16_t id)
{
    /* [MM-heap-1] acquire: pairs with the release in np_heap_acquire; the heap is seen made */
    return np_load_acquire(&heaps[id]);
}

struct np_heap *np_heap_acquire(uint16_t id)
{
    struct np_heap *heap = np_heap_at(id);
    if (heap == NULL) {
        pthread_mutex_lock(&lock);
        heap = np_load_relaxed(&heaps[id]); /* relaxed: under the lock */
        if (heap == NULL && (heap = make(id)) != NULL) {
            /* [MM-heap-1] release: the heap is made before it can be found by others */
            np_store_release(&heaps[id], heap);
            if (id > heap_high)
                np_store_relaxed(&heap_high, id); /* relaxed: a bound; a new heap is empty */
        }
        pthread_mutex_unlock(&lock);
    }
    return heap;
}

void np_heap_each(void (*function)(struct np_heap *heap, void *arg), void *arg)
{
    uint32_t high = np_load_relaxed(&heap_high); /* relaxed: a newer heap has nothing yet */
    for (uint32_t i = 0; i <= high; i++) {
        struct np_heap *heap = np_heap_at((uint16_t)i);
        if (heap != NULL)
            function(heap, arg);
    }
}

/* ---- young pools ---- */

void np_heap_mark_young(struct np_heap *heap, struct np_pool *pool)
{
    if (pool->generations & 1)
        return;
    pool->generations |= 1;
    pool->young_next = heap->young_head;
    heap->young_head = np_pool_link(pool);
}

void np_pool_note_reuse(struct np_heap *heap, struct np_pool *pool)
{
    /* A block of somebody else's pool becomes young where its owner puts it into a magazine. */
    if (np_load_relaxed(&pool->owner) == heap->id)
        np_heap_mark_young(heap, pool);
}

void np_heap_set_credit(struct np_heap *heap, int64_t blocks)
{
    heap->credit = heap->credit_start = blocks;
    heap->debt = false;
}

/* ---- pools ---- */

static void release_pool(struct np_heap *heap, struct np_pool *pool)
{
    np_pool_remove(&heap->own->partial[pool->class_index], pool);
    np_count_add(&heap->own->pools[pool->class_index], -1);
    np_arena_give(pool);
}

void np_heap_settle_pool(struct np_heap *heap, struct np_pool *pool)
{
    if (pool->state == NP_POOL_FULL) {
        np_pool_remove(&heap->own->full[pool->class_index], pool);
        pool->state = NP_POOL_PARTIAL;
        np_pool_push(&heap->own->partial[pool->class_index], pool);
    }
    bool is_alone = pool->next == 0 && pool->prev == 0;
    if (pool->used == 0 && !is_alone)
        release_pool(heap, pool);
}

void np_heap_put(struct np_heap *heap, struct np_pool *pool, void *block)
{
    np_pool_put(pool, block);
    np_count_add(&heap->own->taken[pool->class_index], -1);
    if (np_unlikely(pool->state == NP_POOL_FULL || pool->used == 0))
        np_heap_settle_pool(heap, pool);
}

void np_heap_release_spares(struct np_heap *heap)
{
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        struct np_pool *pool = np_pool_at(heap->own->partial[i]);
        while (pool != NULL) {
            struct np_pool *after = np_pool_at(pool->next);
            if (pool->used == 0)
                release_pool(heap, pool);
            pool = after;
        }
    }
}

/* ---- the end of a thread, and idleness ---- */

void np_heap_settle(struct np_heap *heap)
{
    np_heap_drain_claimed(heap);
    np_heap_empty_stash(heap, true);
    np_heap_flush_magazines(heap);
    np_heap_post_outgoing(heap);
    np_heap_release_spares(heap);
}

/* Emptied and closed first: what comes in from then on goes straight to its pool, so nothing is
 * left behind. */
void np_heap_abandon(struct np_heap *heap)
{
    np_check(heap->id != 0, "the shared heap stays");
    np_heap_drain_remote(heap);
    if (heap->own->closed)
        return; /* the thread that leaves has taken and given nothing: it is as the last one left it
                 */
    heap->own->closed = true;
    np_heap_flush_magazines(heap);
    np_heap_close_magazines(heap);
    np_heap_empty_stash(heap, false);
    np_heap_flush_outgoing(heap);
    np_heap_release_spares(heap);
    np_shared_abandon(heap);
}
