/* SPDX-License-Identifier: MIT
 *
 * The shared heap. Its partial lists are what exited threads left: whoever needs a pool of the
 * class adopts the first of them before it asks the arenas. */
#include "alloc/shared.h"

#include <pthread.h>

#include "alloc/guard.h"
#include "base/check.h"
#include "base/perturb.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_heap *shared; /* (c) once made */

struct np_heap *np_shared_heap(void)
{
    return shared;
}

bool np_shared_init(void)
{
    if (shared == NULL)
        shared = np_heap_acquire(0);
    return shared != NULL;
}

void np_shared_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_shared_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void *np_shared_take(unsigned class_index)
{
    np_shared_lock();
    void *block = np_heap_take(shared, class_index);
    if (block == NULL)
        block = np_heap_take_slow(shared, class_index);
    np_shared_unlock();
    return block;
}

void np_shared_give(struct np_pool *pool, void *block)
{
    np_shared_lock();
    /* relaxed: 0 stays while we hold the lock */
    if (NP_GUARD)
        np_heap_give_guarded(shared, pool, block);
    else if (np_load_relaxed(&pool->owner) != 0 || !np_magazine_give(pool->magazine, block))
        np_heap_give_slow(shared, pool, block);
    np_shared_unlock();
}

bool np_shared_put(struct np_pool *pool, void *block)
{
    np_shared_lock();
    bool is_shared = np_load_relaxed(&pool->owner) == 0; /* relaxed: as above */
    if (is_shared) {
        np_count_add(&shared->own->away[pool->class_index], -1);
        if (NP_GUARD)
            np_guard_arrive(pool, block);
        np_heap_put(shared, pool, block);
    }
    np_shared_unlock();
    return is_shared;
}

struct np_pool *np_shared_adopt(struct np_heap *heap, unsigned class_index)
{
    uint32_t *list = &shared->own->partial[class_index];
    /* relaxed: a hint that saves the lock; a pool left just now is found next time */
    if (heap == shared || np_load_relaxed(list) == 0)
        return NULL;
    np_shared_lock();
    /* what the shared heap caches of a pool that leaves it would come back to a pool in use */
    if (NP_GUARD)
        np_quarantine_flush(shared);
    np_heap_flush_magazine(shared, class_index);
    struct np_pool *pool = np_pool_at(*list);
    np_perturb(pool_adopt);
    if (pool != NULL) {
        np_pool_remove(list, pool);
        np_pool_set_owner(pool, heap); /* who still reads 0 comes for the lock and looks again */
        np_count_add(&shared->own->pools[class_index], -1);
        np_count_add(&heap->own->pools[class_index], 1);
    }
    np_shared_unlock();
    return pool;
}

static void move_list(struct np_heap *heap, uint32_t *from, uint32_t *to, unsigned class_index)
{
    struct np_pool *pool;
    while ((pool = np_pool_at(*from)) != NULL) {
        np_pool_remove(from, pool);
        np_pool_push(to, pool);
        /* who still reads the old id has what he sends drained by a claimer, who finds 0 and comes
         * for the lock */
        np_pool_set_owner(pool, shared);
        np_count_add(&heap->own->pools[class_index], -1);
        np_count_add(&shared->own->pools[class_index], 1);
    }
}

void np_shared_abandon(struct np_heap *heap)
{
    np_shared_lock();
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        move_list(heap, &heap->own->partial[i], &shared->own->partial[i], i);
        move_list(heap, &heap->own->full[i], &shared->own->full[i], i);
    }
    np_shared_unlock();
}

void np_shared_settle(void)
{
    np_shared_lock();
    np_heap_flush_magazines(shared);
    np_heap_post_outgoing(shared);
    np_heap_release_spares(shared);
    np_shared_unlock();
}
