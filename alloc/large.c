/* SPDX-License-Identifier: MIT
 *
 * Large blocks: the prefix, the list of those that are objects, and waiting for grace periods.
 *
 * Untyped blocks are on no list and take no lock of ours. Counting is by heap, as for small blocks;
 * threads without a heap count under the lock.
 *
 * An address is used again only through the cache of the thread that freed it, or through the
 * backend, whose lock orders one life after the other. */
#include "alloc/large.h"

#include <pthread.h>
#include <string.h>

#include "alloc/guard.h"
#include "alloc/large_backend.h"
#include "alloc/large_cache.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "base/check.h"
#include "base/shadow.h"
#include "base/tls.h"

enum { BACKEND_ALIGNMENT = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_list all = {&all, &all};             /* (L) objects, newest first */
static struct np_list waiting = {&waiting, &waiting}; /* (L) oldest tag first */
static struct np_large_counts counts;                 /* (L) of threads without a heap; waiting */
static uint64_t waiting_hint;                         /* (L, x) blocks in waiting */

bool np_large_init(void)
{
    np_large_cache_init();
    return np_backend_init();
}

void np_large_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_large_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

struct np_list *np_large_all(void)
{
    return &all;
}

/* ---- walking ---- */

/* Where the walk has come to: on the list, and no object. */
static struct np_large place = {.link = {&place.link, &place.link}}; /* (L) */

void np_large_walk_begin(void)
{
    np_large_lock();
    place.mark = 0;
    np_list_remove(&place.link);
    np_list_push_front(&all, &place.link);
    np_large_unlock();
}

bool np_large_walk(size_t most, void (*visit)(struct np_large *large, void *arg), void *arg)
{
    np_large_lock();
    struct np_list *node = place.link.next;
    np_list_remove(&place.link);
    for (; node != &all && most > 0; node = node->next, most--) {
        struct np_large *large = np_container_of(node, struct np_large, link);
        visit(large, arg);
        place.mark = large->mark; /* as old as its neighbour: universe.c walks by age */
    }
    bool more = node != &all;
    if (more)
        np_list_push_back(node, &place.link); /* in front of it */
    np_large_unlock();
    return more;
}

void np_large_walk_end(void)
{
    np_large_lock();
    np_list_remove(&place.link);
    np_large_unlock();
}

/* ---- counting ---- */

static inline struct np_heap *own_heap(void)
{
    return np_tls.id != NEAP_OWNER_NOBODY ? np_tls.heap : NULL;
}

static np_noinline void count_unattached(const struct np_large *large, int64_t sign)
{
    np_large_lock();
    counts.blocks[large->is_object] += (uint64_t)sign;
    counts.bytes[large->is_object] += (uint64_t)(sign * (int64_t)large->bytes);
    counts.slack_bytes += (uint64_t)(sign * (int64_t)large->slack);
    np_large_unlock();
}

/* heap: own_heap(). */
static inline void count(struct np_heap *heap, const struct np_large *large, int64_t sign)
{
    if (np_unlikely(heap == NULL)) {
        count_unattached(large, sign);
        return;
    }
    struct np_heap_own *own = heap->own;
    np_count_add(&own->large_blocks[large->is_object], sign);
    np_count_add(&own->large_bytes[large->is_object], sign * (int64_t)large->bytes);
    np_count_add(&own->large_slack, sign * (int64_t)large->slack);
    if (large->is_object && sign > 0 && np_large_is_due(heap))
        heap->debt = true;
}

bool np_large_is_due(const struct np_heap *heap)
{
    return heap->own->large_bytes[1] >= heap->own->large_due; /* ours */
}

void np_large_set_due(struct np_heap *heap, int64_t more)
{
    heap->own->large_due = heap->own->large_bytes[1] + more;
}

static void count_heap(struct np_heap *heap, void *arg)
{
    struct np_large_counts *ret_counts = arg;
    for (unsigned i = 0; i < 2; i++) {
        /* relaxed: statistics of running threads */
        ret_counts->blocks[i] += (uint64_t)np_load_relaxed(&heap->own->large_blocks[i]);
        ret_counts->bytes[i] += (uint64_t)np_load_relaxed(&heap->own->large_bytes[i]);
    }
    ret_counts->slack_bytes += (uint64_t)np_load_relaxed(&heap->own->large_slack); /* the same */
    ret_counts->cached_bytes += np_large_cached_bytes(heap);
}

void np_large_count(struct np_large_counts *ret_counts)
{
    np_large_lock();
    *ret_counts = counts;
    np_large_unlock();
    np_heap_each(count_heap, ret_counts);
}

/* ---- geometry ---- */

static size_t whole_bytes(const struct np_large *large)
{
    return large->offset + large->bytes;
}

static char *base_of(struct np_large *large)
{
    return (char *)(large + 1) - large->offset;
}

static size_t alignment_of(const struct np_large *large)
{
    return (size_t)1 << large->alignment_log2;
}

static size_t backend_alignment(size_t alignment)
{
    return alignment > BACKEND_ALIGNMENT ? alignment : BACKEND_ALIGNMENT;
}

/* Bytes to ask the backend for, and where the block starts in them; false: more than there can be.
 */
static inline bool measure(size_t bytes, size_t alignment, bool is_object, size_t *ret_offset,
                           size_t *ret_total)
{
    size_t prefix = is_object ? NP_LARGE_OBJECT_PREFIX : NP_LARGE_UNTYPED_PREFIX;
    *ret_offset = alignment > prefix ? alignment : prefix;
    if (np_unlikely(bytes > PTRDIFF_MAX - 2 * *ret_offset - 16))
        return false;
    *ret_total = ((bytes + 15) & ~(size_t)15) + *ret_offset;
    if (*ret_total <= NP_LARGE_CACHED_MOST)
        *ret_total = np_large_step_bytes(np_large_step(*ret_total));
    return true;
}

static inline bool is_cacheable(size_t total, size_t alignment)
{
    return total <= NP_LARGE_CACHED_MOST && alignment <= BACKEND_ALIGNMENT;
}

/* In builds with guards what is freed cannot be touched, but for an object's header, until another
 * gets it or the backend. */
static void hide(const struct np_large *large)
{
    if (NP_GUARD) {
        size_t offset = large->is_object ? NP_GUARD_HEADER : 0;
        np_shadow_hide((const char *)(large + 1) + offset, large->bytes - offset);
    }
}

static void show(const void *base, size_t total)
{
    if (NP_GUARD)
        np_shadow_show(base, total);
}

/* ---- making ---- */

static void *make(size_t total, size_t alignment, bool zero)
{
    if (np_may_fail() || !np_commit_hard(total))
        return NULL;
    void *base = np_backend_new(total, backend_alignment(alignment), zero);
    if (base == NULL)
        np_uncommit(total);
    return base;
}

/* asked: of the block's bytes. */
static inline struct np_large *begin(char *base, size_t total, size_t offset, size_t asked,
                                     size_t alignment, bool is_object)
{
    struct np_large *large = (struct np_large *)(void *)(base + offset) - 1;
    large->bytes = total - offset;
    large->slack = total - offset - asked;
    large->offset = (uint32_t)offset;
    large->alignment_log2 = (uint8_t)__builtin_ctzll(alignment);
    large->is_object = is_object;
    np_store_relaxed(&large->trace, 0u); /* relaxed: nobody has the block yet */
    large->live = np_large_seal(large + 1);
    return large;
}

static void list(struct np_large *large)
{
    large->counter = large->mark = 0;
    np_large_lock();
    np_list_push_front(&all, &large->link);
    np_large_unlock();
}

void *np_large_new(size_t bytes, size_t alignment, bool is_object, bool zero)
{
    size_t offset, total;
    if (!measure(bytes, alignment, is_object, &offset, &total))
        return NULL;
    struct np_heap *heap = own_heap();
    char *base = NULL;
    if (heap != NULL && is_cacheable(total, alignment))
        base = np_large_cache_take(&heap->own->large, np_large_step(total));
    if (np_likely(base != NULL)) {
        show(base, total);
        if (zero)
            memset(base + offset, 0, total - offset);
    } else if ((base = make(total, alignment, zero)) == NULL) {
        return NULL;
    }
    struct np_large *large = begin(base, total, offset, bytes, alignment, is_object);
    if (is_object)
        list(large);
    count(heap, large, 1);
    return large + 1;
}

/* ---- freeing ---- */

static void give_back(void *base, size_t total, size_t alignment)
{
    show(base, total);
    np_backend_free(base, total, backend_alignment(alignment));
    np_uncommit(total);
    np_decay_want();
}

void np_large_give_back(void *base, size_t total)
{
    give_back(base, total, BACKEND_ALIGNMENT);
}

static inline void keep_or_give_back(struct np_large *large)
{
    size_t total = whole_bytes(large), alignment = alignment_of(large);
    char *base = base_of(large);
    struct np_heap *heap = own_heap();
    if (np_unlikely(heap == NULL || !is_cacheable(total, alignment) || heap->own->closed ||
                    np_alloc_single_step() ||
                    !np_large_cache_give(&heap->own->large, base, np_large_step(total))))
        give_back(base, total, alignment);
}

/* Prefixes of objects are checked against their neighbours on the list as well. */
static inline void check_live(const struct np_large *large)
{
    np_check(np_large_is_live(large), "%p was freed twice, or is not a block of neap",
             (const void *)(large + 1));
}

void np_large_free(void *block, bool wait_grace)
{
    struct np_large *large = np_large_of(block);
    check_live(large);
    large->live = 0;
    hide(large);
    count(own_heap(), large, -1);
    if (large->is_object) {
        const struct np_alloc_hooks *hooks = np_hooks();
        uint64_t tag = wait_grace && hooks->clock_tag != NULL ? hooks->clock_tag() : 0;
        np_large_lock();
        np_check(large->link.next->prev == &large->link && large->link.prev->next == &large->link,
                 "%p: what is in front of the object was written over", block);
        np_list_remove(&large->link);
        if (wait_grace) {
            large->grace = tag;
            np_list_push_back(&waiting, &large->link);
            counts.waiting_bytes += large->bytes;
            np_store_relaxed(&waiting_hint, waiting_hint + 1); /* relaxed: a hint */
        }
        np_large_unlock();
        if (wait_grace) {
            np_decay_want();
            return;
        }
    }
    keep_or_give_back(large);
}

/* The oldest waiting block if its time has come; else asks for its time to come. */
static struct np_large *next_passed(const struct np_alloc_hooks *hooks)
{
    struct np_large *large = NULL;
    np_large_lock();
    if (!np_list_empty(&waiting)) {
        struct np_large *first = np_container_of(waiting.next, struct np_large, link);
        if (hooks->clock_passed == NULL || hooks->clock_passed(first->grace)) {
            np_list_remove(&first->link);
            counts.waiting_bytes -= first->bytes;
            np_store_relaxed(&waiting_hint, waiting_hint - 1); /* relaxed: a hint */
            large = first;
        } else if (hooks->clock_ask != NULL) {
            hooks->clock_ask(first->grace);
        }
    }
    np_large_unlock();
    return large;
}

void np_large_reclaim(void)
{
    const struct np_alloc_hooks *hooks = np_hooks();
    struct np_large *large;
    while (np_load_relaxed(&waiting_hint) != 0 && (large = next_passed(hooks)) != NULL)
        keep_or_give_back(large);
}

/* ---- another size ---- */

void np_large_ask(void *block, size_t bytes)
{
    struct np_large *large = np_large_of(block);
    check_live(large);
    count(own_heap(), large, -1);
    large->slack = large->bytes - bytes;
    count(own_heap(), large, 1);
}

/* Between blocks that the backend holds alone: it may grow them where they are. */
static void *resize_in_backend(struct np_large *large, size_t offset, size_t total, size_t asked)
{
    size_t before = whole_bytes(large), asked_before = large->bytes - large->slack;
    if (np_may_fail() || (total > before && !np_commit_hard(total - before)))
        return NULL;
    count(own_heap(), large, -1);
    size_t alignment = alignment_of(large);
    large->live = 0;
    char *old = base_of(large);
    char *base = np_backend_resize(old, before, total, backend_alignment(alignment));
    large = base != NULL ? begin(base, total, offset, asked, alignment, false)
                         : begin(old, before, offset, asked_before, alignment, false);
    if (base != NULL ? total < before : total > before)
        np_uncommit(base != NULL ? before - total : total - before);
    count(own_heap(), large, 1);
    return base != NULL ? (void *)(large + 1) : NULL;
}

void *np_large_resize(void *block, size_t bytes)
{
    struct np_large *large = np_large_of(block);
    size_t offset, total, before = whole_bytes(large);
    check_live(large);
    np_assert(!large->is_object);
    if (!measure(bytes, alignment_of(large), false, &offset, &total))
        return NULL;
    if (total == before) {
        np_large_ask(block, bytes);
        return block;
    }
    if (total > NP_LARGE_CACHED_MOST && before > NP_LARGE_CACHED_MOST)
        return resize_in_backend(large, offset, total, bytes);
    void *other = np_large_new(bytes, alignment_of(large), false, false);
    if (other == NULL)
        return NULL;
    memcpy(other, block, bytes < large->bytes ? bytes : large->bytes);
    np_large_free(block, false);
    return other;
}
