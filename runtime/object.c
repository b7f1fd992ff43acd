/* SPDX-License-Identifier: MIT
 *
 * Making objects and asking about them. The fast path (neap_new_header_, which is public for the
 * sake of NEAP_INLINE) takes a block from the thread's magazine and writes the header in two
 * stores; the body is zeroed; everything else (first use of a type, empty magazine, large object,
 * array, the tracer's turn, builds with guards) is out of line.
 *
 * A new header is written over a dead one that stale lock-free readers may still look at. They
 * cannot acquire it: `shared` is 0 and not published (docs/memory-model.md, MM-birth).
 */
#include "runtime/object.h"

#include <string.h>

#include "alloc/arena.h"
#include "alloc/guard.h"
#include "alloc/large.h"
#include "alloc/meta.h"
#include "alloc/trace.h"
#include "base/check.h"
#include "base/options.h"
#include "runtime/collect_hooks.h"
#include "runtime/death.h"
#include "runtime/grace.h"
#include "runtime/type.h"
#include "runtime/pressure.h"
#include "runtime/usage.h"
#include "threads/safepoint.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are composed as words");
_Static_assert(sizeof(struct neap_header) == 16, "the contract's size");

struct np_collect_hooks np_collect_hooks;

/* Deaths that an allocation's slow path takes over from the backlog: more than it can add. */
enum { DEATHS_PER_REFILL = 128 };

static inline void write_header(struct neap_header *header, uint32_t type_index, uint64_t birth)
{
    uint64_t word0 = (uint64_t)1 | (uint64_t)np_tls.id << 32 | birth;
    /* relaxed: [MM-birth] nobody can acquire the object until it is published with release */
    np_store_relaxed((np_word *)header + 1, (uint64_t)type_index << 32);
    np_store_relaxed((np_word *)header, word0);
}

/* An allocation's slow path, and one allocation in a MiB that needs none (alloc/trace.h), is a stop
 * point: stops, collections and deaths that need no user code. */
static void serve_stop_point(void)
{
    np_stop_point(np_tls.thread);
    np_grace_poll(np_tls.local);
    np_pressure_serve();
    if (np_unlikely(np_options.eager_grace)) {
        np_large_reclaim();
        np_arena_sweep();
    }
    if (np_tls.dying == 0)
        np_death_drain_plain(np_tls.local, DEATHS_PER_REFILL);
    if ((np_tls.heap->debt || np_options.eager_collect) && np_collect_hooks.serve_debt != NULL)
        np_collect_hooks.serve_debt(np_tls.heap);
}

static np_noinline void *take_small(unsigned class_index)
{
    serve_stop_point();
    void *block = np_heap_take(np_tls.heap, class_index);
    if (block == NULL)
        block = np_heap_take_slow(np_tls.heap, class_index);
    if (block == NULL && np_collect_hooks.reclaim != NULL) {
        np_collect_hooks.reclaim();
        block = np_heap_take_slow(np_tls.heap, class_index);
    }
    return np_commit_outcome(block);
}

static void *take_large(size_t bytes)
{
    serve_stop_point();
    np_large_reclaim();
    void *block = np_large_new(bytes, 16, true, true);
    if (block == NULL && np_collect_hooks.reclaim != NULL) {
        np_collect_hooks.reclaim();
        block = np_large_new(bytes, 16, true, true);
    }
    return np_commit_outcome(block);
}

