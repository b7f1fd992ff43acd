/* SPDX-License-Identifier: MIT
 *
 * Start and end. The allocator starts with the first neap_init or the first untyped block,
 * whichever comes first, and its reservations stay for the life of the process: untyped blocks may
 * be made before neap_init and freed after neap_shutdown. */
#include <pthread.h>

#include "alloc/arena.h"
#include "alloc/guard.h"
#include "alloc/large.h"
#include "alloc/large_backend.h"
#include "alloc/meta.h"
#include "alloc/own.h"
#include "alloc/sample.h"
#include "alloc/shared.h"
#include "alloc/stats.h"
#include "base/options.h"
#include "base/os.h"

/* ThreadSanitizer keeps four bytes or more for each byte of ours. */
#ifdef NP_TSAN
#    define RESERVE_MOST ((uint64_t)64 << 30)
#else
#    define RESERVE_MOST UINT64_MAX
#endif

static const struct np_alloc_hooks none;
static const struct np_alloc_hooks *hooks_now = &none; /* (x) */
static bool single_step;                               /* (x) */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool ready; /* (L, x) */

const struct np_alloc_hooks *np_hooks(void)
{
    /* relaxed: a constant struct, made before any thread of the runtime */
    return np_load_relaxed(&hooks_now);
}

bool np_alloc_single_step(void)
{
    return np_load_relaxed(&single_step); /* relaxed: set before any thread of the runtime */
}

static bool start_locked(uint64_t reserve_bytes)
{
    if (ready)
        return true;
    np_size_class_init();
    if (reserve_bytes > RESERVE_MOST)
        reserve_bytes = RESERVE_MOST;
    if (np_region.bytes == 0 && !np_arena_init(reserve_bytes))
        return false;
    np_untyped_init();
    if (NP_GUARD)
        np_guard_init();
    if (!np_large_init() || !np_shared_init())
        return false;
    /* [MM-ready-1] release: the region, the class table and the shared heap are seen made */
    np_store_release(&ready, true);
    return true;
}

static np_noinline bool start(void)
{
    static const struct neap_options defaults = NEAP_OPTIONS_INIT;
    pthread_mutex_lock(&lock);
    bool started = start_locked(defaults.heap_reserve_bytes);
    pthread_mutex_unlock(&lock);
    return started;
}

bool np_alloc_ready(void)
{
    /* [MM-ready-1] acquire: pairs with the release in start_locked */
    return np_likely(np_load_acquire(&ready)) || start();
}

static void set_hooks(const struct np_alloc_hooks *hooks, bool step)
{
    np_store_relaxed(&hooks_now, hooks); /* relaxed: see np_hooks */
    np_store_relaxed(&single_step, step);
    np_shared_lock();
    np_heap_flush_magazines(np_shared_heap());
    np_heap_reset_limits(np_shared_heap()); /* the others are closed */
    np_shared_unlock();
}

int np_alloc_init(const struct np_alloc_hooks *hooks)
{
    pthread_mutex_lock(&lock);
    bool started = start_locked(np_options.heap_reserve_bytes);
    if (started) {
        if (np_options.huge_pages !=
            0) /* the whole region: a part of it would be another mapping */
            np_os_prefer_huge((void *)np_region.base, np_region.bytes);
        np_commit_limit(np_options.heap_hard_limit);
        set_hooks(hooks, np_options.fail_nth != 0 || np_options.fail_one_in != 0 ||
                             np_options.eager_collect != 0);
    }
    pthread_mutex_unlock(&lock);
    return started ? 0 : -1;
}

static void post(struct np_heap *heap, void *unused)
{
    (void)unused;
    if (heap->id != 0)
        np_heap_post_outgoing(heap);
}

static void take_home(struct np_heap *heap, void *unused)
{
    (void)unused;
    if (heap->id != 0)
        np_heap_drain_claimed(heap);
}

void np_alloc_fini(void)
{
    pthread_mutex_lock(&lock);
    set_hooks(&none, false);
    np_commit_limit(0);
    pthread_mutex_unlock(&lock);
    np_shared_settle();
    np_heap_each(post, NULL);
    np_heap_each(take_home, NULL);
    np_remote_settle();
    np_alloc_trim();
}

void np_alloc_register(void)
{
    np_backend_register();
}

void np_alloc_before_fork(void)
{
    pthread_mutex_lock(&lock);
    np_heap_table_lock();
    np_shared_lock();
    np_remote_lock();
    np_arena_lock();
    np_large_lock();
    np_sample_lock();
    np_backend_before_fork();
    np_meta_lock();
}

void np_alloc_after_fork(void)
{
    np_meta_unlock();
    np_backend_after_fork();
    np_sample_unlock();
    np_large_unlock();
    np_arena_unlock();
    np_remote_unlock();
    np_shared_unlock();
    np_heap_table_unlock();
    pthread_mutex_unlock(&lock);
}
