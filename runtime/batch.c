/* SPDX-License-Identifier: MIT
 *
 * Batches circulate: a sender takes one from its spares, the receiver keeps up to SPARE_MOST of
 * what it drained and gives the rest to a common stock. Every slot brings SPARE_LEAST batches of
 * its own into circulation, more than it can have open, so that running out of memory never loses a
 * reference: a sender that gets no new one parks until an owner has drained.
 */
#include "runtime/batch.h"

#include <pthread.h>
#include <sched.h>

#include "base/check.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "neap/block.h"
#include "runtime/usage.h"
#include "threads/blocking.h"

enum { SPARE_LEAST = NP_BATCHES_OPEN + 1, SPARE_MOST = 4 * SPARE_LEAST };

_Static_assert(sizeof(struct np_batch) <= 512, "a batch is a small block");

static pthread_mutex_t stock_lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_batch *stock; /* (L) stock_lock */

static struct np_batch *next_of(const struct np_batch *batch)
{
    return (struct np_batch *)(void *)batch->node.link.next;
}

static void set_next(struct np_batch *batch, struct np_batch *next)
{
    batch->node.link.next = (struct cds_wfcq_node *)(void *)next;
}

static struct np_batch *take_from_stock(void)
{
    pthread_mutex_lock(&stock_lock);
    struct np_batch *batch = stock;
    if (batch != NULL)
        stock = next_of(batch);
    pthread_mutex_unlock(&stock_lock);
    return batch;
}

/* From the stock, or new; NULL out of memory. */
static struct np_batch *obtain(void)
{
    struct np_batch *batch = take_from_stock();
    return batch != NULL ? batch : neap_alloc(sizeof *batch);
}

static void put_spare(struct np_local *local, struct np_batch *batch)
{
    if (local->spare_count < SPARE_MOST) {
        set_next(batch, local->spare);
        local->spare = batch;
        local->spare_count++;
        return;
    }
    pthread_mutex_lock(&stock_lock);
    set_next(batch, stock);
    stock = batch;
    pthread_mutex_unlock(&stock_lock);
}

static struct np_batch *take_spare(struct np_local *local)
{
    struct np_batch *batch = local->spare;
    if (batch == NULL)
        return obtain();
    local->spare = next_of(batch);
    local->spare_count--;
    return batch;
}

bool np_batch_provide(struct np_local *local)
{
    while (local->spare_count < SPARE_LEAST) {
        struct np_batch *batch = obtain();
        if (batch == NULL)
            return false;
        put_spare(local, batch);
    }
    return true;
}

/* A figure of the calling thread's. */
static void count(uint64_t *figure, uint64_t n)
{
    np_store_relaxed(figure, np_load_relaxed(figure) + n); /* relaxed: one writer */
}

void np_batch_figures(struct np_batch_figures *ret_figures)
{
    *ret_figures = (struct np_batch_figures){0};
    uint32_t high = np_thread_high();
    uint64_t sent = 0, taken;
    for (uint32_t id = 1; id <= high; id++) {
        const struct np_local *local = np_local_of((uint16_t)id);
        if (local == NULL)
            continue;
        /* relaxed, all: figures of running threads */
        for (unsigned kind = 0; kind < NP_MERGED_KINDS; kind++)
            ret_figures->merged[kind] += np_load_relaxed(&local->merged[kind]);
        sent += np_load_relaxed(&local->sent);
    }
    taken = ret_figures->merged[NP_MERGED_BY_OWNER] + ret_figures->merged[NP_MERGED_FOR_OWNER];
    ret_figures->queued = sent > taken ? sent - taken : 0;
}

/* Pushes one batch to its owner, then looks at the owner's state. */
static void send(struct np_batch *batch)
{
    struct np_thread *owner = np_thread_at(batch->owner);
    struct np_local *target = np_local_of(batch->owner);
    count(&np_tls.local->sent, batch->count);
    /* [MM-look-1] the push's exchange is sequentially consistent: before the state is read in
     * claim; pairs with the owner's look at its queue after it published BLOCKING */
    np_queue_push(&target->merges, &batch->node);
    np_perturb(batch_pushed);
    if (np_thread_claim(owner)) {
        np_batch_drain(target);
        np_thread_unclaim(owner);
    } else {
        np_thread_request(owner, NP_REQUEST_MERGE);
    }
}

