/* SPDX-License-Identifier: MIT
 *
 * neap: objects and counted references. An object lives until its last reference is released, at
 * once and on the thread that releases it when it owns the object (biased counting); a cycle lives
 * until the collector finds it.
 *
 *     struct node *n = neap_new(node);      one reference, yours
 *     struct node *m = neap_retain(n);      a second one
 *     neap_release(m);
 *     neap_release(n);                      n is gone
 *
 * A reference may be passed to another thread through any memory; both threads may retain and
 * release the object at any time. The bytes of an object are the program's to guard; its slots are
 * moved by <neap/slot.h>.
 *
 * neap_retain and neap_release are function calls by default, so that a program need not be
 * compiled again with a new neap. With NEAP_INLINE defined before the first include they, and
 * neap_new, are inline and depend on <neap/header.h>.
 */
#ifndef NEAP_OBJECT_H
#define NEAP_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include <neap/export.h>
#include <neap/header.h>
#include <neap/site.h>
#include <neap/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new object with one reference, owned by the caller, its bytes zero; extra_bytes follow the
 * struct. Panics when the thread is not attached; returns NULL after neap_shutdown.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD void *neap_object_new(const struct neap_type *type, size_t extra_bytes);

/* The same for count structs in a row that live and die as one object; neap_length gives the count.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD void *neap_object_new_array(const struct neap_type *type, size_t count);

/* The two above for a caller that says where in its source the object is made.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD void *
neap_object_new_at(const struct neap_type *type, size_t extra_bytes, const struct neap_site *site);

/* refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD void *
neap_object_new_array_at(const struct neap_type *type, size_t count, const struct neap_site *site);

/* A new object of type T (NEAP_DEFINE_TYPE), with one reference, the caller's, its bytes zero.
 * Panics when the thread is not attached; returns NULL after neap_shutdown.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
#define neap_new(T) ((struct T *)neap_new_(&neap_typeof_##T, sizeof(struct T), NEAP_HERE))
/* The same with so many bytes more behind the struct, for its flexible array member.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
#define neap_new_extra(T, bytes) \
    ((struct T *)neap_object_new_at(&neap_typeof_##T, (bytes), NEAP_HERE))
/* The same for count structs in a row that live and die as one object; neap_length gives the count.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
#define neap_new_array(T, count) \
    ((struct T *)neap_object_new_array_at(&neap_typeof_##T, (count), NEAP_HERE))

/* Elements of an object made by neap_new_array; 1 for any other.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_length(const void *object);

/* Counts one more reference; NULL is fine. neap_retain(p) returns p with its type.
 * refs: new | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_object_retain(const void *object);

/* Gives one reference back; NULL is fine. The last one finalizes, disposes of and frees the object
 * and, up to option release_budget, what it alone held; inside a dispose or finalize it only
 * queues.
 * refs: steals | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_object_release(const void *object);

/* The inline fast paths' other halves. Not for direct use.
 * refs: new | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_retain_slow(const void *object);
/* refs: steals | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_release_slow(const void *object);
/* refs: steals | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_release_last(const void *object);

/* Counts change by one instruction where that is known: no compiler makes one of a relaxed load and
 * store. ThreadSanitizer has to see both. */
#if defined(__SANITIZE_THREAD__)
#    define NEAP_ONE_INSTRUCTION_ 0
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define NEAP_ONE_INSTRUCTION_ 0
#    endif
#endif
#ifndef NEAP_ONE_INSTRUCTION_
#    if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__)
#        define NEAP_ONE_INSTRUCTION_ 1
#    else
#        define NEAP_ONE_INSTRUCTION_ 0
#    endif
#endif

/* The owner's count up or down by one; whether it has run over, or is 0 now. Relaxed: the caller's
 * to write, others read it as a hint. */
