/* SPDX-License-Identifier: MIT
 *
 * Large blocks from a region of our own: no jemalloc, no initial-exec storage but our own 64 bytes,
 * so that libneap can be loaded by dlopen.
 *
 * The region is one reservation, cut into spans of 64-byte units that lie side by side, each behind
 * 16 bytes of header. Free spans are on lists by size, sixteen lists to a power of two, and two
 * levels of bitmaps find the first list that surely fits in constant time (the scheme of Masmano
 * and others' "two-level segregated fit"). What lies beyond the last span ever used is one free
 * span too, the largest, so it is used last.
 *
 * A free span is clean when its whole pages have no memory behind them: then they read as zero.
 * Only neighbours that are both clean, or both not, are joined. Spans that are not clean and hold
 * whole pages are on the idle list in the order of their freeing; after decay_ms their pages go
 * back, they are clean, and join. All of it is madvise: the region stays one mapping.
 *
 * Concurrency: one lock, held for a few list operations and, where two clean spans join, for a
 * madvise of a page or two. Everything below is (L). */
#include "alloc/large_backend.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/options.h"
#include "base/os.h"
#include "base/queue.h"

enum { UNIT = 64, HEADER = 16, LISTS = 16, GROUPS = 44 };
enum { FREE = 1, BEFORE_FREE = 2, CLEAN = 4, FLAGS = UNIT - 1 };

#ifdef NP_TSAN
#    define RESERVE_MOST ((size_t)64 << 30)
#else
#    define RESERVE_MOST SIZE_MAX
#endif

struct span {
    size_t before; /* bytes of the span in front, while that one is free */
    size_t size;   /* bytes, header included, and the flags of this one */
    /* while it is free, in what is the user's otherwise: */
    struct span *next, *prev;           /* spans of about this size */
    struct span *idle_next, *idle_prev; /* spans to be cleaned */
    uint64_t freed_ns;
};
_Static_assert(sizeof(struct span) <= UNIT, "the smallest span holds its links");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct span *lists[GROUPS][LISTS];
static uint16_t filled[GROUPS];
static uint64_t groups;
static struct span *idle_first, *idle_last;

/* ---- spans ---- */

static size_t size_of(const struct span *span)
{
    return span->size & ~(size_t)FLAGS;
}

static bool is_free(const struct span *span)
{
    return span->size & FREE;
}

static struct span *after(struct span *span)
{
    return (struct span *)(void *)((char *)span + size_of(span));
}

static struct span *before(struct span *span)
{
    return (struct span *)(void *)((char *)span - span->before);
}

static struct span *span_of(void *block)
{
    return (struct span *)(void *)((char *)block - HEADER);
}

/* The whole pages of a free span that hold neither its own record nor the next one's header. */
static size_t whole_pages(struct span *span, char **ret_first)
{
    uintptr_t page = np_os_page_bytes();
    uintptr_t first = ((uintptr_t)(span + 1) + page - 1) & ~(page - 1);
    uintptr_t end = (uintptr_t)after(span) & ~(page - 1);
    *ret_first = (char *)first;
    return end > first ? end - first : 0;
}

/* ---- lists by size ---- */

static void list_of(size_t size, unsigned *ret_group, unsigned *ret_list)
{
    size_t units = size / UNIT;
    if (units < LISTS) {
        *ret_group = 0;
        *ret_list = (unsigned)units;
        return;
    }
    unsigned log2 = 63u - (unsigned)__builtin_clzll(units);
    *ret_group = log2 - 3;
    *ret_list = (unsigned)(units >> (log2 - 4)) & (LISTS - 1);
}

static void idle_remove(struct span *span)
{
    *(span->idle_prev != NULL ? &span->idle_prev->idle_next : &idle_first) = span->idle_next;
    *(span->idle_next != NULL ? &span->idle_next->idle_prev : &idle_last) = span->idle_prev;
}

static void idle_append(struct span *span, uint64_t now_ns)
{
    span->freed_ns = now_ns;
    span->idle_next = NULL;
    span->idle_prev = idle_last;
    *(idle_last != NULL ? &idle_last->idle_next : &idle_first) = span;
    idle_last = span;
}