void np_batch_flush(struct np_local *local)
{
    for (unsigned i = 0; i < NP_BATCHES_OPEN; i++) {
        struct np_batch *batch = local->open[i];
        if (batch != NULL) {
            local->open[i] = NULL;
            send(batch);
        }
    }
}

/* Out of memory with every spare on its way: the owners' next polls bring some back. */
static struct np_batch *await_batch(struct np_local *local)
{
    np_batch_flush(local);
    for (;;) {
        struct np_batch *batch = take_spare(local);
        if (batch != NULL)
            return batch;
        np_park(np_tls.thread);
        sched_yield();
        np_unpark(np_tls.thread);
    }
}

void np_batch_add(struct neap_header *header, enum np_manner manner)
{
    uint16_t owner =
        np_load_relaxed(&header->owner); /* relaxed: QUEUED keeps an owner from being given away;
                                            a merge in between reads as none */
    if (owner == NEAP_OWNER_NONE || owner > NEAP_OWNER_LAST) {
        np_unqueue(header, manner);
        return;
    }
    bool prompt = (np_type_at(header->type)->flags & NEAP_PROMPT) != 0;
    if (owner > np_thread_high()) {
        np_merge(header, owner); /* a leak of an earlier runtime: nobody has that slot */
        return;
    }
    struct np_thread *thread = np_thread_at(owner);
    if ((prompt || np_thread_state_of(thread) == NP_DETACHED) && np_thread_claim(thread)) {
        /* an owner that is gone delays no death, and a sleeping one not that of a prompt object */
        bool dead = np_merge_one(header, owner);
        count(&np_tls.local->merged[NP_MERGED_AT_ONCE], 1);
        np_thread_unclaim(thread);
        if (dead)
            np_death_by(header, manner);
        return;
    }
    struct np_local *local = np_tls.local;
    struct np_batch **open = &local->open[owner % NP_BATCHES_OPEN];
    if (*open != NULL && ((*open)->owner != owner || (*open)->count == NP_BATCH_OBJECTS)) {
        struct np_batch *full = *open;
        *open = NULL;
        send(full);
    }
    struct np_batch *batch = *open;
    if (batch == NULL) {
        batch = take_spare(local);
        if (np_unlikely(batch == NULL))
            batch = await_batch(local);
        batch->owner = owner;
        batch->count = 0;
        *open = batch;
        np_thread_request(np_tls.thread, NP_REQUEST_FLUSH);
    }
    batch->objects[batch->count++] = header;
    if (prompt) {
        *open = NULL;
        send(batch);
    }
}

void np_batch_drain(struct np_local *local)
{
    struct np_queue taken;
    struct np_queue_node *node = np_queue_take_all(&local->merges, &taken);
    while (node != NULL) {
        struct np_batch *batch = np_container_of(node, struct np_batch, node);
        node = np_queue_next(&taken);
        np_perturb(merge_taken);
        bool own = local == np_tls.local;
        count(&np_tls.local->merged[own ? NP_MERGED_BY_OWNER : NP_MERGED_FOR_OWNER], batch->count);
        for (uint32_t i = 0; i < batch->count; i++)
            if (!np_planted(drop_merge))
                np_merge(batch->objects[i], local->id);
        put_spare(np_tls.local, batch);
    }
}

void np_batch_settle(struct np_thread *thread, void *arg)
{
    (void)arg;
    if (thread->local == NULL)
        return;
    np_batch_flush(thread->local);
    np_batch_drain(thread->local);
}

void np_batch_free_all(void)
{
    for (struct np_batch *batch; (batch = take_from_stock()) != NULL;)
        neap_free(batch);
}