/* Any size; body is type->size * count + extra and, for arrays, a last word with the count. */
static np_alloc_text void *new_general(const struct neap_type *type, size_t body_bytes,
                                       uint8_t flags, const struct neap_site *site)
{
    if (np_unlikely(np_tls.id == NEAP_OWNER_NOBODY) && !np_usage_attach()) {
        if (np_options.auto_attach && np_tls.attached == 0)
            return NULL; /* no memory for it */
        np_usage_fail("neap_new");
    }
    uint32_t index = np_load_acquire(&type->index); /* [MM-type-2] acquire: pairs with type.c */
    if (index == 0 && (index = np_type_register(type)) == 0)
        return NULL;
    size_t bytes;
    if (__builtin_add_overflow(body_bytes, sizeof(struct neap_header), &bytes))
        return NULL;
    size_t counted = (body_bytes + 7) & ~(size_t)7; /* as the fast path counts it down */
    struct neap_header *header;
    if (bytes > NP_SMALL_MAX) {
        header = take_large(bytes);
        flags |= NP_FLAG_LARGE;
        if (header != NULL && (type->traits & NP_TRAIT_SLOTS)) {
            if (--np_tls.heap->credit < 0)
                np_tls.heap->debt = true; /* as a refill does for small ones */
        }
    } else {
        if (bytes < NP_OBJECT_MIN)
            bytes = NP_OBJECT_MIN;
        bool exact = body_bytes == type->size && type->class_index != NP_CLASS_GENERAL;
        unsigned class_index =
            exact ? type->class_index : np_class_of(bytes) + np_class_offset(type);
        if (np_trace_will_be_due(np_tls.heap, counted) && np_trace_is_stop(np_tls.heap))
            serve_stop_point();
        header = np_heap_take(np_tls.heap, class_index);
        if (header == NULL)
            header = take_small(class_index);
        if (header != NULL) {
            if (NP_GUARD)
                np_guard_take_object(header);
            size_t block_bytes = np_pool_of(header)->block_bytes;
            memset(header + 1, 0, block_bytes - sizeof *header);
        }
    }
    if (header == NULL)
        return NULL;
    uint64_t birth = type->birth;
    if (np_trace_is_due(np_tls.heap, counted) &&
        np_trace_hooks.made(np_tls.heap, header, counted, index, site))
        flags |= NP_FLAG_TRACED;
    birth |= (uint64_t)flags << 56;
    if (flags & (NP_FLAG_LARGE | NP_FLAG_TRACED))
        birth &= ~((uint64_t)NP_FLAG_BARE << 56);
    write_header(header, index, birth);
    return np_object_of(header);
}

/* Two or four stores, which may overlap; a body has room for 16 bytes at least. */
static inline void zero_body(char *body, size_t bytes)
{
    if (np_unlikely(bytes > 64)) {
        memset(body, 0, bytes);
        return;
    }
    size_t last = bytes > 16 ? bytes - 16 : 0;
    memset(body, 0, 16);
    memset(body + last, 0, 16);
    if (bytes > 32) {
        memset(body + 16, 0, 16);
        memset(body + last - 16, 0, 16);
    }
}

/* neap_new_header_ where the tracer's turn has come and it need not be asked (alloc/trace.h); NULL:
 * it is not so. The magazine has a block, so the cache is a heap's. */
static inline struct neap_header *new_traced_header(const struct neap_type *type, size_t body_bytes,
                                                    const struct neap_site *site)
{
    struct neap_cache *cache = np_tls.cache;
    uint32_t offset = np_load_acquire(&type->cache_offset); /* [MM-type-3] acquire */
    struct neap_magazine *magazine =
        (struct neap_magazine *)(void *)((char *)cache->magazines + offset);
    struct neap_header *header = magazine->first;
    struct np_heap *heap = (struct np_heap *)(void *)cache;
    uint32_t word;
    if (header == NULL || (word = np_trace_quick_word(heap, site, type->index)) == 0)
        return NULL;
    neap_magazine_pop_(magazine);
    (void)neap_left_down_(&cache->trace_left, body_bytes);
    np_trace_quick_made(heap->trace_quick, word, header, np_pool_of(header)->block_bytes);
    uint64_t birth = type->birth & ~((uint64_t)NP_FLAG_BARE << 56);
    write_header(header, type->index, birth | (uint64_t)NP_FLAG_TRACED << 56);
    return header;
}

