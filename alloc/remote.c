/* SPDX-License-Identifier: MIT
 *
 * Blocks on their way home. A thread that frees a block of another heap's pool puts its address
 * into a parcel for that heap; a full parcel is pushed on the heap's queue by one exchange. Neither
 * side touches the block for it: the line stays where it was written last.
 *
 * A parcel is an untyped block of the sender's. When there is no memory for one, or the sender is
 * leaving, the block travels alone, and the queue's node lies in its body; `shared` of a dead
 * object stays as it was, for stale readers. A node at the start of its block is a parcel, one
 * further in is a block that travels alone.
 *
 * After the push the sender claims the destination: a thread that is blocked or gone has its queue
 * drained by the sender, a running one gets a request bit. So a parcel never waits for a sleeper.
 *
 * A pool may change its owner while a block of it is under way: the old owner's queue then gets a
 * block that is not the old owner's any more. Whoever drains looks at the owner block by block and
 * sends on what is not his. Within a claim that cannot be done (claims do not nest): such blocks go
 * to the strays, and the claimer sends them on as soon as it has let go. Each round of sending on
 * needs another change of owner, so this ends.
 *
 * A foreign block never enters the sender's own magazine: two threads would write one cache line.
 */
#include <pthread.h>

#include "alloc/guard.h"
#include "alloc/own.h"
#include "alloc/shared.h"
#include "base/check.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "base/shadow.h"
#include "base/tls.h"

/* Where the node of a block that travels alone lies: behind the header of an object, behind the
 * first word of an untyped block, which may have no more than 16 bytes. */
