/* SPDX-License-Identifier: MIT
 *
 * Walkers: every object, who refers to an object, what an object refers to.
 *
 * Objects are gathered in batches while the world is stopped and counted, so that they are alive
 * when the program's function sees them with the world going. The counts are taken and given back
 * while stopped, in the owner's place: an object is not published by being looked at. The
 * collector's lock is held for the whole walk, so nothing is condemned meanwhile; objects that are
 * dying or condemned already are skipped.
 *
 * A stop gathers at most BATCH objects from at most POOLS pools: its length does not follow the
 * heap. */
#include "alloc/large.h"
#include "alloc/pool.h"
#include "base/os.h"
#include "collector/collect.h"
#include "neap/gc.h"
#include "runtime/count.h"
#include "runtime/death.h"
#include "runtime/usage.h"
#include "runtime/visit.h"
#include "threads/handshake.h"

enum { BATCH = 512, POOLS = 256 };

struct entry {
    struct neap_header *header;
    size_t times; /* calls to make */
    bool held;
};

struct walk {
    /* How often the object is to be shown; 0: not at all. */
    size_t (*times)(struct neap_header *header, void *arg);
    void *times_arg;
    uint32_t pool, block;     /* where to go on */
    struct np_list *large;    /* the last large block looked at; NULL before the first */
    struct neap_header *kept; /* held because `large` is its block */
    bool done;
    size_t count;
    struct entry entries[BATCH];
};

/* ---- holding, while stopped ---- */

static bool hold(struct neap_header *header)
{
    /* relaxed, all: whoever else writes them is stopped */
    uint16_t owner = np_load_relaxed(&header->owner);
    if (owner == NEAP_OWNER_IMMORTAL || owner == NEAP_OWNER_DEFERRED)
        return false; /* dies in a collector's stop, if ever */
    if (owner == NEAP_OWNER_NONE)
        np_store_relaxed(&header->shared, np_load_relaxed(&header->shared) + NP_SHARED_ONE);
    else
        np_store_relaxed(&header->local, np_load_relaxed(&header->local) + 1);
    return true;
}

static void drop(struct neap_header *header)
{
    /* relaxed, all: as in hold */
    uint16_t owner = np_load_relaxed(&header->owner);
    if (owner == NEAP_OWNER_IMMORTAL)
        return;
    uint32_t shared = np_load_relaxed(&header->shared);
    if (owner == NEAP_OWNER_NONE || owner == NEAP_OWNER_DEFERRED) {
        shared -= NP_SHARED_ONE;
    } else {
        uint32_t local = np_load_relaxed(&header->local) - 1;
        np_store_relaxed(&header->local, local);
        if (local > 0)
            return;
        if (shared == 0) {
            np_death_quiet(header);
            return;
        }
        np_store_relaxed(&header->owner, NEAP_OWNER_NONE);
        shared |= NP_MERGED;
    }
    np_store_relaxed(&header->shared, shared);
    if ((shared & (NP_MERGED | NP_QUEUED)) == NP_MERGED && np_shared_count(shared) == 0 &&
        owner != NEAP_OWNER_DEFERRED)
        np_death_quiet(header);
}

static void drop_all(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].held)
            drop(entries[i].header);
}

static bool is_alive(const struct neap_header *header)
{
    return np_load_relaxed(&header->type) != 0 && /* relaxed: the world is stopped */
           np_load_relaxed(&header->owner) < NEAP_OWNER_RESERVED;
}

/* ---- gathering ---- */

static void consider(struct walk *walk, struct entry *entries, struct neap_header *header)
{
    size_t times = is_alive(header) ? walk->times(header, walk->times_arg) : 0;
    if (times > 0)
        entries[walk->count++] = (struct entry){header, times, hold(header)};
}

static void gather_pools(struct walk *walk, struct entry *entries)
{
    uint32_t most = np_load_relaxed(&np_region.used_count); /* relaxed: see universe.c */
    for (unsigned pools = 0; walk->pool < most && pools < POOLS; pools++) {
        const struct np_pool *pool = &np_region.pools[walk->pool];
        bool objects =
            np_load_relaxed(&pool->kind) == NP_POOL_OBJECTS; /* relaxed: see universe.c */
        for (; objects && walk->block < pool->carved; walk->block++) {
            if (walk->count == BATCH)
                return;
            consider(walk, entries, np_block_at(pool, walk->block));
        }
        walk->pool++;
        walk->block = 0;
    }
}

static bool is_object(const struct np_list *node)
{
    return np_container_of(node, struct np_large, link)->is_object;
}

static struct neap_header *header_at(struct np_list *node)
{
    return (struct neap_header *)(void *)(np_container_of(node, struct np_large, link) + 1);
}

/* Newest first. The block at which a batch ends is kept until the next one has begun behind it. */
static void gather_large(struct walk *walk, struct entry *entries)
{
    np_large_lock();
    struct np_list *all = np_large_all(),
                   *node = walk->large != NULL ? walk->large->next : all->next;
    struct np_list *last = NULL;
    for (; node != all && walk->count < BATCH; node = node->next) {
        if (!is_object(node) || !is_alive(header_at(node)))
            continue;
        consider(walk, entries, header_at(node));
        last = node;
    }
    np_large_unlock();
    if (walk->kept != NULL)
        drop(walk->kept);
    walk->kept = NULL;
    walk->done = node == all;
    if (!walk->done) {
        walk->large = last;
        walk->kept = hold(header_at(last)) ? header_at(last) : NULL;
    }
}

