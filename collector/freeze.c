/* SPDX-License-Identifier: MIT
 *
 * Freezing: a bit in the header of every tracked object. Counting takes frozen objects for alive
 * and does not look at their slots; a pool in which nothing else lives is not looked at at all
 * (universe.c). */
#include "collector/collect.h"
#include "collector/universe.h"
#include "neap/gc.h"
#include "runtime/usage.h"
#include "runtime/walk.h"
#include "threads/handshake.h"

static bool is_alive(const struct neap_header *header)
{
    return np_load_relaxed(&header->owner) <
           NEAP_OWNER_RESERVED; /* relaxed: the world is stopped */
}

static bool freeze(struct neap_header *header, void *arg)
{
    (void)arg;
    if (is_alive(header) && (header->gc & NP_GC_TRACKED)) {
        unsigned gc = header->gc & ~(unsigned)NP_GC_GENERATION;
        /* relaxed: the world is stopped. Old, so that its block does not come back unnoticed */
        np_store_relaxed(&header->gc, (uint8_t)(gc | NP_GC_FROZEN | 2));
    }
    return true;
}

static bool thaw(struct neap_header *header, void *arg)
{
    (void)arg;
    if (!is_alive(header) || !(header->gc & NP_GC_FROZEN))
        return true;
    unsigned gc = header->gc & ~(unsigned)(NP_GC_FROZEN | NP_GC_GENERATION);
    np_store_relaxed(&header->gc, (uint8_t)(gc | 2)); /* relaxed: the world is stopped */
    if (!(header->flags & NP_FLAG_LARGE))
        np_pool_of(header)->generations |= 1 << 2;
    return true;
}

static bool count(struct neap_header *header, void *arg)
{
    *(size_t *)arg += is_alive(header) && (header->gc & NP_GC_FROZEN);
    return true;
}

static void walk_stopped(const char *call, bool (*function)(struct neap_header *header, void *arg),
                         void *arg)
{
    np_usage_check(call);
    np_collect_lock(call);
    np_world_stop(NP_STOP_WALK);
    np_walk_objects(function, arg);
    np_world_start();
    np_collect_unlock();
}

void neap_gc_freeze(void)
{
    walk_stopped("neap_gc_freeze", freeze, NULL);
}

void neap_gc_unfreeze(void)
{
    walk_stopped("neap_gc_unfreeze", thaw, NULL);
}

size_t neap_gc_freeze_count(void)
{
    size_t frozen = 0;
    walk_stopped("neap_gc_freeze_count", count, &frozen);
    return frozen;
}