/* The span, marked in its neighbour's header, goes on its lists. clean: CLEAN or 0. */
static void insert(struct span *span, size_t clean, uint64_t now_ns)
{
    unsigned group, list;
    char *unused;
    size_t size = size_of(span);
    span->size = size | FREE | clean | (span->size & BEFORE_FREE);
    after(span)->before = size;
    after(span)->size |= BEFORE_FREE;
    list_of(size, &group, &list);
    span->prev = NULL;
    span->next = lists[group][list];
    if (span->next != NULL)
        span->next->prev = span;
    lists[group][list] = span;
    filled[group] |= (uint16_t)(1u << list);
    groups |= (uint64_t)1 << group;
    if (!clean && whole_pages(span, &unused) > 0)
        idle_append(span, now_ns);
}

static void take_out(struct span *span)
{
    unsigned group, list;
    char *unused;
    if (!(span->size & CLEAN) && whole_pages(span, &unused) > 0)
        idle_remove(span);
    list_of(size_of(span), &group, &list);
    *(span->prev != NULL ? &span->prev->next : &lists[group][list]) = span->next;
    if (span->next != NULL)
        span->next->prev = span->prev;
    if (lists[group][list] == NULL)
        filled[group] &= (uint16_t) ~(1u << list);
    if (filled[group] == 0)
        groups &= ~((uint64_t)1 << group);
    after(span)->size &= ~(size_t)BEFORE_FREE;
    span->size &= ~(size_t)FREE; /* CLEAN stays: the caller asks */
}

/* A free span of at least size bytes, off its lists, or NULL. */
static struct span *find(size_t size)
{
    unsigned group, list;
    if (size / UNIT >= LISTS) /* up to the next list's least, where anything fits */
        size += ((size_t)UNIT << (63u - (unsigned)__builtin_clzll(size / UNIT) - 4)) - UNIT;
    list_of(size, &group, &list);
    if (group >= GROUPS)
        return NULL;
    unsigned in_group = filled[group] & (0xFFFFu << list) & 0xFFFFu;
    if (in_group == 0) {
        uint64_t above = group + 1 < 64 ? groups & (~(uint64_t)0 << (group + 1)) : 0;
        if (above == 0)
            return NULL;
        group = (unsigned)__builtin_ctzll(above);
        in_group = filled[group];
    }
    struct span *span = lists[group][__builtin_ctz(in_group)];
    take_out(span);
    return span;
}

/* Two neighbours, both off their lists, become one. Where both are clean, the pages at their
 * border, where the second one's record was, go back as well. */
static void join(struct span *first, struct span *second, size_t clean)
{
    char *start, *joined_start, *second_start;
    size_t bytes = whole_pages(first, &start), second_bytes = whole_pages(second, &second_start);
    first->size = (size_of(first) + size_of(second)) | (first->size & BEFORE_FREE);
    if (!clean)
        return;
    size_t joined_bytes = whole_pages(first, &joined_start);
    char *from = bytes > 0 ? start + bytes : joined_start;
    char *to = second_bytes > 0 ? second_start : joined_start + joined_bytes;
    if (to > from)
        np_os_give_back(from, (size_t)(to - from));
}

/* A span that belongs to nobody becomes free, joined with neighbours of its kind. */
static void release(struct span *span, size_t clean, uint64_t now_ns)
{
    struct span *next = after(span);
    if (is_free(next) && (next->size & CLEAN) == clean) {
        take_out(next);
        join(span, next, clean);
    }
    if ((span->size & BEFORE_FREE) && (before(span)->size & CLEAN) == clean) {
        struct span *previous = before(span);
        take_out(previous);
        join(previous, span, clean);
        span = previous;
    }
    insert(span, clean, now_ns);
}

/* Cuts a span that is in use after size bytes; the rest becomes free, clean if this one was. */
static void cut(struct span *span, size_t size, size_t clean)
{
    size_t rest = size_of(span) - size;
    if (rest < UNIT)
        return;
    struct span *tail = (struct span *)(void *)((char *)span + size);
    span->size = size | (span->size & BEFORE_FREE);
    tail->size = rest;
    release(tail, clean, np_os_now_ns());
}

/* ---- the backend ---- */

bool np_backend_init(void)
{
    static bool made;
    if (made)
        return true;
    size_t bytes =
        np_options.heap_reserve_bytes < RESERVE_MOST ? np_options.heap_reserve_bytes : RESERVE_MOST;
    char *region = NULL;
    while (region == NULL && bytes >= (size_t)1 << 20) {
        bytes = bytes / 2 & ~(np_os_page_bytes() - 1);
        region = np_os_reserve(bytes, np_os_page_bytes());
    }
    if (region == NULL)
        return false;
    /* The first block is aligned to a unit; a header of nothing ends the row. */
    struct span *all = (struct span *)(void *)(region + UNIT - HEADER);
    size_t size = bytes - 2 * UNIT;
    ((struct span *)(void *)((char *)all + size))->size = 0;
    all->size = size;
    insert(all, CLEAN, 0);
    made = true;
    return true;
}

