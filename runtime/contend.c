/* SPDX-License-Identifier: MIT
 *
 * Counters live beside the type table, made with the type; a lost swap costs one relaxed addition,
 * where a cache line's trip between cores has just been paid. */
#include "runtime/contend.h"

#include "base/options.h"
#include "neap/discipline.h"
#include "runtime/count.h"
#include "threads/thread.h"

/* Lost swaps in a row on one object before it is deferred: about 5 us of fighting, the price of a
 * handshake. */
enum { LOST_LIMIT = 64 };

static uint64_t lost_by_type[NP_TYPE_CHUNKS << NP_TYPE_CHUNK_LOG2]; /* (x) relaxed: statistics */

void np_contend_lost(struct neap_header *header)
{
    struct np_local *local = np_tls.local;
    uint32_t type_index = np_load_relaxed(&header->type); /* relaxed: the caller keeps the object */
    np_fetch_add_relaxed(&lost_by_type[type_index], 1);   /* relaxed: a statistic */
    if (np_options.auto_defer == 0 || local->contended_held)
        return;
    if (local->contended != header) {
        local->contended = header;
        local->contended_count = 0;
    }
    if (++local->contended_count < LOST_LIMIT)
        return;
    np_retain(header); /* until it is served */
    local->contended_held = true;
    np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
}

void np_contend_serve(struct np_local *local)
{
    if (!local->contended_held)
        return;
    struct neap_header *header = local->contended;
    local->contended_held = false;
    local->contended = NULL;
    (void)neap_defer(np_object_of(header)); /* without memory it stays as it is */
    np_release(header, NP_LOUD);
}

uint64_t neap_type_contention(const struct neap_type *type)
{
    /* relaxed, both: a statistic */
    return np_load_relaxed(&lost_by_type[np_load_relaxed(&type->index)]);
}
