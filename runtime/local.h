/* SPDX-License-Identifier: MIT
 *
 * The runtime's state of one registry slot: death lists, outgoing merge batches, the merge queue.
 * Made with the slot's first thread, inherited with the slot. (o) the slot's thread or who claimed
 * it, (x) any thread by the protocol named.
 */
#ifndef NP_RUNTIME_LOCAL_H
#define NP_RUNTIME_LOCAL_H

#include <stddef.h>

#include "base/queue.h"
#include "runtime/header.h"

enum { NP_BATCH_OBJECTS = 60, NP_BATCHES_OPEN = 4 };

/* Objects on their way to their owner's merge queue; each entry stands for one reference. */
struct np_batch {
    struct np_queue_node node; /* first: the queue hands nodes back; links spare batches too */
    uint32_t count;            /* (o) */
    uint16_t owner;            /* (o) destination */
    struct neap_header *objects[NP_BATCH_OBJECTS];
};

/* Who gives a queued reference back: the owner; another thread for an owner that sleeps; another
 * thread at once, for one that is gone or an object that may not wait. */
enum np_merged { NP_MERGED_BY_OWNER, NP_MERGED_FOR_OWNER, NP_MERGED_AT_ONCE, NP_MERGED_KINDS };

/* Where a dead object waits for destruction. */
enum np_dying { NP_DYING_PLAIN, NP_DYING_USER, NP_DYING_PROMPT, NP_DYING_LISTS };

enum { NP_DEFERRED_MOST = 1 << 16 };

/* Dead peekable objects, linked through word 0; see grace.h. */
struct np_grace {
    struct neap_header *waiting, *gathering;
    uint64_t tag; /* of waiting */
};

/* Retired blocks of containers, linked through their first words; see retire.h. */
struct np_retire_lists {
    void *waiting, *gathering;
    uint64_t tag; /* of waiting */
};

struct np_local {
    struct neap_header *dying[NP_DYING_LISTS]; /* (o>) last-in-first-out through word 0 */
    struct neap_header *partial; /* (o>) an object whose children are released in part, or NULL */
    size_t partial_next;         /* (o) the first slot not yet released */
    struct np_batch *open[NP_BATCHES_OPEN]; /* (o) by destination modulo; NULL or holding objects */
    struct np_batch *spare;                 /* (o) empty batches */
    uint32_t spare_count;                   /* (o) */
    uint16_t id;                            /* (c) the slot */
    bool destroying;                        /* (o) it sleeps in the middle of a destruction */
    struct neap_header *returning;  /* (o) blocks on their way back, at a stop point; see hold.h */
    bool contended_held;            /* (o) a reference to `contended` is held, to be deferred */
    uint32_t contended_count;       /* (o) swaps lost in a row on it */
    struct neap_header *contended;  /* (o) the object of the last lost swap; see contend.h */
    struct np_grace grace;          /* (o) */
    struct np_retire_lists retired; /* (o) */
    uint64_t merged[NP_MERGED_KINDS]; /* (o>) figures: by the thread that did it */
    uint64_t sent;                    /* (o>) a figure: references put into queues */
    int64_t *cells; /* (o>, s) deferred counts, by index: NP_DEFERRED_MOST, in reserved memory */
    struct np_queue merges __attribute__((aligned(NP_CACHE_LINE))); /* (x) batches from others */
};

/* The state of slot id, made on first use; NULL out of memory. */
struct np_local *np_local_make(uint16_t id);

/* The state of slot id, which has been attached before. */
struct np_local *np_local_of(uint16_t id);

#endif
