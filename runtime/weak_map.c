/* SPDX-License-Identifier: MIT
 *
 * An entry is a watcher of its key: the watch table (watch.h) finds it by the key's address, and
 * the key's death finds it there. The map holds a list of its entries, for its own death and for
 * the collector.
 *
 * Concurrency: an entry is found, changed and freed under its key's stripe; it is in its map's list
 * under the map's lock, which is taken inside the stripe's. Neither is held across a poll, an
 * allocation of an object, or user code. A dying map has the address of a key from its list, lets
 * go of its lock, and asks the watch table: the entry may have gone in between. */
#include "neap/weak_map.h"

#include <pthread.h>

#include "alloc/pool.h"
#include "base/check.h"
#include "base/os.h"
#include "neap/block.h"
#include "runtime/count.h"
#include "runtime/ephemeron.h"
#include "runtime/usage.h"

struct entry {
    struct np_watcher watcher; /* target: the key; NULL: it is dying, and the map knows no more */
    void *value;               /* (L) stripe */
    struct neap_weak_map *map; /* (L) stripe; not counted */
    struct np_list in_map;     /* (L) map */
};

struct neap_weak_map {
    struct np_list entries; /* (L) */
    size_t count;           /* (L) written; read as a hint */
    pthread_mutex_t lock;
};

static size_t entry_count; /* (x) relaxed: in all maps */
static uint8_t *leaf_keys; /* (x) relaxed: by pool; set when a key without slots was entered */
static size_t leaf_bytes;
static pthread_mutex_t leaf_lock = PTHREAD_MUTEX_INITIALIZER;

size_t np_ephemeron_count(void)
{
    return np_load_relaxed(&entry_count); /* relaxed: exact in a stopped world */
}

static struct entry *entry_of(struct np_watcher *watcher)
{
    return np_container_of(watcher, struct entry, watcher);
}

/* ---- leaving ---- */

/* The entry is in the map no more; its stripe is locked. */
static void unlink_locked(struct entry *entry)
{
    struct neap_weak_map *map = entry->map;
    pthread_mutex_lock(&map->lock);
    np_list_remove(&entry->in_map);
    np_store_relaxed(&map->count, map->count - 1); /* relaxed: read as a hint */
    pthread_mutex_unlock(&map->lock);
    entry->map = NULL;
}

static void free_entry(struct entry *entry)
{
    np_fetch_add_relaxed(&entry_count, (size_t)-1); /* relaxed: a number */
    neap_free(entry);
}

void np_ephemeron_detach_locked(struct np_watcher *watcher)
{
    unlink_locked(entry_of(watcher));
    np_store_relaxed(&watcher->target, NULL); /* relaxed: read under the stripe's lock */
}

/* Takes one watcher of the key out of its chain: of this map, or (NULL) one that has left its map.
 */
static struct entry *take_out(uintptr_t key, const struct neap_weak_map *map)
{
    struct np_watch_stripe *stripe = np_watch_lock(key);
    struct np_list *chain = np_watch_chain_locked(stripe, key);
    struct entry *found = NULL;
    if (chain != NULL) {
        NP_LIST_EACH (node, chain) {
            struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
            if (watcher->key != key || watcher->kind != NP_WATCH_EPHEMERON ||
                entry_of(watcher)->map != map)
                continue;
            found = entry_of(watcher);
            break;
        }
    }
    if (found != NULL) {
        if (map != NULL)
            unlink_locked(found);
        np_watch_remove_locked(stripe, &found->watcher);
    }
    np_watch_unlock(stripe);
    return found;
}

void np_ephemeron_finish(struct neap_header *key, enum np_manner manner)
{
    struct entry *entry;
    while (np_ephemeron_count() > 0 &&
           (entry = take_out((uintptr_t)np_object_of(key), NULL)) != NULL) {
        void *value = entry->value;
        free_entry(entry);
        np_release(neap_header_of(value), manner);
    }
}

/* ---- the object ---- */

