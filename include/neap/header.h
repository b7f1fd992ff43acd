/* SPDX-License-Identifier: MIT
 *
 * neap: the layout that the inline fast paths compile in. Not for direct use.
 *
 * A program built with NEAP_INLINE (see <neap/object.h>) depends on this layout; one built without
 * it depends on function calls only. docs/runtime.md explains the header, docs/memory-model.md who
 * may write which field in which order.
 */
#ifndef NEAP_HEADER_H
#define NEAP_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct np_heap;
struct np_thread;
struct np_local;
struct neap_site;

/* In front of every object, 16 bytes. (o) written by the owner thread, (x) by any thread with
 * atomic operations, (b) at birth only, (g) by the owner or by the collector while the world is
 * stopped. */
struct neap_header {
    uint32_t local;  /* (o) the owner's count; an index where the object is deferred */
    uint16_t owner;  /* (o, x) the thread whose count `local` is, or one of the values below */
    uint8_t gc;      /* (g) generation, tracked, finalized */
    uint8_t flags;   /* (b) array, large, pooled, sampled */
    uint32_t shared; /* (x) state bits below the signed count of other threads' references */
    uint32_t type;   /* (b) index of the type descriptor; 0: the block is free */
};

enum neap_owner {
    NEAP_OWNER_NONE = 0,          /* merged: `shared` holds the whole count */
    NEAP_OWNER_LAST = 0xEFEF,     /* thread slots are 1 .. this */
    NEAP_OWNER_HANDED = 0xEFF0,   /* on its way between two threads */
    NEAP_OWNER_DEFERRED = 0xEFF1, /* counted per thread; `local` is the index */
    NEAP_OWNER_IMMORTAL = 0xEFF2, /* never dies; not counted */
    NEAP_OWNER_NOBODY = 0xEFFF,   /* in no header: an unattached or blocking thread's own id */
    NEAP_OWNER_RESERVED = 0xF000  /* from here on: dead and dying words (links) */
};

/* A stack of free blocks of one size class: the first here, those below it in an array. One load
 * gives the block's address, or NULL when there is none (docs/alloc.md). */
struct neap_magazine {
    void *first;   /* (o) the block taken next, or NULL */
    void **rest;   /* (o>) the entry that becomes first; bottom when empty */
    void **end;    /* (o) rest == end: full */
    void **bottom; /* (o>) the array; bottom[1] is NULL and becomes first after the last block */
};

/* The beginning of a thread's heap. The first magazine is of no size and always empty. */
struct neap_cache {
    struct neap_magazine magazines[128];
    int64_t trace_left; /* (o>) bytes until the next allocation that the tracer wants to see */
};

/* What a poll reads and writes: the beginning of the thread's registry slot, or, while the thread
 * is unattached or in a blocking region, a place whose requests are never 0. */
struct neap_poll_point {
    uint32_t requests;            /* (x) what others ask of the thread; 0: nothing */
    const struct neap_site *site; /* (o>) where the thread polled last; NULL: see np_thread.code */
};

/* The thread-local block: 64 bytes at most, one cache line. */
struct neap_thread_local {
    uint16_t id;    /* what this thread writes into `owner`; NEAP_OWNER_NOBODY while it may not */
    uint16_t dying; /* depth of destruction: releases only queue while it is not 0 */
    uint16_t operation;       /* depth of slot operations and heap walks: no stop point inside */
    uint16_t attached;        /* nesting depth of attach */
    struct np_thread *thread; /* registry slot; NULL while unattached */
    struct np_heap *heap;     /* cache of blocks; NULL while unattached */
    int64_t *cells; /* this thread's counts of deferred objects, by index; NULL while unattached */
    struct np_local *local;       /* counting state; NULL while unattached */
    struct neap_poll_point *poll; /* never NULL */
    struct neap_cache *cache; /* the heap's; one without blocks while the thread may not use it, or
                               * where every block is looked at; never NULL, only written to when
                               * it had a block */
};

extern NEAP_PUBLIC __thread struct neap_thread_local neap_thread_local
    __attribute__((tls_model("initial-exec")));

static inline struct neap_header *neap_header_of(const void *object)
{
    return (struct neap_header *)(uintptr_t)object - 1;
}

#ifdef __cplusplus
}
#endif

#endif
