/* SPDX-License-Identifier: MIT
 *
 * The private half of a heap, and the calls between the files of alloc/ that handle heaps. Not for
 * other floors.
 *
 * Counting. A block is, at any moment, free in its pool, in a magazine, on its way home (in a
 * parcel, or a stray), or live. `taken` counts blocks that left pools less
 * those that came back, `away` those that went on their way less those that arrived; each heap
 * counts what it did, so the sums over all heaps are exact while nothing moves:
 *
 *     live = sum(taken) - sum(length of magazines) - sum(away)
 */
#ifndef NP_ALLOC_OWN_H
#define NP_ALLOC_OWN_H

#include "alloc/heap.h"
#include "alloc/large_cache.h"
#include "base/check.h"

enum {
    NP_OUTGOING = 16,                      /* destinations gathered for at once */
    NP_PARCEL_BLOCKS = 62,                 /* a parcel is sent with so many blocks */
    NP_STASH = 16,                         /* empty parcels kept */
    NP_PARCEL_BYTES = 16384,               /* or so many bytes in them */
    NP_CLASS_PARCEL = NP_CLASS_POOLED - 1, /* it is itself an untyped block of the sender's */
};

/* Blocks on their way to one other heap. The receiver keeps the parcel for its own next ones; only
 * a surplus travels back, many in one parcel. (If each were sent back on its own, two threads would
 * send each other the other's parcels for ever.) */
struct np_parcel {
    struct np_queue_node node; /* first: tells a parcel from a single block, see remote.c */
    uint64_t count;
    void *blocks[NP_PARCEL_BLOCKS];
};
_Static_assert(sizeof(struct np_parcel) == NP_SMALL_MAX, "a block of the largest small class");

struct np_outgoing {
    struct np_parcel *parcel; /* NULL: nothing gathered */
    uint32_t bytes;
    uint16_t owner; /* destination, while there is a parcel */
};

/* Freed blocks kept back, in builds with guards: quarantine.c. */
enum { NP_QUARANTINE = NP_GUARD ? 128 : 1 };
struct np_quarantine {
    void *blocks[NP_QUARANTINE];  /* (o) the oldest at next; NULL: none */
    uint64_t sums[NP_QUARANTINE]; /* (o) of objects' bodies */
    uint32_t next;                /* (o) */
    uint32_t count;               /* (o>) */
};

struct np_heap_own {
    uint32_t partial[NP_CLASS_COUNT]; /* (o>) lists of pools, by state */
    uint32_t full[NP_CLASS_COUNT];    /* (o) */
    uint16_t room[NP_CLASS_COUNT];    /* (o) blocks that the array has room for */
    void *small[NP_CLASS_COUNT][2];   /* (o) the arrays until there is one of full size */
    int8_t trend[NP_CLASS_COUNT];     /* (o) refills in a row, or minus overflows in a row */
    int64_t taken[NP_CLASS_COUNT];    /* (o>) see above */
    int64_t away[NP_CLASS_COUNT];     /* (o>) see above */
    int64_t pools[NP_CLASS_COUNT]; /* (o>) pools that came, less those that went back to arenas */
    bool closed;    /* (o) the thread has left: nothing is cached until the slot has another */
    bool forwarded; /* (o) draining found blocks of other heaps */
    uint32_t stash_count;              /* (o) */
    struct np_parcel *stash[NP_STASH]; /* (o) empty parcels, anybody's blocks */
    int64_t parcels;                   /* (o>) made, less those taken apart; part of `taken` */
    struct np_large_cache large;       /* (o) */
    struct np_quarantine quarantine;   /* (o) */
    uint32_t until_sample;             /* (o) refills until np_sample_take is asked */
    int64_t large_blocks[2], large_bytes[2]; /* (o>) untyped, objects: made less freed, here */
    int64_t large_slack;                     /* (o>) of these bytes, what nobody asked for */
    int64_t large_due; /* (o) bytes of large objects from which on the heap is in debt */
    struct np_outgoing outgoing[NP_OUTGOING]; /* (o) */
    uint32_t outgoing_count;                  /* (o) parcels in outgoing */
    bool redistributing;                      /* (o) strays are being sent on */
    uint64_t activity;                        /* (o>) slow paths taken: has it been idle? */
    uint64_t activity_seen;                   /* (x) decay's: activity at its last look */
};

/* ---- alloc.c ---- */

/* What np_alloc_init was given, or a struct of NULLs. */
const struct np_alloc_hooks *np_hooks(void);
/* Fault injection is on: each allocation goes through a slow path and asks. */
bool np_alloc_single_step(void);

