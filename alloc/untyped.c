/* SPDX-License-Identifier: MIT
 *
 * The public untyped blocks. A thread with a heap uses its magazines; a thread without one, or in a
 * blocking region, where others may claim its heap, uses the shared heap. Neither passes a stop
 * point, so both work while the world is stopped.
 *
 * Freeing does not touch the block. A block that is freed twice in a row shows at once, since it is
 * on top of its magazine; one freed twice otherwise shows when it goes back to its pool. In builds
 * with guards (guard.h) every block ends in a canary, and each mistake shows at once. */
#include "neap/block.h"

#include <string.h>

#include "alloc/guard.h"
#include "alloc/heap.h"
#include "alloc/large.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "alloc/sample.h"
#include "alloc/shared.h"
#include "alloc/stats.h"
#include "alloc/trace.h"
#include "base/check.h"
#include "base/tls.h"

#define ALIGNMENT_MOST ((size_t)1 << 20)

/* What neap_free needs of np_region, where one instruction each reaches it. */
static uintptr_t region_base;
static size_t region_bytes;
static struct np_pool *region_pools;

void np_untyped_init(void)
{
    region_base = np_region.base;
    region_bytes = np_region.bytes;
    region_pools = np_region.pools;
}

/* Whoever has an id has a heap: threads/ takes the id away first. */
static inline bool has_heap(void)
{
    return np_tls.id != NEAP_OWNER_NOBODY;
}

/* ---- taking ---- */

/* With the canary's bytes. What nobody can have stays so. */
static inline size_t with_tail(size_t bytes)
{
    return NP_GUARD && bytes <= PTRDIFF_MAX ? bytes + NP_GUARD_TAIL : bytes;
}

/* Builds with guards: the block, if there is one, as the program gets it. */
static inline void *guarded(void *block)
{
    if (NP_GUARD && block != NULL) {
        if (np_region_has(block))
            np_guard_take(np_pool_of(block), block);
        else if (!np_sample_has(block))
            np_guard_seal(block, np_large_of(block)->bytes);
    }
    return block;
}

/* Of a pool of ours. */
static inline void note_traced(struct np_pool *pool)
{
    pool->traced_own++;
    np_store_relaxed(&pool->traced, (uint8_t)1); /* relaxed: it goes with the block */
}

/* The block, told to the tracer if it is its turn. Blocks between guard pages are not traced. */
static np_alloc_text void *traced(void *block, size_t bytes, const struct neap_site *site)
{
    struct np_heap *heap = has_heap() ? np_tls.heap : NULL;
    bytes += bytes == 0;
    /* relaxed: a hint */
    bool due = heap != NULL ? np_trace_is_due(heap, bytes) : np_load_relaxed(&np_trace_is_wanted);
    if (block == NULL || !due || np_sample_has(block) ||
        !np_trace_hooks.made(heap, block, bytes, 0, site))
        return block;
    if (np_region_has(block)) {
        struct np_pool *pool = np_pool_of(block);
        if (heap != NULL)
            note_traced(pool);
        else
            (void)np_fetch_add_relaxed(&pool->traced_blocks, (uint16_t)1); /* relaxed, both: */
        np_store_relaxed(&pool->traced, (uint8_t)1); /* they reach other threads with the block */
    }
    return block;
}

/* The allocator is ready. */
static np_alloc_text void *take_large(size_t alignment, size_t bytes, bool zero,
                                      const struct neap_site *site)
{
    return traced(np_commit_outcome(np_large_new(bytes, alignment, false, zero)), bytes, site);
}

static np_alloc_text void *take_slow(size_t bytes, const struct neap_site *site)
{
    if (!np_alloc_ready())
        return NULL;
    void *block = NULL;
    unsigned class_index = np_class_of(bytes != 0 ? bytes : 1) + NP_CLASS_UNTYPED;
    if (has_heap()) {
        if (bytes <= NP_SMALL_MAX)
            block = np_heap_take(np_tls.heap, class_index);
        if (block == NULL && np_unlikely(np_sample_is_due(np_tls.heap))) {
            void *sample = np_sample_take(bytes);
            if (sample != NULL)
                return sample;
        }
    }
    if (bytes > NP_SMALL_MAX)
        return take_large(16, bytes, false, site);
    if (!has_heap())
        block = np_shared_take(class_index);
    else if (block == NULL)
        block = np_heap_take_slow(np_tls.heap, class_index);
    return traced(np_commit_outcome(block), bytes, site);
}