static void map_visit(void *self, struct neap_visitor *visitor)
{
    struct neap_weak_map *map = self;
    if (map->entries.next == NULL)
        return; /* not made yet */
    NP_LIST_EACH (node, &map->entries)
        neap_visit(visitor, &np_container_of(node, struct entry, in_map)->value);
}

static bool first_key(struct neap_weak_map *map, uintptr_t *ret_key)
{
    pthread_mutex_lock(&map->lock);
    bool found = !np_list_empty(&map->entries);
    if (found)
        *ret_key = np_container_of(map->entries.next, struct entry, in_map)->watcher.key;
    pthread_mutex_unlock(&map->lock);
    return found;
}

static bool map_release(void *self, uint64_t *budget, enum np_manner manner)
{
    struct neap_weak_map *map = self;
    uintptr_t key;
    if (map->entries.next == NULL)
        return true;
    while (first_key(map, &key)) {
        if (*budget == 0)
            return false;
        struct entry *entry = take_out(key, map);
        if (entry == NULL)
            continue; /* its key died in between */
        --*budget;
        void *value = entry->value;
        free_entry(entry);
        np_release(neap_header_of(value), manner);
    }
    pthread_mutex_destroy(&map->lock);
    return true;
}

static const struct np_piecemeal pieces = {map_release};
NEAP_DEFINE_TYPE(neap_weak_map, (), .visit = map_visit,
                 .flags = NP_TYPE_INTERNAL | NP_TYPE_PIECEMEAL | NP_TYPE_EPHEMERONS,
                 .user = (void *)&pieces);

/* A byte for each pool, in memory that costs nothing until it is written. */
static bool provide_leaf_keys(void)
{
    pthread_mutex_lock(&leaf_lock);
    if (leaf_keys == NULL) {
        size_t page = np_os_page_bytes();
        leaf_bytes = ((np_region.bytes >> NP_POOL_LOG2) + page - 1) & ~(page - 1);
        np_store_relaxed(&leaf_keys, np_os_reserve(leaf_bytes, 1)); /* relaxed: see has_keys */
    }
    bool provided = leaf_keys != NULL;
    pthread_mutex_unlock(&leaf_lock);
    return provided;
}

struct neap_weak_map *neap_weak_map_new(void)
{
    struct neap_weak_map *map = neap_new(neap_weak_map);
    if (map == NULL)
        return NULL;
    if (!provide_leaf_keys()) {
        neap_release(map);
        return NULL;
    }
    pthread_mutex_init(&map->lock, NULL);
    np_list_init(&map->entries);
    return map;
}

size_t neap_weak_map_count(const struct neap_weak_map *map)
{
    return np_load_relaxed(&map->count); /* relaxed: a hint */
}

/* ---- entries ---- */

/* The entry of the map and the living key; the stripe is locked. */
static struct entry *find_locked(struct np_watch_stripe *stripe, const struct neap_weak_map *map,
                                 const void *key)
{
    struct np_list *chain = np_watch_chain_locked(stripe, (uintptr_t)key);
    if (chain == NULL)
        return NULL;
    NP_LIST_EACH (node, chain) {
        struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
        if (watcher->target == key && watcher->kind == NP_WATCH_EPHEMERON &&
            entry_of(watcher)->map == map)
            return entry_of(watcher);
    }
    return NULL;
}

void *neap_weak_map_get(struct neap_weak_map *map, const void *key)
{
    if (key == NULL || !np_usage_alive())
        return NULL;
    np_usage_check("neap_weak_map_get");
    struct np_watch_stripe *stripe = np_watch_lock((uintptr_t)key);
    struct entry *entry = find_locked(stripe, map, key);
    void *value = entry != NULL ? entry->value : NULL;
    neap_retain_inline(value); /* the entry's own reference keeps it, under the lock */
    np_watch_unlock(stripe);
    return value;
}

/* A key whose type has no slots is of no interest to the collector otherwise. */
static void track(struct neap_header *key)
{
    if (np_load_relaxed(&key->gc) & NP_GC_TRACKED) /* relaxed, all: the caller holds the key */
        return;
    np_fetch_or_relaxed(&key->gc, NP_GC_TRACKED);
    if (!(key->flags & NP_FLAG_LARGE))
        np_store_relaxed(&leaf_keys[np_pool_index_of(key)], 1);
}