static void next_batch(struct walk *walk)
{
    struct entry old[BATCH];
    size_t old_count = walk->count;
    for (size_t i = 0; i < old_count; i++)
        old[i] = walk->entries[i];
    walk->count = 0;
    np_world_stop(NP_STOP_WALK);
    drop_all(old, old_count);
    if (!walk->done) {
        gather_pools(walk, walk->entries);
        if (walk->pool == np_load_relaxed(&np_region.used_count) && walk->count < BATCH)
            gather_large(walk, walk->entries);
    }
    np_world_start();
}

/* False: the program wants no more. */
static bool show(const struct entry *entries, size_t count, neap_visit_fn *visit, void *arg,
                 size_t *calls)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < entries[i].times; k++) {
            ++*calls;
            if (!visit(np_object_of(entries[i].header), arg))
                return false;
        }
    return true;
}

static size_t walk_all(const char *call, struct walk *walk, neap_visit_fn *visit, void *arg)
{
    size_t calls = 0;
    np_usage_check(call);
    np_collect_lock(call);
    np_tls.dying++; /* releases and what is pending wait, collecting is refused */
    do {
        next_batch(walk);
    } while (show(walk->entries, walk->count, visit, arg, &calls) && !walk->done);
    walk->done = true;
    np_world_stop(NP_STOP_WALK);
    drop_all(walk->entries, walk->count);
    if (walk->kept != NULL)
        drop(walk->kept);
    np_world_start();
    np_tls.dying--;
    np_collect_unlock();
    if (np_tls.dying == 0)
        np_death_drain(np_tls.local, 0);
    return calls;
}

/* ---- what is asked for ---- */

static size_t if_generation(struct neap_header *header, void *arg)
{
    int wanted = *(const int *)arg;
    if ((header->gc & (NP_GC_TRACKED | NP_GC_FROZEN)) != NP_GC_TRACKED)
        return 0;
    return wanted < 0 || (header->gc & NP_GC_GENERATION) == wanted;
}

size_t neap_gc_each_object(int generation, neap_visit_fn *visit, void *arg)
{
    struct walk walk = {.times = if_generation, .times_arg = &generation};
    return walk_all("neap_gc_each_object", &walk, visit, arg);
}

struct searching {
    struct neap_visitor visitor; /* first: visits hand it back */
    const void *object;
    size_t found;
};

static void compare_slot(struct neap_visitor *visitor, void **slot)
{
    struct searching *searching = (struct searching *)(void *)visitor;
    searching->found +=
        np_load_relaxed(slot) == searching->object; /* relaxed: the world is stopped */
}

static size_t referring_slots(struct neap_header *header, void *arg)
{
    struct searching searching = {{compare_slot}, arg, 0};
    np_visit_object(header, np_type_at(header->type), &searching.visitor, compare_slot);
    return searching.found;
}

size_t neap_referrers(const void *object, neap_visit_fn *visit, void *arg)
{
    if (object == NULL)
        return 0;
    struct walk walk = {.times = referring_slots, .times_arg = (void *)(uintptr_t)object};
    return walk_all("neap_referrers", &walk, visit, arg);
}

/* ---- one object's references ---- */

struct listing {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct entry *entries;       /* NULL: count only */
    size_t count;
};

static void list_slot(struct neap_visitor *visitor, void **slot)
{
    struct listing *listing = (struct listing *)(void *)visitor;
    void *child = np_load_relaxed(slot); /* relaxed: the world is stopped */
    if (child == NULL)
        return;
    struct neap_header *header = neap_header_of(child);
    if (listing->entries != NULL)
        listing->entries[listing->count] = (struct entry){header, 1, hold(header)};
    listing->count++;
}

static void list_children(struct listing *listing, const void *object)
{
    struct neap_header *header = neap_header_of(object);
    listing->count = 0;
    np_visit_object(header, np_type_at(header->type), &listing->visitor, list_slot);
}

size_t neap_referents(const void *object, neap_visit_fn *visit, void *arg)
{
    if (object == NULL)
        return 0;
    np_usage_check("neap_referents");
    np_collect_lock("neap_referents");
    np_tls.dying++;
    struct listing listing = {.visitor = {list_slot}};
    size_t calls = 0, bytes = 0;
    np_world_stop(NP_STOP_WALK);
    list_children(&listing, object);
    if (listing.count > 0) {
        size_t page = np_os_page_bytes();
        bytes = (listing.count * sizeof *listing.entries + page - 1) & ~(page - 1);
        listing.entries = np_os_reserve(bytes, 1);
        if (listing.entries != NULL)
            list_children(&listing, object);
    }
    np_world_start();
    if (listing.entries != NULL) {
        (void)show(listing.entries, listing.count, visit, arg, &calls);
        np_world_stop(NP_STOP_WALK);
        drop_all(listing.entries, listing.count);
        np_world_start();
        np_os_unreserve(listing.entries, bytes);
    }
    np_tls.dying--;
    np_collect_unlock();
    if (np_tls.dying == 0)
        np_death_drain(np_tls.local, 0);
    return calls;
}