_Static_assert(sizeof(struct neap_magazine) == 2 * NP_CLASS_STEP,
               "neap_alloc finds one by masking");

/* The magazine has a block, so the cache is a heap's. Where the tracer need not be asked it is
 * taken; else take_slow looks again. */
static np_alloc_text void *take_due(struct neap_cache *cache, struct neap_magazine *magazine,
                                    size_t bytes, const struct neap_site *site)
{
    struct np_heap *heap = (struct np_heap *)(void *)cache;
    uint32_t word = np_trace_quick_word(heap, site, 0);
    if (np_likely(word != 0)) {
        void *block = magazine->first;
        struct np_pool *pool = np_pool_of(block);
        neap_magazine_pop_(magazine);
        np_trace_quick_made(heap->trace_quick, word, block, pool->block_bytes);
        note_traced(pool);
        return block;
    }
    (void)neap_left_down_(&cache->trace_left, -bytes);
    return take_slow(bytes, site);
}

/* Instead of a site, where the inlined function returns to; volatile, so that only the path that
 * needs it finds it out. */
static inline __attribute__((always_inline)) const struct neap_site *site_of_caller(void)
{
    const void *code = __builtin_return_address(0);
    __asm__ volatile("" : "+r"(code));
    return np_site_of_code(code);
}

/* bytes with the canary's. by_caller, a constant: the site is the caller's code. */
static inline __attribute__((always_inline)) void *take(size_t bytes, const struct neap_site *site,
                                                        bool by_caller)
{
    size_t offset = bytes - 1;
    if (np_unlikely(offset >= NP_SMALL_MAX))
        return take_slow(bytes, by_caller ? site_of_caller() : site);
    /* &magazines[np_class_of(bytes) + NP_CLASS_UNTYPED] in two instructions */
    offset &= ~(size_t)(NP_CLASS_STEP - 1);
    struct neap_cache *cache = np_tls.cache;
    char *magazines = (char *)&cache->magazines[NP_CLASS_UNTYPED];
    struct neap_magazine *magazine = (struct neap_magazine *)(void *)(magazines + 2 * offset);
    void *block = magazine->first;
    if (np_unlikely(block == NULL))
        return take_slow(bytes, by_caller ? site_of_caller() : site);
    if (np_unlikely(neap_left_down_(&cache->trace_left, bytes)))
        return take_due(cache, magazine, bytes, by_caller ? site_of_caller() : site);
    neap_magazine_pop_(magazine);
    return block;
}

np_alloc_text void *neap_alloc_at(size_t bytes, const struct neap_site *site)
{
    return guarded(take(with_tail(bytes), site, false));
}

np_alloc_text void *neap_calloc_at(size_t count, size_t bytes, const struct neap_site *site)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    if (with_tail(total) > NP_SMALL_MAX)
        return np_alloc_ready() ? guarded(take_large(16, with_tail(total), true, site)) : NULL;
    void *block = neap_alloc_at(total, site);
    return block != NULL ? memset(block, 0, total) : NULL;
}

np_alloc_text void *neap_aligned_alloc_at(size_t alignment, size_t bytes,
                                          const struct neap_site *site)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > ALIGNMENT_MOST)
        return NULL;
    bytes = with_tail(bytes);
    if (alignment <= NP_CLASS_STEP)
        return guarded(take(bytes, site, false));
    /* Blocks of a size that is a multiple of the alignment are aligned: pools are. */
    if (bytes <= NP_SMALL_MAX && alignment <= NP_SMALL_MAX) {
        size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
        if (rounded <= NP_SMALL_MAX)
            return guarded(take(rounded != 0 ? rounded : alignment, site, false));
    }
    if (!np_alloc_ready())
        return NULL;
    return guarded(take_large(alignment, bytes != 0 ? bytes : 1, false, site));
}

