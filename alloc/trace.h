/* SPDX-License-Identifier: MIT
 *
 * Where tracing of allocations hooks in. Every heap counts down the bytes that it hands out; the
 * allocation at which the countdown falls below zero is out of line and told to the tracer, which
 * sets the countdown anew: to a random number of bytes when sampling, to -1 when every allocation
 * is wanted, a MiB away when none is. So tracing off costs the subtraction and its branch, and
 * sampling costs nothing more.
 *
 * A traced object says so in its header, a traced untyped block in its pool (the pool's key then
 * matches nobody's, which sends neap_free the slow way, until its owner finds no traced block of it
 * left) or in its prefix: freeing others costs nothing.
 *
 * Implemented by trace.c; the hooks are observe's, installed by boot.c. */
#ifndef NP_ALLOC_TRACE_H
#define NP_ALLOC_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc/heap.h"
#include "neap/site.h"

/* Everything between the program and the tracer stands in this section, so that unwinding finds
 * where the program begins. */
#define np_alloc_text __attribute__((section("neap_alloc_text"), noinline))
extern const char np_alloc_text_start[] __asm__("__start_neap_alloc_text")
    __attribute__((visibility("hidden")));
extern const char np_alloc_text_stop[] __asm__("__stop_neap_alloc_text")
    __attribute__((visibility("hidden")));

/* Both run on the thread that allocates or frees, inside the allocation: no stop point, no runtime
 * lock, no allocation of ours. */
struct np_trace_hooks {
    /* The block (an object's header) was handed out; asked is what the countdown was lowered by,
     * type_index 0 for untyped blocks. heap: whose countdown ended; NULL for threads without one.
     * True: the block is traced, freed is to be called. */
    bool (*made)(struct np_heap *heap, void *block, size_t asked, uint32_t type_index,
                 const struct neap_site *site);
    /* False: the tracing that saw it made has ended. */
    bool (*freed)(void *block);
};
extern struct np_trace_hooks np_trace_hooks; /* (c) after boot; no NULL */

/* Tracing wants to hear of threads without a heap too. (x) relaxed: a hint */
extern bool np_trace_is_wanted;

/* Countdown of a heap that is not traced: it looks again after so many bytes. Then an allocation of
 * an object is a stop point too, so that a thread that makes and drops the same few objects, and
 * never reaches an empty magazine, does not keep others from stopping it or from grace periods. */
#define NP_TRACE_FAR ((int64_t)1 << 20)
/* Allocations of untyped blocks, which are no stop points, for which the countdown stays at its
 * end, so that the next object is one; and how often the way to the next such end doubles while
 * none comes. */
enum { NP_TRACE_OWED = 8, NP_TRACE_DOUBLED = 6 };
/* Of a heap that has not asked yet: its next allocation does. */
#define NP_TRACE_NEW (INT64_MIN / 2)

/* Sets the countdown; what was counted down is kept as bytes asked for. */
static inline void np_trace_set(struct np_heap *heap, int64_t left)
{
    int64_t bytes = heap->trace_bytes + heap->trace_set - heap->trace_left;
    np_store_relaxed(&heap->trace_bytes, bytes); /* relaxed, all: figures */
    np_store_relaxed(&heap->trace_set, left);
    np_store_relaxed(&heap->trace_left, left);
}

/* The countdown of a heap that is not traced has ended at this allocation. An untyped block leaves
 * the stop point to the next object: a loop over both that allocates the same bytes each time would
 * end the countdown at the same block for ever. Where no object comes soon it begins again, longer
 * and not at the same place, so that a thread that makes none hardly notices. */
static inline void np_trace_set_far(struct np_heap *heap, bool is_object)
{
    if (is_object) {
        heap->trace_owed = heap->trace_doubled = 0;
        np_trace_set(heap, NP_TRACE_FAR);
    } else if (heap->trace_owed++ < NP_TRACE_OWED) {
        np_trace_set(heap, 0);
    } else {
        uint64_t mixed = (uint64_t)heap->trace_bytes * UINT64_C(0x9E3779B97F4A7C15);
        heap->trace_owed = 0;
        if (heap->trace_doubled < NP_TRACE_DOUBLED)
            heap->trace_doubled++;
        np_trace_set(heap, (NP_TRACE_FAR << heap->trace_doubled) - (int64_t)(mixed >> 45));
    }
}

/* Would it be? Counts nothing. */
static inline bool np_trace_will_be_due(const struct np_heap *heap, size_t bytes)
{
    return heap->trace_left < (int64_t)bytes;
}

/* Is an object whose countdown ends a stop point? Always, but while every allocation is traced each
 * ends it: then one in so many. */
enum { NP_TRACE_STOPS = 64 };
static inline bool np_trace_is_stop(struct np_heap *heap)
{
    return heap->trace_set >= 0 || heap->trace_left < -NP_TRACE_FAR ||
           heap->trace_turn++ % NP_TRACE_STOPS == 0;
}

static inline bool np_trace_is_due(struct np_heap *heap, size_t bytes)
{
    return np_unlikely(neap_left_down_(&heap->trace_left, bytes));
}

