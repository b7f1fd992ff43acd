/* SPDX-License-Identifier: MIT
 *
 * The oracle: what must be true of every object, in plain memory that neap knows nothing of.
 *
 * Each object of the stress driver has an id, which is its record's index, and a canary made of id,
 * serial number and address. A record says what the driver holds of the object (hands: references
 * in threads, queues and boards) and which id each of its slots holds. A slot that many threads
 * exchange at once is kept as the exclusive or of all ids that went in and came out, which is the
 * id that is in it, in whatever order they did it.
 *
 * Checked at once: an object in hand is whole and alive; what is disposed of was in nobody's hand,
 * is disposed of for the first time, and finds its slots' objects intact; a finalizer runs once; a
 * weak reference gives out its own object or nothing. Checked when the world is quiet (verify.c):
 * what the hands reach is alive and its slots hold what they must; everything else is dead.
 *
 * Concurrency: (x) any thread, atomically; (q) the coordinator while all workers wait; (c) while
 * the object lives. */
#ifndef STRESS_ORACLE_H
#define STRESS_ORACLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/neap.h>

enum { RECORDS = 1 << 18, INLINE_EDGES = 4, STRIPES = 64 };

enum kind {
    LEAF,    /* no slots, a disposal, a body of any size */
    BARE,    /* no slots, nothing to run */
    NODE,    /* two plain and two atomic slots, a disposal */
    QUIET,   /* the same without */
    PHOENIX, /* a finalizer that may bring it back */
    PEEKED,  /* may be peeked */
    PROMPT,  /* dies at once wherever its owner is */
    BIG,     /* a flexible array of atomic slots */
    ROWS,    /* an array of nodes in one object */
    KINDS
};

struct head {
    uint32_t id;
    uint32_t kind;
    uint64_t canary;
};

/* Every kind with slots; ROWS is several in a row, BIG has more behind. LEAF and BARE are a head
 * and a filled body. */
struct node {
    struct head head;
    struct node *plain[2];
    struct node *atomic[2];
};

struct big {
    struct node node;
    struct node *more[];
};

enum state { UNUSED, ALIVE, DISPOSED };

struct record {
    _Atomic uint32_t state;     /* (x) enum state */
    _Atomic int32_t hands;      /* (x) references that the driver holds outside slots */
    _Atomic uint32_t finalized; /* (x) finalizers run */
    uint32_t kind, serial;      /* (c) */
    uint32_t edge_count;        /* (c) */
    _Atomic uint32_t *edges;    /* (c) the array, (x) its entries: an id or 0 */
    _Atomic uint32_t inline_edges[INLINE_EDGES];
    _Atomic uint32_t ward; /* (x) the id of what the weak map gives to this key, or 0 */
    struct node *object;   /* (c) */
    bool immortal;         /* (q) written under a lock */
    _Atomic bool deferred; /* (x) was deferred at some time; never of silent ones */
    uint32_t home;         /* (c) the one slot it was made for, or 0 */
    bool reached;          /* (q) */
};

extern struct record *records; /* RECORDS of them; 0 is no object */
extern struct neap_type *kind_types[KINDS];
extern uint64_t stress_seed;
extern bool stress_revives; /* finalizers may bring objects back */
extern bool stress_refused; /* memory is refused now and then */
extern struct node *limbo;  /* where the revived go */
extern atomic_ulong revivals, disposals;

void oracle_begin(void);

/* What was asked for and came to this status is asked for again: memory was refused. It will not be
 * for ever; whoever cannot do without may loop on it. */
bool refused(int status);

/* A new object in the caller's hand, its slots empty: slots counts those of BIG and ROWS beyond
 * the first element, bytes a leaf's body. NULL out of memory or ids. */
struct node *object_make(enum kind kind, uint32_t more);

/* The caller has a reference to the object: is it whole and alive? Tells a lie if not. */
struct record *object_check(const struct node *object, const char *where);

static inline uint32_t object_id(const struct node *object)
{
    return object == NULL ? 0 : object->head.id;
}

/* Slots by number. */
uint32_t object_slots(const struct node *object);
struct node **object_slot(struct node *object, uint32_t index);
bool slot_is_atomic(const struct node *object, uint32_t index);

/* A reference of the caller's becomes a hand, or goes. */
void hand_take(struct node *object, const char *where);
void hand_give(struct node *object);   /* releases it */
void hand_forget(struct node *object); /* the reference goes elsewhere */

/* Slot operations that keep the record's edges. The caller holds a hand on object and on value.
 * Results are hands. Plain ones lock the object's stripe. */
struct node *edge_load(struct node *object, uint32_t index);
void edge_exchange(struct node *object, uint32_t index, struct node *value);
void edge_compare_exchange(struct node *object, uint32_t index, struct node *value);
struct node *edge_get(struct node *object, uint32_t index);
void edge_set(struct node *object, uint32_t index, struct node *value);
struct node *edge_take(struct node *object, uint32_t index);

/* For objects that only this thread knows. */
void edge_build(struct node *object, uint32_t index, struct node *value);

/* Has no disposal: dies without telling us. */
bool record_is_silent(const struct record *record);

/* Undefers the object if it is deferred and not disposed of yet; nobody may defer it meanwhile. */
void record_undefer(struct record *record);

/* Ids of the disposed are free again. */
void record_recycle(struct record *record);
uint32_t records_free(void);
/* The calling thread's own stock of ids goes back. */
void ids_give_back(void);
/* The runtime has ended: what was immortal is gone. */
void records_forget(void);

/* A pattern that looks like the header of a living object to whoever reads it by mistake. */
void pattern_fill(void *memory, size_t bytes, uint64_t key);
void pattern_check(const void *memory, size_t bytes, uint64_t key, const char *where);

#endif