/* ---- giving ---- */

static np_noinline void free_large(void *block)
{
    if (block == NULL)
        return;
    if (np_sample_has(block)) {
        np_sample_give(block);
        return;
    }
    struct np_large *large = np_large_of(block);
    np_check((uintptr_t)block % 16 == 0 && !large->is_object, "%p is not a block of neap_alloc",
             block);
    if (np_likely(np_large_is_live(large))) { /* else np_large_free says so */
        if (NP_GUARD)
            np_guard_unseal("neap_free", block, large->bytes);
        /* relaxed: written when it was made */
        if (np_unlikely(np_load_relaxed(&large->trace) != 0))
            np_trace_hooks.freed(block);
    }
    np_large_free(block, false);
}

/* By its owner. */
static inline void note_freed(struct np_pool *pool, bool traced)
{
    pool->traced_own -= traced;
    /* relaxed, both: a count; ours to write */
    if ((uint16_t)(pool->traced_own + np_load_relaxed(&pool->traced_blocks)) == 0)
        np_store_relaxed(&pool->traced, (uint8_t)0);
}

/* A block of a pool that may have traced ones. Only the owner makes them, so what it finds to be
 * none stays none until it makes one: then freeing goes the short way again. */
static void tell_freed(struct np_pool *pool, void *block, bool own)
{
    bool traced = np_trace_hooks.freed(block);
    if (own)
        note_freed(pool, traced);
    else if (traced)
        (void)np_fetch_add_relaxed(&pool->traced_blocks, (uint16_t)-1); /* relaxed: a count */
}

static bool is_own(const struct np_pool *pool)
{
    return has_heap() && np_load_relaxed(&pool->owner) == np_tls.id; /* relaxed: ours if we wrote */
}

/* Builds with guards: checked and filled, then by way of the quarantine. */
static np_noinline void free_guarded(struct np_pool *pool, void *block)
{
    uint32_t index = np_block_index(pool, block);
    /* relaxed: the block is in use, if it is one */
    np_check(np_load_relaxed(&pool->kind) == NP_POOL_UNTYPED && pool->capacity != 0 &&
                 index < np_load_relaxed(&pool->carved) && np_block_at(pool, index) == block,
             "%p is not a block of neap_alloc, or was freed already", block);
    if (np_load_relaxed(&pool->traced) != 0) /* relaxed: set before the block was handed out */
        tell_freed(pool, block, is_own(pool));
    np_guard_give(pool, block);
    if (!has_heap())
        np_shared_give(pool, block);
    else
        np_heap_give_guarded(np_tls.heap, pool, block);
}

static np_cold void free_twice(void *block)
{
    np_panic_at("neap_free", "%p was freed twice", block);
}

/* Of a pool of ours with traced blocks. False: the hook is to be told, or the magazine is full. */
static bool free_traced(struct np_pool *pool, void *block)
{
    struct neap_magazine *magazine = pool->magazine;
    if (np_unlikely(magazine->first == block) || np_unlikely(magazine->rest == magazine->end) ||
        !np_trace_quick_freed(np_tls.heap, block, pool->block_bytes))
        return false;
    note_freed(pool, true);
    return np_magazine_give(magazine, block);
}

static np_noinline void free_slow(struct np_pool *pool, void *block)
{
    /* relaxed: as in neap_free */
    if (np_load_relaxed(&pool->key) ==
            (np_pool_key(np_tls.id, NP_POOL_UNTYPED) | NP_POOL_KEY_TRACED) &&
        free_traced(pool, block))
        return;
    np_check(np_load_relaxed(&pool->kind) == NP_POOL_UNTYPED && pool->capacity != 0,
             "%p is not a block of neap_alloc, or was freed already", block);
    /* relaxed: set before the block was handed out */
    if (np_unlikely(np_load_relaxed(&pool->traced) != 0)) {
        bool own = is_own(pool);
        if (own && pool->magazine->first == block)
            free_twice(block);
        tell_freed(pool, block, own);
    }
    if (!has_heap())
        np_shared_give(pool, block);
    else
        np_heap_give_slow(np_tls.heap, pool, block);
}