/* ---- the quick way ----
 *
 * While every allocation is traced by its place alone, a heap has its thread's figures at hand, and
 * an allocation whose place and type it has met counts itself: no hook, no stop point (the
 * countdown goes on below zero; the object at which it is a MiB below is one, and lifts it). */

enum {
    NP_TRACES_LOG2 = 18,
    NP_TRACES_MOST = 1 << NP_TRACES_LOG2, /* beyond, blocks are counted under the last one */
    NP_TRACE_PLACES_LOG2 = 10,
    NP_TRACE_CHUNK = 65536 /* bytes more or less, which go to the process's sum */
};

/* Of one thread, not scaled by the trace's weight. */
struct np_trace_counts {
    uint64_t made_objects, made_bytes, freed_objects, freed_bytes; /* (o>) */
};

/* A place and type met last: `word` is what blocks made there get into the side table, the trace's
 * index below the epoch; 0: none. */
struct np_trace_place {
    const struct neap_site *site;
    uint32_t type_index, word;
};

struct np_trace_quick {
    int64_t delta, delta_most; /* (o>) bytes since they were last given to the sum, and the most */
    uint32_t epoch;            /* (o) words of this tracing are this and an index */
    struct np_trace_place places[1 << NP_TRACE_PLACES_LOG2]; /* (o) */
    struct np_trace_counts counts[NP_TRACES_MOST];           /* by index */
};

extern uint32_t *np_trace_side; /* (c) once reserved: one word per 16 bytes of the region */

static inline uint32_t *np_trace_entry(const void *block)
{
    return &np_trace_side[((uintptr_t)block - np_region.base) / NP_CLASS_STEP];
}

static inline struct np_trace_place *
np_trace_place_of(struct np_trace_quick *quick, const struct neap_site *site, uint32_t type_index)
{
    uint32_t key = (uint32_t)((uintptr_t)site >> 3) + type_index;
    return &quick->places[key * 2654435769u >> (32 - NP_TRACE_PLACES_LOG2)];
}

/* Figures have one writer, and readers who take what they find. */
static inline void np_trace_add(uint64_t *counter, int64_t n)
{
    neap_cell_add_((int64_t *)(void *)counter, n);
}

/* What blocks of this place and type get, or 0: the hook is to find it out, give the bytes to the
 * sum, or serve a stop point. */
static inline uint32_t np_trace_quick_word(const struct np_heap *heap, const struct neap_site *site,
                                           uint32_t type_index)
{
    struct np_trace_quick *quick = heap->trace_quick;
    if (np_unlikely(quick == NULL) || np_unlikely(quick->delta > NP_TRACE_CHUNK) ||
        (type_index != 0 && np_unlikely(heap->trace_left < -NP_TRACE_FAR)))
        return 0;
    const struct np_trace_place *place = np_trace_place_of(quick, site, type_index);
    return np_likely(place->site == site && place->type_index == type_index) ? place->word : 0;
}

static inline void np_trace_quick_made(struct np_trace_quick *quick, uint32_t word,
                                       const void *block, uint32_t bytes)
{
    struct np_trace_counts *counts = &quick->counts[word & (NP_TRACES_MOST - 1)];
    np_trace_add(&counts->made_objects, 1);
    np_trace_add(&counts->made_bytes, bytes);
    int64_t delta = quick->delta + bytes;
    np_store_relaxed(&quick->delta, delta); /* relaxed, all: figures */
    if (delta > quick->delta_most)
        np_store_relaxed(&quick->delta_most, delta);
    np_store_relaxed(np_trace_entry(block), word); /* relaxed: it comes with the block */
}

/* A block of the region is freed. False: the hook is to be told. */
static inline bool np_trace_quick_freed(const struct np_heap *heap, const void *block,
                                        uint32_t bytes)
{
    struct np_trace_quick *quick = heap->trace_quick;
    if (np_unlikely(quick == NULL) || np_unlikely(quick->delta < -NP_TRACE_CHUNK))
        return false;
    uint32_t *entry = np_trace_entry(block);
    uint32_t index = np_load_relaxed(entry) - quick->epoch; /* relaxed: it came with the block */
    if (np_unlikely(index - 1 >= NP_TRACES_MOST - 1))
        return false;
    np_store_relaxed(entry, 0u);
    np_trace_add(&quick->counts[index].freed_objects, 1);
    np_trace_add(&quick->counts[index].freed_bytes, bytes);
    np_store_relaxed(&quick->delta, quick->delta - bytes); /* relaxed: a figure */
    return true;
}

/* A site for a caller that passes none: an address of its code. Told from a site by bit 0. */
static inline const struct neap_site *np_site_of_code(const void *address)
{
    return (const struct neap_site *)((uintptr_t)address << 1 | 1);
}

static inline const void *np_site_code(const struct neap_site *site) /* NULL: it is a site */
{
    return (uintptr_t)site & 1 ? (const void *)((uintptr_t)site >> 1) : NULL;
}

#endif
