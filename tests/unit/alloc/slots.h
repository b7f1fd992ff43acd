/* SPDX-License-Identifier: MIT
 *
 * What the alloc floor needs of the floors above, in a few lines: slots that threads take, run in,
 * block in and leave; a claim by trylock; a grace clock that the test turns.
 *
 * A slot's lock is held by the thread that runs in it. Who blocks or leaves lets go of it, so a
 * claim is a trylock, and both sides look twice as threads/blocking.h prescribes. */
#ifndef NP_TESTS_UNIT_ALLOC_SLOTS_H
#define NP_TESTS_UNIT_ALLOC_SLOTS_H

#include <pthread.h>
#include <stdlib.h>

#include "alloc/guard.h"
#include "alloc/heap.h"
#include "base/os.h"
#include "base/tls.h"
#include "tests/harness.h"

enum { SLOTS = 16 };

static struct slot {
    pthread_mutex_t lock;
    uint32_t requested; /* (x) drain soon */
} slots[SLOTS];

static uint64_t slots_clock = 1;           /* (x) the tag that is handed out */
static uint64_t slots_passed = UINT64_MAX; /* (x) tags up to this have passed */
static uint64_t slots_claims;              /* (x) claims that ran */
static int64_t slots_fail_in;              /* (x) allocations until one fails; 0: none */

static inline bool slots_claim(uint16_t id, void (*function)(struct np_heap *heap))
{
    if (pthread_mutex_trylock(&slots[id].lock) != 0) {
        np_store_seq_cst(&slots[id].requested, 1u);
        return false;
    }
    np_fetch_add_relaxed(&slots_claims, (uint64_t)1);
    function(np_heap_at(id));
    pthread_mutex_unlock(&slots[id].lock);
    return true;
}

static inline uint64_t slots_tag(void)
{
    return np_load_relaxed(&slots_clock);
}

static inline bool slots_has_passed(uint64_t tag)
{
    return tag <= np_load_relaxed(&slots_passed);
}

static inline void slots_ask(uint64_t tag)
{
    (void)tag;
}

static inline bool slots_may_fail(void)
{
    return np_load_relaxed(&slots_fail_in) > 0 &&
           np_fetch_add_relaxed(&slots_fail_in, (int64_t)-1) == 1;
}

static const struct np_alloc_hooks slots_hooks = {
    slots_claim, slots_tag, slots_has_passed, slots_ask, NULL, slots_may_fail, NULL};

static inline void slots_init_with(const struct np_alloc_hooks *hooks)
{
    for (unsigned i = 0; i < SLOTS; i++)
        pthread_mutex_init(&slots[i].lock, NULL);
    if (np_alloc_init(hooks) != 0)
        bail("np_alloc_init failed");
}

static inline void slots_init(void)
{
    slots_init_with(&slots_hooks);
}

/* Back from slots_block, or as another slot that was let go of. */
static inline void slots_resume(struct np_heap *heap)
{
    pthread_mutex_lock(&slots[heap->id].lock);
    np_tls.heap = heap;
    np_tls.id = heap->id;
}

/* The calling thread takes slot id and its heap. */
static inline struct np_heap *slots_enter(uint16_t id)
{
    pthread_mutex_lock(&slots[id].lock);
    struct np_heap *heap = np_heap_acquire(id);
    if (heap == NULL)
        bail("np_heap_acquire failed");
    np_tls.heap = heap;
    np_tls.id = id;
    return heap;
}

/* Lets go, looks again, and takes back to drain what came in between. */
static inline void slots_let_go(struct np_heap *heap)
{
    np_tls.id = NEAP_OWNER_NOBODY;
    for (;;) {
        pthread_mutex_unlock(&slots[heap->id].lock);
        (void)np_fetch_add_seq_cst(&slots[heap->id].requested,
                                   0u); /* the second look comes after */
        if (!np_heap_has_remote(heap) || pthread_mutex_trylock(&slots[heap->id].lock) != 0)
            return;
        np_tls.id = heap->id;
        np_heap_drain_remote(heap);
        np_tls.id = NEAP_OWNER_NOBODY;
    }
}

static inline void slots_block(void)
{
    np_heap_flush_outgoing(np_tls.heap);
    np_heap_drain_remote(np_tls.heap);
    slots_let_go(np_tls.heap);
}

static inline void slots_leave(void)
{
    struct np_heap *heap = np_tls.heap;
    np_heap_abandon(heap);
    np_tls.heap = NULL;
    slots_let_go(heap);
}

static inline void slots_poll(void)
{
    if (np_load_relaxed(&slots[np_tls.id].requested)) {
        np_store_relaxed(&slots[np_tls.id].requested, 0u);
        np_heap_drain_remote(np_tls.heap);
    }
}

/* An object block as the runtime makes and frees it: a header with owner, count and type. */
static inline struct neap_header *slots_object(size_t bytes, uint32_t type)
{
    unsigned class_index = np_class_of(bytes);
    struct neap_header *header = np_heap_take(np_tls.heap, class_index);
    if (header == NULL)
        header = np_heap_take_slow(np_tls.heap, class_index);
    if (header == NULL)
        return NULL;
    if (NP_GUARD)
        np_guard_take_object(header);
    if (np_load_relaxed(&header->type) != 0)
        bail("a free block had a type");
    uint64_t word = 1 | (uint64_t)np_tls.id << 32;
    np_store_relaxed((np_word *)(void *)header, word);
    np_store_relaxed(&header->shared, 0u);
    np_store_relaxed(&header->type, type);
    return header;
}

static inline void slots_object_free(struct neap_header *header)
{
    np_store_relaxed(&header->type, 0u);
    np_heap_give(np_tls.heap, header);
}

/* harness.c is for the whole library; this floor's random walks take their seed here. */
static inline uint64_t slots_seed(void)
{
    const char *text = getenv("NEAP_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)np_os_now_ns();
    diag("NEAP_TEST_SEED=%llu", (unsigned long long)seed);
    return seed;
}

#endif