bool np_ephemeron_has_keys(uint32_t pool_index)
{
    const uint8_t *keys = np_load_relaxed(&leaf_keys); /* relaxed, both: the world is stopped */
    return keys != NULL && np_load_relaxed(&keys[pool_index]) != 0;
}

/* Enters fresh, whose value is counted, or changes the entry that is there. Returns the value that
 * is to be released, which is fresh's own when there is no memory. */
static void *enter(struct neap_weak_map *map, void *key, struct entry *fresh, bool *ret_used,
                   int *ret_status)
{
    struct np_watch_stripe *stripe = np_watch_lock((uintptr_t)key);
    struct entry *entry = find_locked(stripe, map, key);
    void *old = fresh->value;
    *ret_status = NEAP_OK;
    *ret_used = false;
    if (entry != NULL) {
        old = entry->value;
        np_store_relaxed(&entry->value, fresh->value); /* relaxed: read under the lock */
    } else if (np_watch_add_locked(stripe, &fresh->watcher, NP_WATCH_EPHEMERON, key)) {
        pthread_mutex_lock(&map->lock);
        np_list_push_back(&map->entries, &fresh->in_map);
        np_store_relaxed(&map->count, map->count + 1); /* relaxed: read as a hint */
        pthread_mutex_unlock(&map->lock);
        np_fetch_add_relaxed(&entry_count, 1); /* relaxed: a number */
        *ret_used = true;
        old = NULL;
    } else {
        *ret_status = NEAP_ENOMEM;
    }
    np_watch_unlock(stripe);
    return old;
}

int neap_weak_map_set(struct neap_weak_map *map, void *key, void *value)
{
    if (key == NULL || value == NULL)
        return NEAP_EINVAL;
    if (!np_usage_alive())
        return NEAP_ESTATE;
    np_usage_check("neap_weak_map_set");
    struct entry *fresh = neap_calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return NEAP_ENOMEM;
    neap_retain_inline(value);
    np_publish(neap_header_of(value));
    fresh->value = value;
    fresh->map = map;
    track(neap_header_of(key));
    bool used;
    int status;
    void *old = enter(map, key, fresh, &used, &status);
    if (!used)
        neap_free(fresh);
    neap_release_inline(old);
    return status;
}

bool neap_weak_map_remove(struct neap_weak_map *map, const void *key)
{
    if (key == NULL || !np_usage_alive())
        return false;
    np_usage_check("neap_weak_map_remove");
    struct entry *entry = take_out((uintptr_t)key, map);
    if (entry == NULL)
        return false;
    void *value = entry->value;
    free_entry(entry);
    neap_release_inline(value);
    return true;
}

/* ---- for the collector ---- */

void np_ephemeron_each_of_map_stopped(void *map, np_ephemeron_fn *function, void *arg)
{
    struct neap_weak_map *self = map;
    if (self->entries.next == NULL)
        return;
    NP_LIST_EACH (node, &self->entries) {
        struct entry *entry = np_container_of(node, struct entry, in_map);
        function(neap_header_of(entry->watcher.target), entry->value, arg);
    }
}

void np_ephemeron_each_of_key_stopped(struct neap_header *key, np_ephemeron_fn *function, void *arg)
{
    uintptr_t address = (uintptr_t)np_object_of(key);
    struct np_watch_stripe *stripe = np_watch_lock(address);
    struct np_list *chain = np_watch_chain_locked(stripe, address);
    if (chain != NULL) {
        NP_LIST_EACH (node, chain) {
            struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
            if (watcher->target == np_object_of(key) && watcher->kind == NP_WATCH_EPHEMERON)
                function(neap_header_of(entry_of(watcher)->map), entry_of(watcher)->value, arg);
        }
    }
    np_watch_unlock(stripe);
}

void np_ephemeron_fini(void)
{
    if (leaf_keys != NULL && entry_count == 0) {
        np_os_unreserve(leaf_keys, leaf_bytes);
        leaf_keys = NULL;
    }
}