static np_alloc_text void *new_unusual(const struct neap_type *type, size_t extra_bytes,
                                       const struct neap_site *site)
{
    size_t body_bytes = ((size_t)type->size + 7) & ~(size_t)7;
    struct neap_header *header;
    if (extra_bytes == 0 && (header = new_traced_header(type, body_bytes, site)) != NULL) {
        zero_body(np_object_of(header), body_bytes);
        return np_object_of(header);
    }
    if (!np_usage_alive() || __builtin_add_overflow(type->size, extra_bytes, &body_bytes))
        return NULL;
    return new_general(type, body_bytes, 0, site);
}

np_alloc_text void *neap_object_new_at(const struct neap_type *type, size_t extra_bytes,
                                       const struct neap_site *site)
{
    if (np_likely(extra_bytes == 0)) {
        size_t body_bytes = ((size_t)type->size + 7) & ~(size_t)7;
        struct neap_header *header = neap_new_header_(type, body_bytes);
        if (np_likely(header != NULL)) {
            zero_body(np_object_of(header), body_bytes);
            return np_object_of(header);
        }
    }
    return new_unusual(type, extra_bytes, site);
}

np_alloc_text void *neap_object_new(const struct neap_type *type, size_t extra_bytes)
{
    return neap_object_new_at(type, extra_bytes, np_site_of_code(__builtin_return_address(0)));
}

np_alloc_text void *neap_object_new_array_at(const struct neap_type *type, size_t count,
                                             const struct neap_site *site)
{
    if (!np_usage_alive())
        return NULL;
    size_t body_bytes;
    if (__builtin_mul_overflow((size_t)type->size, count, &body_bytes) ||
        __builtin_add_overflow(body_bytes, (size_t)7, &body_bytes))
        return NULL;
    body_bytes &= ~(size_t)7;
    if (__builtin_add_overflow(body_bytes, sizeof(uint64_t), &body_bytes))
        return NULL;
    /* [MM-type-2] acquire: pairs with the release in type.c */
    if (np_load_acquire(&type->index) == 0 && np_type_register(type) == 0)
        return NULL;
    np_check((type->traits & NP_TRAIT_TRAILING) == 0,
             "type %s has a flexible array: there are no arrays of it", type->name);
    void *object = new_general(type, body_bytes, NP_FLAG_ARRAY, site);
    if (object != NULL) {
        struct neap_header *header = neap_header_of(object);
        *((uint64_t *)(void *)((char *)header + np_object_block_bytes(header)) - 1) = count;
    }
    return object;
}

np_alloc_text void *neap_object_new_array(const struct neap_type *type, size_t count)
{
    return neap_object_new_array_at(type, count, np_site_of_code(__builtin_return_address(0)));
}

size_t np_object_block_bytes(const struct neap_header *header)
{
    if (header->flags & NP_FLAG_LARGE)
        return np_large_of(header)->bytes;
    return np_pool_of(header)->block_bytes;
}

size_t np_object_length(const struct neap_header *header)
{
    if (!(header->flags & NP_FLAG_ARRAY))
        return 1;
    return *(
        (const uint64_t *)(const void *)((const char *)header + np_object_block_bytes(header)) - 1);
}

size_t neap_length(const void *object)
{
    return np_object_length(neap_header_of(object));
}

size_t neap_size_of(const void *object)
{
    return np_object_block_bytes(neap_header_of(object));
}

const struct neap_type *neap_type_of(const void *object)
{
    if (object == NULL)
        return NULL;
    uint32_t index =
        np_load_relaxed(&neap_header_of(object)->type); /* relaxed: the caller's reference
                                                           keeps it constant */
    np_check(index != 0, "%p is not an object, or is dead", object);
    return np_type_at(index);
}

bool neap_is_tracked(const void *object)
{
    return (np_load_relaxed(&neap_header_of(object)->gc) & NP_GC_TRACKED) !=
           0; /* relaxed: a hint */
}

bool neap_is_finalized(const void *object)
{
    return (np_load_relaxed(&neap_header_of(object)->gc) & NP_GC_FINALIZED) !=
           0; /* relaxed: a hint */
}