void neap_free(void *block)
{
    uintptr_t offset = (uintptr_t)block - region_base;
    if (np_unlikely(offset >= region_bytes)) {
        free_large(block);
        return;
    }
    struct np_pool *pool = &region_pools[offset >> NP_POOL_LOG2];
    if (NP_GUARD) {
        free_guarded(pool, block);
        return;
    }
    /* relaxed: the key can read as ours only if we wrote it */
    if (np_unlikely(np_load_relaxed(&pool->key) != np_pool_key(np_tls.id, NP_POOL_UNTYPED))) {
        free_slow(pool, block);
        return;
    }
    struct neap_magazine *magazine = pool->magazine;
    if (np_unlikely(magazine->first == block)) {
        free_twice(block);
        return;
    }
    if (np_unlikely(!np_magazine_give(magazine, block)))
        np_heap_give_slow(np_tls.heap, pool, block);
}

/* ---- the rest ---- */

size_t neap_usable_size(const void *block)
{
    if (block == NULL)
        return 0;
    if (np_region_has(block))
        return np_pool_of(block)->block_bytes - NP_GUARD_TAIL;
    return np_sample_has(block) ? np_sample_usable(block)
                                : np_large_of(block)->bytes - NP_GUARD_TAIL;
}

/* Large before and after: it may grow where it is. For the tracer a block of another size is
 * another block; when there is no memory the old one stays, as one that is not traced. */
static np_alloc_text void *resize_large(void *block, size_t bytes, const struct neap_site *site)
{
    struct np_large *large = np_large_of(block);
    if (np_load_relaxed(&large->trace) != 0) { /* relaxed: as in free_large */
        np_trace_hooks.freed(block);
        np_store_relaxed(&large->trace, 0u);
    }
    if (NP_GUARD)
        np_guard_unseal("neap_realloc", block, large->bytes);
    void *other = np_commit_outcome(np_large_resize(block, bytes));
    if (NP_GUARD)
        np_guard_seal(other != NULL ? other : block,
                      np_large_of(other != NULL ? other : block)->bytes);
    return traced(other, bytes, site);
}

np_alloc_text void *neap_realloc_at(void *block, size_t bytes, const struct neap_site *site)
{
    if (block == NULL)
        return neap_alloc_at(bytes, site);
    size_t before = neap_usable_size(block);
    bool is_large = !np_region_has(block) && !np_sample_has(block);
    np_check(!is_large || !np_large_of(block)->is_object, "%p is not a block of neap_alloc", block);
    if (bytes <= before && bytes > before / 2) {
        if (is_large)
            np_large_ask(block, with_tail(bytes));
        return block;
    }
    if (is_large && with_tail(bytes) > NP_SMALL_MAX)
        return resize_large(block, with_tail(bytes), site);
    void *other = neap_alloc_at(bytes, site);
    if (other == NULL)
        return NULL;
    memcpy(other, block, bytes < before ? bytes : before);
    neap_free(block);
    return other;
}

/* ---- without a site: the functions behind the macros ---- */

#undef neap_alloc
#undef neap_calloc
#undef neap_realloc
#undef neap_aligned_alloc

np_alloc_text void *neap_alloc(size_t bytes)
{
    return guarded(take(with_tail(bytes), NULL, true));
}

np_alloc_text void *neap_calloc(size_t count, size_t bytes)
{
    return neap_calloc_at(count, bytes, np_site_of_code(__builtin_return_address(0)));
}

np_alloc_text void *neap_realloc(void *block, size_t bytes)
{
    return neap_realloc_at(block, bytes, np_site_of_code(__builtin_return_address(0)));
}

np_alloc_text void *neap_aligned_alloc(size_t alignment, size_t bytes)
{
    return neap_aligned_alloc_at(alignment, bytes, np_site_of_code(__builtin_return_address(0)));
}

size_t neap_trim(void)
{
    return np_alloc_ready() ? np_alloc_trim() : 0;
}