static inline bool neap_local_up_(struct neap_header *header)
{
#if NEAP_ONE_INSTRUCTION_
    bool over;
    __asm__("addl $1, %0" : "+m"(header->local), "=@ccs"(over));
    return over;
#else
    uint32_t local = __atomic_load_n(&header->local, __ATOMIC_RELAXED) + 1;
    __atomic_store_n(&header->local, local, __ATOMIC_RELAXED);
    return (int32_t)local < 0;
#endif
}

static inline bool neap_local_down_(struct neap_header *header)
{
#if NEAP_ONE_INSTRUCTION_
    bool last;
    __asm__("subl $1, %0" : "+m"(header->local), "=@ccz"(last));
    return last;
#else
    uint32_t local = __atomic_load_n(&header->local, __ATOMIC_RELAXED) - 1;
    __atomic_store_n(&header->local, local, __ATOMIC_RELAXED);
    return local == 0;
#endif
}

/* Counts down by bytes; whether it is below zero now. Relaxed: the caller's to write, others read
 * it as a figure. */
static inline bool neap_left_down_(int64_t *left, size_t bytes)
{
#if NEAP_ONE_INSTRUCTION_
    bool below;
    __asm__("subq %2, %0" : "+m"(*left), "=@ccs"(below) : "er"(bytes) : "cc");
    return below;
#else
    int64_t now = __atomic_load_n(left, __ATOMIC_RELAXED) - (int64_t)bytes;
    __atomic_store_n(left, now, __ATOMIC_RELAXED);
    return now < 0;
#endif
}

/* Takes the magazine's first block. */
static inline void neap_magazine_pop_(struct neap_magazine *magazine)
{
    void **rest = magazine->rest;
    magazine->first = *rest;
    __atomic_store_n(&magazine->rest, rest - 1, __ATOMIC_RELAXED); /* relaxed: statistics read it */
}

/* A block for an object of the type with so many bytes, its header written, the bytes as they
 * were; NULL when that takes more than popping a magazine: the type's first object, a large one,
 * nothing in the magazine, the tracer's turn, an unattached thread, a build with guards. */
static inline struct neap_header *neap_new_header_(const struct neap_type *type, size_t bytes)
{
    struct neap_cache *cache = neap_thread_local.cache;
    /* [MM-type-3] acquire: the type's other fields are seen with it; pairs with the release in
     * type.c */
    uint32_t offset = __atomic_load_n(&type->cache_offset, __ATOMIC_ACQUIRE);
    struct neap_magazine *magazine =
        (struct neap_magazine *)(void *)((char *)cache->magazines + offset);
    uint64_t *header = (uint64_t *)magazine->first;
    if (__builtin_expect(header == NULL, 0))
        return NULL;
    if (__builtin_expect(neap_left_down_(&cache->trace_left, bytes), 0)) {
        (void)neap_left_down_(&cache->trace_left, -bytes);
        return NULL;
    }
    neap_magazine_pop_(magazine);
    uint64_t word0 = (uint64_t)1 | (uint64_t)neap_thread_local.id << 32 | type->birth;
    /* relaxed: [MM-birth] nobody can acquire the object until it is published with release */
    __atomic_store_n(header + 1, (uint64_t)type->index << 32, __ATOMIC_RELAXED);
    __atomic_store_n(header, word0, __ATOMIC_RELAXED);
    return (struct neap_header *)(void *)header;
}

/* neap_object_new_at for a size that the compiler knows: the bytes are zeroed in place. */
static inline void *neap_new_inline(const struct neap_type *type, size_t bytes,
                                    const struct neap_site *site)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (bytes > 496) /* in no magazine */
        return neap_object_new_at(type, 0, site);
    struct neap_header *header = neap_new_header_(type, bytes);
    if (__builtin_expect(header == NULL, 0))
        return neap_object_new_at(type, 0, site);
    return __builtin_memset(header + 1, 0, bytes);
}