/* Starts the allocator without hooks when nobody has: untyped blocks before neap_init. */
bool np_alloc_ready(void);

static inline bool np_may_fail(void)
{
    bool (*may_fail)(void) = np_hooks()->may_fail;
    return may_fail != NULL && may_fail();
}

/* ---- counters: one writer, statistics read ---- */

#define np_count_add(counter, n) np_store_relaxed((counter), np_load_relaxed(counter) + (n))

static inline unsigned np_magazine_length(const struct np_heap *heap, unsigned class_index)
{
    const struct neap_magazine *magazine = &heap->magazines[class_index];
    /* relaxed: ours, or a statistic of somebody else's (who may just have got another array) */
    ptrdiff_t length = np_load_relaxed(&magazine->rest) - np_load_relaxed(&magazine->bottom);
    return length < 0 || length > UINT16_MAX ? 0 : (unsigned)length;
}

/* Object blocks given back. Never above what the heap was given: otherwise a program that drops old
 * data would hide from the collector how much new data it makes. */
static inline void np_credit_return(struct np_heap *heap, int64_t blocks)
{
    int64_t credit = heap->credit + blocks;
    heap->credit = credit < heap->credit_start ? credit : heap->credit_start;
}

/* ---- heap.c ---- */

/* Sets the pool's bit 0 and lists it when it has none. */
void np_heap_mark_young(struct np_heap *heap, struct np_pool *pool);
/* After blocks came back to a pool that the heap has: its list and state, or its end if it is
 * empty. */
void np_heap_settle_pool(struct np_heap *heap, struct np_pool *pool);
/* A block comes back to a pool that the heap has. */
void np_heap_put(struct np_heap *heap, struct np_pool *pool, void *block);
/* Returns the empty pools that np_heap_put keeps as spares. */
void np_heap_release_spares(struct np_heap *heap);
void np_heap_table_lock(void);
void np_heap_table_unlock(void);
/* A claimer's: everything cached by a thread that has been idle goes home. */
void np_heap_settle(struct np_heap *heap);

/* ---- refill.c ---- */

/* A block is back in its magazine or, that being full, its pool. The pool is the heap's. */
void np_heap_recycle(struct np_heap *heap, struct np_pool *pool, void *block);
void np_heap_flush_magazines(struct np_heap *heap);
void np_heap_flush_magazine(struct np_heap *heap, unsigned class_index);
/* Magazines take nothing more in, until their limits are reset. */
void np_heap_close_magazines(struct np_heap *heap);
/* Empty magazines: limits for a thread that begins. */
void np_heap_reset_limits(struct np_heap *heap);

/* The slot has a thread again: the first thing that it takes or gives opens the heap. */
static inline void np_heap_reopen(struct np_heap *heap)
{
    if (np_unlikely(heap->own->closed)) {
        heap->own->closed = false;
        np_heap_reset_limits(heap);
    }
}

/* An empty parcel; drains nothing. NULL out of memory. */
void *np_heap_take_parcel(struct np_heap *heap);

/* ---- quarantine.c: builds with guards ---- */

/* Everything that is kept back goes on its way. */
void np_quarantine_flush(struct np_heap *heap);

/* ---- untyped.c ---- */

/* The region is reserved. */
void np_untyped_init(void);

/* ---- decay.c ---- */

/* Memory became idle: np_alloc_decay is to be called from now on until it finds nothing more. */
void np_decay_want(void);

/* ---- remote.c ---- */

/* A block on its way: into a parcel for its owner, or home where the owner is us or nobody. */
void np_heap_send(struct np_heap *heap, void *block);
/* Objects' blocks of one pool, linked through word 0: to the queue of `owner`, another heap, all at
 * once; or each for itself, whoever owns the pool. They count as away. */
void np_heap_send_chain(struct np_heap *heap, uint16_t owner, void *chain);
void np_heap_send_each(struct np_heap *heap, void *chain);
/* np_heap_drain_remote for a claimer: blocks go to pools, none to magazines. */
void np_heap_drain_claimed(struct np_heap *heap);
/* Parcels into queues without waking anybody (unattached threads, claimers). */
void np_heap_post_outgoing(struct np_heap *heap);
/* Empty parcels go home. */
void np_heap_empty_stash(struct np_heap *heap, bool claimed);
/* Sends strays on; after claims, by a thread that holds none. */
void np_heap_redistribute(struct np_heap *heap);
/* Strays whose pools nobody owns go home (the end of the runtime). */
void np_remote_settle(void);
void np_remote_lock(void);
void np_remote_unlock(void);

#endif
