/* SPDX-License-Identifier: MIT
 *
 * Chains hashed by address, per stripe; a stripe's table grows by four when its chains become long,
 * and without memory they just grow longer. */
#include "runtime/watch.h"

#include <pthread.h>

#include "base/perturb.h"
#include "base/plant.h"
#include "neap/block.h"

enum { STRIPES = 64, FIRST_BUCKETS = 16 };

struct np_watch_stripe {
    pthread_mutex_t lock;
    struct np_list *buckets; /* (L) bucket_count, a power of two; NULL before first use */
    size_t bucket_count, watcher_count; /* (L) */
} __attribute__((aligned(NP_CACHE_LINE)));

static struct np_watch_stripe stripes[STRIPES] = {
    [0 ... STRIPES - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER},
};

static uint64_t hash_of(uintptr_t key)
{
    return ((uint64_t)key >> 4) *
           0x9E3779B97F4A7C15u; /* Fibonacci hashing: the high bits are mixed */
}

static struct np_list *bucket_of(struct np_watch_stripe *stripe, uintptr_t key)
{
    return &stripe->buckets[(hash_of(key) >> 20) & (stripe->bucket_count - 1)];
}

struct np_watch_stripe *np_watch_lock(uintptr_t key)
{
    struct np_watch_stripe *stripe = &stripes[hash_of(key) >> 58];
    pthread_mutex_lock(&stripe->lock);
    return stripe;
}

void np_watch_unlock(struct np_watch_stripe *stripe)
{
    pthread_mutex_unlock(&stripe->lock);
}

/* False: there is no table at all. */
static bool grow_locked(struct np_watch_stripe *stripe)
{
    if (stripe->buckets != NULL && stripe->watcher_count < 2 * stripe->bucket_count)
        return true;
    size_t count = stripe->buckets == NULL ? FIRST_BUCKETS : 4 * stripe->bucket_count;
    struct np_list *buckets = neap_alloc(count * sizeof *buckets);
    if (buckets == NULL)
        return stripe->buckets != NULL;
    for (size_t i = 0; i < count; i++)
        np_list_init(&buckets[i]);
    struct np_list *old = stripe->buckets;
    size_t old_count = old == NULL ? 0 : stripe->bucket_count;
    stripe->buckets = buckets;
    stripe->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        NP_LIST_EACH_SAFE (node, after, &old[i]) {
            struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
            np_list_remove(node);
            np_list_push_back(bucket_of(stripe, watcher->key), node);
        }
    neap_free(old);
    return true;
}

bool np_watch_add_locked(struct np_watch_stripe *stripe, struct np_watcher *watcher,
                         enum np_watch_kind kind, const void *object)
{
    watcher->key = (uintptr_t)object;
    watcher->kind = kind;
    if (!grow_locked(stripe))
        return false;
    /* [MM-try-1] release: upgraders see the object as the caller does; from here on its death goes
     * through an atomic transition and then through the table */
    np_fetch_or_release(&neap_header_of(object)->shared,
                        np_planted(lose_weak_bit) ? NP_PUBLISHED : NP_PUBLISHED | NP_HAS_WEAK);
    np_perturb(watch_added);
    /* [MM-weak-1] release: pairs with the acquire in neap_weak_get */
    np_store_release(&watcher->target, (void *)(uintptr_t)object);
    np_list_push_back(bucket_of(stripe, watcher->key), &watcher->link);
    stripe->watcher_count++;
    return true;
}

bool np_watch_add(struct np_watcher *watcher, enum np_watch_kind kind, const void *object)
{
    struct np_watch_stripe *stripe = np_watch_lock((uintptr_t)object);
    bool entered = np_watch_add_locked(stripe, watcher, kind, object);
    np_watch_unlock(stripe);
    return entered;
}

struct np_list *np_watch_chain_locked(struct np_watch_stripe *stripe, uintptr_t key)
{
    return stripe->buckets == NULL ? NULL : bucket_of(stripe, key);
}

void np_watch_remove_locked(struct np_watch_stripe *stripe, struct np_watcher *watcher)
{
    /* [MM-weak-2] release: before the object's block is reused; pairs with the second look of an
     * upgrade */
    np_store_release(&watcher->target, NULL);
    np_list_remove(&watcher->link);
    stripe->watcher_count--;
}

void np_watch_fini(void)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        if (stripes[i].watcher_count > 0)
            continue; /* leaked objects keep their entries */
        neap_free(stripes[i].buckets);
        stripes[i].buckets = NULL;
        stripes[i].bucket_count = 0;
    }
}