enum { ALONE_OBJECT = 16, ALONE_UNTYPED = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *strays; /* (L, o>) blocks linked through word 0; read as a hint without the lock */

void np_remote_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_remote_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static void add_stray(void *block)
{
    if (NP_GUARD)
        np_shadow_show(block, sizeof(np_word));
    np_remote_lock();
    np_link_store(block, strays);
    np_store_relaxed(&strays, block); /* relaxed: readers without the lock take a hint */
    np_remote_unlock();
}

/* The next of what take_strays gave. The link was written into a freed block. */
static void *after_stray(void *block)
{
    void *after = np_link_load(block);
    if (NP_GUARD && np_pool_of(block)->kind == NP_POOL_UNTYPED)
        np_guard_fill(np_pool_of(block), block);
    return after;
}

static void *take_strays(void)
{
    if (np_likely(np_load_relaxed(&strays) == NULL)) /* relaxed: a hint */
        return NULL;
    np_remote_lock();
    void *head = strays;
    np_store_relaxed(&strays, NULL);
    np_remote_unlock();
    return head;
}

/* ---- sending ---- */

/* May this thread claim others? Not while it is unattached or in a blocking region: the world may
 * be stopped then. The owner drains at its next slow path, or decay does it. */
static bool may_claim(const struct np_heap *heap)
{
    return heap->id != 0 && np_hooks()->claim != NULL;
}

void np_heap_redistribute(struct np_heap *heap)
{
    struct np_heap_own *own = heap->own;
    if (own->redistributing)
        return;
    own->redistributing = true;
    void *block;
    while ((block = take_strays()) != NULL) {
        while (block != NULL) {
            void *after = after_stray(block);
            np_heap_send(heap, block);
            block = after;
        }
    }
    own->redistributing = false;
}

static void post(struct np_heap *heap, struct np_outgoing *outgoing)
{
    struct np_parcel *parcel = outgoing->parcel;
    outgoing->parcel = NULL;
    heap->own->outgoing_count--;
    np_queue_push(&np_heap_at(outgoing->owner)->remote, &parcel->node);
    np_perturb(remote_pushed);
}

static void notify(struct np_heap *heap, uint16_t owner)
{
    if (!may_claim(heap))
        return;
    np_hooks()->claim(owner, np_heap_drain_claimed);
    np_heap_redistribute(heap);
}

static void send(struct np_heap *heap, struct np_outgoing *outgoing)
{
    uint16_t owner = outgoing->owner;
    post(heap, outgoing);
    notify(heap, owner);
}

static void send_alone(struct np_heap *heap, uint16_t owner, struct np_pool *pool, void *block)
{
    size_t offset = pool->kind == NP_POOL_OBJECTS ? ALONE_OBJECT : ALONE_UNTYPED;
    struct np_queue_node *node = (struct np_queue_node *)(void *)((char *)block + offset);
    if (NP_GUARD)
        np_shadow_show(node, sizeof *node);
    np_queue_push(&np_heap_at(owner)->remote, node);
    notify(heap, owner);
}

static bool open_parcel(struct np_heap *heap, struct np_outgoing *outgoing, uint16_t owner)
{
    struct np_heap_own *own = heap->own;
    struct np_parcel *parcel;
    if (own->closed)
        return false; /* the thread has left its pools; it takes no new one */
    if (own->stash_count > 0) {
        parcel = own->stash[--own->stash_count];
    } else {
        parcel = np_heap_take_parcel(heap);
        if (parcel == NULL)
            return false;
        np_count_add(&own->parcels, 1);
    }
    parcel->count = 0;
    *outgoing = (struct np_outgoing){parcel, 0, owner};
    own->outgoing_count++;
    return true;
}

static void append(struct np_heap *heap, uint16_t owner, struct np_pool *pool, void *block)
{
    struct np_outgoing *outgoing = &heap->own->outgoing[owner % NP_OUTGOING];
    if (outgoing->parcel != NULL && outgoing->owner != owner)
        send(heap, outgoing);
    /* sending may have brought strays, and those a parcel for yet another owner */
    if (outgoing->parcel != NULL && outgoing->owner != owner) {
        send_alone(heap, owner, pool, block);
        return;
    }
    if (outgoing->parcel == NULL && !open_parcel(heap, outgoing, owner)) {
        send_alone(heap, owner, pool, block);
        return;
    }
    struct np_parcel *parcel = outgoing->parcel;
    parcel->blocks[parcel->count++] = block;
    outgoing->bytes += pool->block_bytes;
    if (parcel->count == NP_PARCEL_BLOCKS || outgoing->bytes >= NP_PARCEL_BYTES)
        send(heap, outgoing);
}

static void arrive(struct np_heap *heap, struct np_pool *pool, void *block)
{
    np_count_add(&heap->own->away[pool->class_index], -1);
    if (NP_GUARD)
        np_guard_arrive(pool, block);
    if (np_size_classes[pool->class_index].is_tracked) {
        /* The shared heap hands out no objects: who adopts the pool marks it, and the list is
         * written by threads that a stop finds stopped. */
        if (heap->id != 0)
            np_heap_mark_young(heap, pool);
        heap->credit--; /* in circulation again; who freed it has the credit */
    }
    np_heap_recycle(heap, pool, block);
}

void np_heap_send(struct np_heap *heap, void *block)
{
    struct np_pool *pool = np_pool_of(block);
    for (;;) {
        /* relaxed: any owner the pool has had will do; he, or who claims for him, sends it on */
        uint16_t owner = np_load_relaxed(&pool->owner);
        np_perturb(remote_taken);
        if (owner == heap->id)
            arrive(heap, pool, block);
        else if (np_planted(lose_remote_free))
            return;
        else if (owner != 0)
            append(heap, owner, pool, block);
        else if (!np_shared_put(pool, block))
            continue; /* adopted meanwhile */
        return;
    }
}

/* Where a block that travels alone has its node. */
static struct np_queue_node *node_of_object(void *block)
{
    struct np_queue_node *node = (struct np_queue_node *)(void *)((char *)block + ALONE_OBJECT);
    if (NP_GUARD)
        np_shadow_show(node, sizeof *node);
    return node;
}

void np_heap_send_chain(struct np_heap *heap, uint16_t owner, void *chain)
{
    struct np_queue queue;
    np_queue_init(&queue);
    for (void *block = chain, *after; block != NULL; block = after) {
        after = np_link_load(block);
        np_link_store(block, NULL);
        np_queue_fill(&queue, node_of_object(block));
    }
    np_queue_push_all(&np_heap_at(owner)->remote, &queue);
    np_perturb(remote_pushed);
    notify(heap, owner);
}

void np_heap_send_each(struct np_heap *heap, void *chain)
{
    for (void *block = chain, *after; block != NULL; block = after) {
        after = np_link_load(block);
        np_link_store(block, NULL);
        np_heap_send(heap, block);
    }
}

void np_heap_give_slow(struct np_heap *heap, struct np_pool *pool, void *block)
{
    np_heap_reopen(heap);
    if (np_load_relaxed(&pool->owner) == heap->id) { /* relaxed: see np_heap_give */
        np_heap_recycle(heap, pool, block);
        return;
    }
    /* relaxed: a block of a pool that is in use has a kind that stays */
    uint8_t kind = np_load_relaxed(&pool->kind);
    np_check(kind != NP_POOL_FREE, "%p is freed already: nothing is in use around it", block);
    np_count_add(&heap->own->away[pool->class_index], 1);
    if (np_size_classes[pool->class_index].is_tracked)
        np_credit_return(heap, 1);
    np_heap_send(heap, block);
}

void np_heap_post_outgoing(struct np_heap *heap)
{
    for (unsigned i = 0; i < NP_OUTGOING && heap->own->outgoing_count > 0; i++)
        if (heap->own->outgoing[i].parcel != NULL)
            post(heap, &heap->own->outgoing[i]);
}

void np_heap_flush_outgoing(struct np_heap *heap)
{
    while (heap->own->outgoing_count > 0) /* sending may bring strays, and those new parcels */
        for (unsigned i = 0; i < NP_OUTGOING && heap->own->outgoing_count > 0; i++)
            if (heap->own->outgoing[i].parcel != NULL)
                send(heap, &heap->own->outgoing[i]);
    if (may_claim(heap))
        np_heap_redistribute(heap);
}

bool np_heap_is_settled(const struct np_heap *heap)
{
    /* relaxed: a hint, as in take_strays */
    return heap->own->outgoing_count == 0 && np_load_relaxed(&strays) == NULL;
}

void np_remote_settle(void)
{
    void *block = take_strays();
    while (block != NULL) {
        void *after = after_stray(block);
        if (!np_shared_put(np_pool_of(block), block))
            add_stray(block);
        block = after;
    }
}

/* ---- receiving ---- */

static void take_own(struct np_heap *heap, void *block)
{
    struct np_pool *pool = np_pool_of(block);
    if (np_likely(np_load_relaxed(&pool->owner) == heap->id)) { /* relaxed: ours stays */
        arrive(heap, pool, block);
        return;
    }
    heap->own->forwarded = true;
    np_heap_send(heap, block);
}

static void take_claimed(struct np_heap *heap, void *block)
{
    struct np_pool *pool = np_pool_of(block);
    uint16_t owner = np_load_relaxed(&pool->owner); /* relaxed: ours stays while we hold the heap */
    if (owner == heap->id) {
        np_count_add(&heap->own->away[pool->class_index], -1);
        if (NP_GUARD)
            np_guard_arrive(pool, block);
        np_heap_put(heap, pool, block);
    } else if (owner != 0 || !np_shared_put(pool, block)) {
        add_stray(block);
    }
}

static void unpack(struct np_heap *heap, const struct np_parcel *parcel,
                   void (*take)(struct np_heap *heap, void *block))
{
    for (uint64_t i = 0; i < parcel->count; i++)
        take(heap, parcel->blocks[i]);
}

/* An empty parcel becomes a block like those in it. */
static void free_parcel(struct np_heap *heap, struct np_parcel *parcel,
                        void (*take)(struct np_heap *heap, void *block))
{
    np_count_add(&heap->own->parcels, -1);
    np_count_add(&heap->own->away[NP_CLASS_PARCEL], 1);
    if (NP_GUARD)
        np_guard_fill(np_pool_of(parcel), parcel);
    take(heap, parcel);
}

static void keep_parcel(struct np_heap *heap, struct np_parcel *parcel)
{
    struct np_heap_own *own = heap->own;
    bool is_ours =
        np_load_relaxed(&np_pool_of(parcel)->owner) == heap->id; /* relaxed: ours stays */
    if (is_ours || own->closed) {
        free_parcel(heap, parcel, take_own);
        return;
    }
    if (own->stash_count == NP_STASH) /* sending the surplus takes parcels out as well */
        for (unsigned i = 0; i < NP_STASH / 2 && own->stash_count > 0; i++)
            free_parcel(heap, own->stash[--own->stash_count], take_own);
    own->stash[own->stash_count++] = parcel;
}

void np_heap_empty_stash(struct np_heap *heap, bool claimed)
{
    while (heap->own->stash_count > 0)
        free_parcel(heap, heap->own->stash[--heap->own->stash_count],
                    claimed ? take_claimed : take_own);
}

/* A node at the start of its block is a parcel. The node is not looked at again by the queue. */
static struct np_parcel *as_parcel(struct np_queue_node *node, void **ret_block)
{
    struct np_pool *pool = np_pool_of(node);
    *ret_block = np_block_at(pool, np_block_index(pool, node));
    return *ret_block == (void *)node ? *ret_block : NULL;
}

/* The node was written into a freed block. */
static void arrive_alone(void *block)
{
    if (NP_GUARD && np_pool_of(block)->kind == NP_POOL_UNTYPED)
        np_guard_fill(np_pool_of(block), block);
}

void np_heap_drain_remote(struct np_heap *heap)
{
    struct np_queue queue;
    void *block;
    heap->own->forwarded = false;
    struct np_queue_node *node = np_queue_take_all(&heap->remote, &queue);
    for (; node != NULL; node = np_queue_next(&queue)) {
        struct np_parcel *parcel = as_parcel(node, &block);
        if (parcel != NULL) {
            unpack(heap, parcel, take_own);
            keep_parcel(heap, parcel);
        } else {
            arrive_alone(block);
            take_own(heap, block);
        }
    }
    /* who comes here may be about to sleep, or gone */
    if (heap->own->forwarded)
        np_heap_flush_outgoing(heap);
}

void np_heap_drain_claimed(struct np_heap *heap)
{
    struct np_queue queue;
    void *block;
    struct np_queue_node *node = np_queue_take_all(&heap->remote, &queue);
    for (; node != NULL; node = np_queue_next(&queue)) {
        struct np_parcel *parcel = as_parcel(node, &block);
        if (parcel != NULL) {
            unpack(heap, parcel, take_claimed);
            free_parcel(heap, parcel, take_claimed);
        } else {
            arrive_alone(block);
            take_claimed(heap, block);
        }
    }
}

bool np_heap_has_remote(struct np_heap *heap)
{
    return !np_queue_empty(&heap->remote);
}