/* A cell is this thread's; others read it as a hint, or while it is stopped. */
static inline void neap_cell_add_(int64_t *cell, int64_t delta)
{
#if NEAP_ONE_INSTRUCTION_
    __asm__("addq %1, %0" : "+m"(*cell) : "er"(delta) : "cc");
#else
    /* relaxed: ours to write */
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + delta, __ATOMIC_RELAXED);
#endif
}

/* Counts a deferred object in the calling thread's cell; false: it is not deferred, or the caller
 * may not. */
static inline bool neap_count_deferred_(struct neap_header *header, uint16_t owner, int64_t delta)
{
    if (owner != NEAP_OWNER_DEFERRED || neap_thread_local.id == NEAP_OWNER_NOBODY)
        return false;
        /* [MM-defer-2] acquire: the index is seen with the owner; pairs with the release in
         * neap_defer. Where loads keep their order it is the compiler that is told */
#if NEAP_ONE_INSTRUCTION_
    __atomic_signal_fence(__ATOMIC_ACQUIRE);
#else
    (void)__atomic_load_n(&header->owner, __ATOMIC_ACQUIRE);
#endif
    /* relaxed: it does not change while the object is deferred */
    neap_cell_add_(&neap_thread_local.cells[__atomic_load_n(&header->local, __ATOMIC_RELAXED)],
                   delta);
    return true;
}

/* The owner's count goes up by a plain add. */
static inline void neap_retain_inline(const void *object)
{
    if (__builtin_expect(object == NULL, 0))
        return;
    struct neap_header *header = neap_header_of(object);
    /* relaxed: equal to our id only if we wrote it; local is ours to write, others read a hint */
    uint16_t owner = __atomic_load_n(&header->owner, __ATOMIC_RELAXED);
    if (__builtin_expect(owner == neap_thread_local.id, 1)) {
        if (__builtin_expect(!neap_local_up_(header), 1))
            return;
    } else if (neap_count_deferred_(header, owner, 1)) {
        return;
    }
    neap_retain_slow(object);
}

/* The owner's count goes down by a plain subtract; at zero the out-of-line half decides. */
static inline void neap_release_inline(const void *object)
{
    if (__builtin_expect(object == NULL, 0))
        return;
    struct neap_header *header = neap_header_of(object);
    /* relaxed: as in neap_retain_inline */
    uint16_t owner = __atomic_load_n(&header->owner, __ATOMIC_RELAXED);
    if (__builtin_expect(owner == neap_thread_local.id, 1)) {
        if (__builtin_expect(neap_local_down_(header), 0))
            neap_release_last(object);
        return;
    }
    if (!neap_count_deferred_(header, owner, -1))
        neap_release_slow(object);
}

#ifdef NEAP_INLINE
#    define neap_retain_(object)         neap_retain_inline(object)
#    define neap_release(object)         neap_release_inline(object)
#    define neap_new_(type, bytes, site) neap_new_inline(type, bytes, site)
#else
#    define neap_retain_(object)         neap_object_retain(object)
#    define neap_release(object)         neap_object_release(object)
#    define neap_new_(type, bytes, site) neap_object_new_at(type, 0, site)
#endif

#define neap_retain(object) \
    __extension__({ \
        __auto_type neap_retained_ = (object); \
        neap_retain_(neap_retained_); \
        neap_retained_; \
    })

/* The number of references, the caller's included; exact when nobody else changes it.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_refcount(const void *object);

/* Bytes of the object's block, its header included (sys.getsizeof).
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_size_of(const void *object);

/* The type; NULL for NULL.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC const struct neap_type *neap_type_of(const void *object);

/* Does the object have type T? NULL has none. */
#define neap_is(object, T) (neap_type_of(object) == &neap_typeof_##T)

/* Does the collector look at the object? Types without slots are never tracked.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC bool neap_is_tracked(const void *object);

/* Has the object's finalizer run?
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC bool neap_is_finalized(const void *object);

#ifdef __cplusplus
}
#endif

#endif
