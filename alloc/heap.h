/* SPDX-License-Identifier: MIT
 *
 * The per-thread cache: one magazine (a last-in-first-out stack of blocks, across pools) per size
 * class.
 *
 * Taking pops the magazine, giving pushes it: the block freed last is the block used next, and
 * neither touches pool metadata beyond the one line that says whose pool and which class it is.
 * Empty magazines are refilled from the heap's pools, overfull ones flushed back; blocks of other
 * heaps' pools are gathered per destination and sent as one chain with one exchange. A magazine
 * holds addresses, not linked blocks: the next block is known before the last one is in the
 * processor's cache, and freeing touches no block.
 *
 * Concurrency: a heap is used by its thread alone, or by who has claimed that thread while it is
 * blocked or gone (np_alloc_hooks.claim). Only `remote` is written by others. Statistics read the
 * (o>) fields of running threads.
 *
 * Implemented by heap.c, refill.c (magazines), remote.c (other heaps' blocks) and alloc.c (start
 * and end); used by runtime and by untyped.c.
 */
#ifndef NP_ALLOC_HEAP_H
#define NP_ALLOC_HEAP_H

#include "alloc/pool.h"
#include "base/check.h"
#include "base/queue.h"
#include "neap/object.h"

struct np_trace_quick;

/* The beginning is a neap_cache (<neap/header.h>, which explains magazines too): what the fast
 * paths know of a heap, inline ones included. */
struct np_heap {
    struct neap_magazine magazines[NP_CLASS_COUNT];
    int64_t trace_left; /* (o>, s) bytes until the next allocation that is traced: trace.h */
    uint16_t id;        /* (c) the registry slot; what pools carry as owner. 0: the shared heap */
    uint8_t trace_owed, trace_doubled; /* (o) np_trace_set_far */
    uint32_t young_head; /* (o, s) pools with generation 0, through young_next: index + 1 */
    int64_t credit; /* (o) blocks of objects that may still be handed out before `debt` is set */
    int64_t credit_start; /* (o, s) what np_heap_set_credit gave; start - credit = objects, net,
                           * never    negative */
    int64_t old_freed;    /* (o, s) objects above generation 0 that died by counting, since a stop
                           * asked */
    int64_t trace_set, trace_bytes; /* (o>, s) what trace_left was set to, and bytes counted down
                                     * before */
    uint8_t trace_turn;             /* (o) np_trace_is_stop */
    bool debt; /* (o) a slow path saw credit run out; runtime serves and clears it */
    struct np_trace_quick *trace_quick; /* (o, s) trace.h; NULL: everything goes to the hooks */
    struct np_heap_own *own;            /* (c) alloc's: pool lists, outgoing chains, statistics */
    struct np_queue remote __attribute__((aligned(NP_CACHE_LINE))); /* (x) chains freed by others */
};

_Static_assert(offsetof(struct np_heap, magazines) == offsetof(struct neap_cache, magazines) &&
                   offsetof(struct np_heap, trace_left) == offsetof(struct neap_cache, trace_left),
               "a heap begins with a neap_cache");

/* What the floor above installs. Unset functions mean: nobody to claim, every grace period passed,
 * nothing fails. */
struct np_alloc_hooks {
    /* Runs function(heap) if the thread of slot id is blocked, parked or gone, keeping it so
     * meanwhile; else raises its request bit so that it drains soon. True when it ran. Called by
     * attached running threads only. */
    bool (*claim)(uint16_t id, void (*function)(struct np_heap *heap));
    uint64_t (*clock_tag)(void);        /* the operation clock now */
    bool (*clock_passed)(uint64_t tag); /* a grace period has passed since tag */
    void (*clock_ask)(uint64_t tag);    /* make it pass soon */
    void (*idle)(void);                 /* memory has become idle: np_alloc_decay is wanted later */
    bool (*may_fail)(void);             /* fault injection: true: fail this allocation */
    /* See np_commit_watch; takes no lock. True: `idle` is to be called once none is held. */
    bool (*pressed)(bool refused);
};

