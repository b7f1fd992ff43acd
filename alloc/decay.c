/* SPDX-License-Identifier: MIT
 *
 * Giving memory back. The pools on their way are out of both bitmaps while madvise runs without the
 * lock, so nobody waits for the system; each run of neighbours is one call, a whole arena too. */
#include "alloc/arena_own.h"
#include "alloc/large.h"
#include "alloc/large_backend.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "alloc/shared.h"
#include "alloc/stats.h"
#include "base/options.h"
#include "base/os.h"
#include "base/tls.h"

static bool is_set(const uint64_t *bits, unsigned i)
{
    return i < NP_ARENA_POOLS && (bits[i / 64] >> i % 64 & 1) != 0;
}

static void give_back_runs(char *memory, const uint64_t *bits)
{
    for (unsigned i = 0; i < NP_ARENA_POOLS; i++) {
        unsigned first = i;
        while (is_set(bits, i))
            i++;
        if (i > first)
            np_os_give_back(memory + first * NP_POOL_BYTES, (i - first) * NP_POOL_BYTES);
    }
}

const struct np_arena_limits np_arena_all = {UINT64_MAX, 0, UINT64_MAX};

static bool is_to_go(const struct np_arena *arena, const struct np_arena_limits *limits)
{
    return arena->changed_ns <= limits->before_ns ||
           np_arena_idle_bytes_locked() > limits->keep_bytes;
}

size_t np_arena_release(const struct np_arena_limits *limits, uint64_t *ret_oldest_ns)
{
    size_t released = 0;
    np_arena_lock();
    struct np_arena *arena;
    while ((arena = np_arena_idle_first()) != NULL && released < limits->most_bytes &&
           is_to_go(arena, limits)) {
        uint64_t bits[NP_ARENA_WORDS];
        unsigned count = np_arena_detach_idle_locked(arena, bits);
        char *memory = np_arena_memory(arena);
        np_arena_unlock();
        give_back_runs(memory, bits);
        np_uncommit(count * NP_POOL_BYTES);
        released += count * NP_POOL_BYTES;
        np_arena_lock();
        np_arena_attach_returned_locked(arena, bits, count);
    }
    *ret_oldest_ns = arena != NULL ? arena->changed_ns : UINT64_MAX;
    np_arena_unlock();
    return released;
}

static bool has_heap(void)
{
    return np_tls.heap != NULL && np_tls.id != NEAP_OWNER_NOBODY;
}

bool np_commit_hard(size_t bytes)
{
    uint64_t unused;
    if (np_commit(bytes))
        return true;
    if (has_heap())
        np_large_cache_flush(np_tls.heap);
    np_large_reclaim();
    np_arena_sweep();
    np_arena_release(&np_arena_all, &unused);
    return np_commit(bytes);
}

/* ---- caches of threads that do nothing ---- */

static bool has_cached(const struct np_heap *heap)
{
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++)
        if (np_magazine_length(heap, i) > 0)
            return true;
    /* relaxed: a hint */
    return np_large_cached_bytes(heap) > 0 || np_load_relaxed(&heap->own->quarantine.count) > 0;
}

/* A heap that took no slow path since the last look is idle: what it caches goes home, if its
 * thread sleeps; else it is asked to poll. */
static void settle_idle(struct np_heap *heap, void *at_once)
{
    if (heap->id == 0 || heap == np_tls.heap)
        return;
    uint64_t activity = np_load_relaxed(&heap->own->activity); /* relaxed: a hint */
    bool is_idle = at_once != NULL || activity == np_load_relaxed(&heap->own->activity_seen);
    np_store_relaxed(&heap->own->activity_seen, activity);
    if (is_idle && has_cached(heap))
        np_hooks()->claim(heap->id, np_heap_settle);
    else if (np_heap_has_remote(heap))
        np_hooks()->claim(heap->id, np_heap_drain_claimed);
}

