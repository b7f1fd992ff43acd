/* SPDX-License-Identifier: MIT
 *
 * tidepool: --maxmemory (see memory.h). */
#include "memory.h"

#include <stdatomic.h>

#include <neap/neap.h>

#include "keyspace.h"
#include "loop.h"

#define STEP_LEAST ((uint64_t)16 * 1024) /* bytes sent between two looks at neap's figures */
#define STEP_MOST  ((uint64_t)1024 * 1024)
#define STEPS      1024 /* of the limit */

static _Atomic uint64_t limit; /* relaxed: a number of its own */
static _Atomic uint64_t used;  /* relaxed: as last seen by any loop, less what was dropped since */
static _Atomic uint64_t evicted;     /* relaxed */
static _Atomic uint32_t next_stripe; /* relaxed: only to spread the loss */

void memory_set_limit(uint64_t bytes)
{
    atomic_store_explicit(&limit, bytes, memory_order_relaxed);
    keyspace_order_by_use(bytes != 0);
}

uint64_t memory_limit(void)
{
    return atomic_load_explicit(&limit, memory_order_relaxed);
}

uint64_t memory_evicted(void)
{
    return atomic_load_explicit(&evicted, memory_order_relaxed);
}

uint64_t memory_used(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.object_bytes + stats.untyped_bytes;
}

/* Drops entries worth about so many bytes; returns the bytes, 0 when there are no entries. */
static uint64_t drop(uint64_t bytes)
{
    uint64_t dropped = 0;
    /* Stripes lose in turn. In one with few keys the oldest may have been used a moment ago. */
    uint64_t least = keyspace_count() / KEYSPACE_STRIPES / 2;
    for (unsigned empty = 0; dropped < bytes && empty < KEYSPACE_STRIPES;) {
        unsigned stripe =
            atomic_fetch_add_explicit(&next_stripe, 1, memory_order_relaxed) % KEYSPACE_STRIPES;
        uint64_t size = keyspace_drop_oldest(stripe, least);
        empty = size == 0 ? empty + 1 : 0;
        dropped += size;
        if (size != 0)
            atomic_fetch_add_explicit(&evicted, 1, memory_order_relaxed);
    }
    return dropped;
}

bool memory_make_room(struct loop *loop, uint64_t request_bytes)
{
    uint64_t most = memory_limit();
    if (most == 0)
        return true;
    uint64_t step = most / STEPS;
    step = step < STEP_LEAST ? STEP_LEAST : step > STEP_MOST ? STEP_MOST : step;
    loop->sent_since_look += request_bytes;
    if (loop->sent_since_look >= step) {
        loop->sent_since_look = 0;
        atomic_store_explicit(&used, memory_used(), memory_order_relaxed);
    }
    uint64_t now = atomic_load_explicit(&used, memory_order_relaxed);
    if (now <= most)
        return true;
    uint64_t dropped = drop(now - most);
    neap_safepoint();
    uint64_t left = dropped < now ? now - dropped : 0;
    atomic_store_explicit(&used, left, memory_order_relaxed);
    return left <= most || dropped > 0;
}