/* Zeroes a block of a span that was clean or not. */
static void zero(char *block, size_t bytes, bool was_clean)
{
    uintptr_t page = np_os_page_bytes();
    /* a free span's record reaches one unit beyond its start: that page was touched */
    char *first = (char *)(((uintptr_t)block + UNIT + page - 1) & ~(page - 1));
    char *end = (char *)(((uintptr_t)block + bytes) & ~(page - 1));
    if (!was_clean || first >= end) {
        memset(block, 0, bytes);
        return;
    }
    memset(block, 0, (size_t)(first - block));
    memset(end, 0, (size_t)(block + bytes - end));
}

void *np_backend_new(size_t bytes, size_t alignment, bool zeroed)
{
    size_t size = (bytes + HEADER + UNIT - 1) & ~(size_t)(UNIT - 1);
    size_t extra = alignment > UNIT ? alignment : 0;
    pthread_mutex_lock(&lock);
    struct span *span = find(size + extra);
    if (span == NULL) {
        pthread_mutex_unlock(&lock);
        return NULL;
    }
    size_t clean = span->size & CLEAN;
    span->size &= ~(size_t)CLEAN;
    if (extra != 0) {
        uintptr_t block = (uintptr_t)span + HEADER;
        size_t front = ((block + alignment - 1) & ~(uintptr_t)(alignment - 1)) - block;
        if (front > 0) {
            struct span *aligned = (struct span *)(void *)((char *)span + front);
            aligned->size = size_of(span) - front;
            span->size = front | (span->size & BEFORE_FREE);
            release(span, clean, np_os_now_ns());
            span = aligned;
        }
    }
    cut(span, size, clean);
    pthread_mutex_unlock(&lock);
    char *block = (char *)span + HEADER;
    if (zeroed)
        zero(block, bytes, clean != 0 && extra == 0);
    return block;
}

void np_backend_free(void *base, size_t bytes, size_t alignment)
{
    (void)bytes, (void)alignment;
    uint64_t now_ns = np_os_now_ns();
    pthread_mutex_lock(&lock);
    release(span_of(base), 0, now_ns);
    pthread_mutex_unlock(&lock);
}

static bool resize_in_place(struct span *span, size_t size)
{
    if (size > size_of(span)) {
        struct span *next = after(span);
        if (!is_free(next) || size_of(span) + size_of(next) < size)
            return false;
        size_t clean = next->size & CLEAN, joined = size_of(span) + size_of(next);
        take_out(next);
        span->size = joined | (span->size & BEFORE_FREE);
        cut(span, size, clean);
    } else {
        cut(span, size, 0);
    }
    return true;
}

void *np_backend_resize(void *base, size_t old_bytes, size_t bytes, size_t alignment)
{
    size_t size = (bytes + HEADER + UNIT - 1) & ~(size_t)(UNIT - 1);
    pthread_mutex_lock(&lock);
    bool resized = resize_in_place(span_of(base), size);
    pthread_mutex_unlock(&lock);
    if (resized)
        return base;
    void *block = np_backend_new(bytes, alignment, false);
    if (block == NULL)
        return NULL;
    memcpy(block, base, old_bytes < bytes ? old_bytes : bytes);
    np_backend_free(base, old_bytes, alignment);
    return block;
}

/* ---- giving back ---- */

static void clean_until(uint64_t before_ns)
{
    pthread_mutex_lock(&lock);
    while (idle_first != NULL && idle_first->freed_ns <= before_ns) {
        struct span *span = idle_first;
        char *first;
        size_t bytes = whole_pages(span, &first);
        take_out(span); /* as if in use: neighbours leave it alone */
        pthread_mutex_unlock(&lock);
        np_os_give_back(first, bytes);
        pthread_mutex_lock(&lock);
        release(span, CLEAN, 0);
    }
    pthread_mutex_unlock(&lock);
}

void np_backend_trim(void)
{
    clean_until(UINT64_MAX);
}

void np_backend_decay(void)
{
    uint64_t now_ns = np_os_now_ns(), decay_ns = np_options.decay_ms * 1000000;
    if (now_ns > decay_ns)
        clean_until(now_ns - decay_ns);
}

void np_backend_register(void)
{
}

void np_backend_before_fork(void)
{
    pthread_mutex_lock(&lock);
}

void np_backend_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}