static void settle_own(void)
{
    np_heap_drain_remote(np_tls.heap);
    np_heap_empty_stash(np_tls.heap, false);
    np_heap_flush_outgoing(np_tls.heap);
    np_heap_flush_magazines(np_tls.heap);
    np_heap_release_spares(np_tls.heap);
}

uint64_t np_alloc_trim(void)
{
    uint64_t unused;
    np_shared_settle();
    if (has_heap()) {
        if (np_hooks()->claim != NULL) {
            np_heap_each(settle_idle, np_tls.heap);
            np_heap_redistribute(np_tls.heap);
        }
        settle_own();
    }
    np_large_reclaim();
    np_arena_sweep();
    np_backend_trim();
    return np_arena_release(&np_arena_all, &unused);
}

static bool wanted;          /* (x) something became idle since the last decay */
static unsigned quiet_ticks; /* (x) decays since then */

void np_decay_want(void)
{
    void (*idle)(void) = np_hooks()->idle;
    /* relaxed, both: at worst the hook is called twice; the next decay looks for itself */
    if (np_load_relaxed(&wanted) || idle == NULL)
        return;
    np_store_relaxed(&wanted, true);
    idle();
}

/* The heap may still have to be settled: its thread has been active, or could not be claimed. */
static void note_cached(struct np_heap *heap, void *arg)
{
    bool *ret_cached = arg;
    *ret_cached |= has_cached(heap) || np_heap_has_remote(heap);
}

/* The system takes a GiB back in 70 to 300 ms (docs/alloc.md, "Giving back"). So what is
 * idle beyond 2 MiB for each of the decay_ms does not wait for them to pass, or a burst of
 * gigabytes would only begin to go when it should be gone. A call gives back what takes a few
 * milliseconds: its thread is to reach a stop point. */
enum { AT_ONCE_BEYOND_PER_MS = 2 << 20, MOST_PER_CALL = 16 << 20 };

uint64_t np_alloc_decay(uint64_t now_ns)
{
    enum { MS = 1000000, QUIET_ENOUGH = 3 }; /* the backend's decay is spread over one period */
    uint64_t decay_ns = np_options.decay_ms * MS, oldest_ns = now_ns;
    const struct np_arena_limits limits = {
        .before_ns = now_ns >= decay_ns ? now_ns - decay_ns : 0,
        .keep_bytes = np_options.decay_ms * AT_ONCE_BEYOND_PER_MS,
        .most_bytes = MOST_PER_CALL,
    };
    unsigned quiet = np_load_relaxed(&wanted) ? 0 : np_load_relaxed(&quiet_ticks);
    np_store_relaxed(&wanted, false);
    np_store_relaxed(&quiet_ticks, quiet < QUIET_ENOUGH ? quiet + 1 : quiet);
    np_shared_settle();
    if (has_heap() && np_hooks()->claim != NULL) {
        np_heap_each(settle_idle, NULL);
        np_heap_redistribute(np_tls.heap);
        np_heap_flush_outgoing(np_tls.heap);
    }
    np_large_reclaim();
    np_arena_sweep();
    np_backend_decay();
    if (np_arena_release(&limits, &oldest_ns) >= MOST_PER_CALL) {
        np_store_relaxed(&wanted, true); /* relaxed: as in np_decay_want; this call found some */
        return 0;
    }
    uint64_t due_ns = UINT64_MAX, least_ns = decay_ns / 4 > MS ? decay_ns / 4 : MS;
    bool cached = false;
    np_heap_each(note_cached, &cached);
    if (oldest_ns != UINT64_MAX)
        due_ns = oldest_ns + decay_ns > now_ns ? oldest_ns + decay_ns - now_ns : 0;
    else if (quiet < QUIET_ENOUGH || np_arena_has_waiting() || cached)
        due_ns = decay_ns;
    return due_ns > least_ns ? due_ns : least_ns;
}