/* Starts the allocator, or, when untyped blocks have started it before, tells it the hooks, which
 * stay the caller's and stay valid until np_alloc_fini. 0, or -1 out of address space. */
int np_alloc_init(const struct np_alloc_hooks *hooks);
/* Every heap has been abandoned. Forgets the hooks and gives all idle memory back; the region stays
 * reserved, since untyped blocks may outlive the runtime. */
void np_alloc_fini(void);

/* Before pthread_atfork. */
void np_alloc_register(void);
/* fork: the first takes every lock of the allocator, in order; the second releases them, in the
 * parent and in the child. */
void np_alloc_before_fork(void);
void np_alloc_after_fork(void);

/* The heap of registry slot id (1 ...): made at first use, then kept; a later thread of the slot
 * inherits it. NULL out of memory. */
struct np_heap *np_heap_acquire(uint16_t id);
/* The heap of slot id, or NULL when there never was one. Any thread. */
struct np_heap *np_heap_at(uint16_t id);
/* Every heap that was ever made, the shared one first: also those whose slots this runtime has not
 * used yet. */
void np_heap_each(void (*function)(struct np_heap *heap, void *arg), void *arg);
/* The thread leaves: flushes magazines and outgoing chains, abandons pools for adoption. */
void np_heap_abandon(struct np_heap *heap);
/* Poll, entering a blocking region: sends outgoing chains, takes in `remote`. */
void np_heap_flush_outgoing(struct np_heap *heap);
void np_heap_drain_remote(struct np_heap *heap);
bool np_heap_has_remote(struct np_heap *heap);
/* Nothing gathered is to be sent: flushing would do nothing. */
bool np_heap_is_settled(const struct np_heap *heap);

/* Empty magazine: remote chains, the heap's pools, abandoned pools, a fresh pool. Sets debt when
 * credit runs out. NULL out of memory. */
void *np_heap_take_slow(struct np_heap *heap, unsigned class_index) np_cold;
/* Block of another heap's pool, or magazine over its limit. */
void np_heap_give_slow(struct np_heap *heap, struct np_pool *pool, void *block) np_noinline;
/* Builds with guards: any block that np_heap_give or neap_free is given, by way of the quarantine.
 */
void np_heap_give_guarded(struct np_heap *heap, struct np_pool *pool, void *block);
/* A block of generation above 0 goes back into circulation without passing a refill: its pool
 * becomes young again. */
void np_pool_note_reuse(struct np_heap *heap, struct np_pool *pool);

/* The magazine's top, or NULL: then np_heap_take_slow. The block's content is undefined but for its
 * dead header; the caller writes the new one. */
static inline void *np_magazine_take(struct neap_magazine *magazine)
{
    void *block = magazine->first;
    if (np_likely(block != NULL))
        neap_magazine_pop_(magazine);
    return block;
}

/* False: it is full. */
static inline bool np_magazine_give(struct neap_magazine *magazine, void *block)
{
    void **rest = magazine->rest;
    if (np_unlikely(rest == magazine->end))
        return false;
    rest[1] = magazine->first;
    magazine->first = block;
    np_store_relaxed(&magazine->rest, rest + 1); /* relaxed: statistics read it */
    return true;
}

static inline void *np_heap_take(struct np_heap *heap, unsigned class_index)
{
    return np_magazine_take(&heap->magazines[class_index]);
}

/* An object's block; the caller has set its type to 0 and leaves `shared` and the body as they are.
 * Overwrites word 0 with what no reader can take for an owner. */
static inline void np_heap_give(struct np_heap *heap, void *block)
{
    struct np_pool *pool = np_pool_of(block);
    np_link_store(block, NULL);
    if (NP_GUARD) {
        np_heap_give_guarded(heap, pool, block);
        return;
    }
    /* relaxed: owner == id can only be read by the thread whose id it is, which also wrote it */
    if (np_unlikely(np_load_relaxed(&pool->owner) != heap->id ||
                    !np_magazine_give(pool->magazine, block)))
        np_heap_give_slow(heap, pool, block);
}

/* Credit: how many object blocks, net of those given back, may leave before debt is set. */
void np_heap_set_credit(struct np_heap *heap, int64_t blocks);

#endif
