/* SPDX-License-Identifier: MIT
 *
 * A block holds an object when its header has a type: free blocks have none. */
#include "runtime/walk.h"

#include "alloc/large.h"
#include "alloc/pool.h"

static bool walk_pool(const struct np_pool *pool, bool (*visit)(struct neap_header *, void *),
                      void *arg)
{
    for (uint32_t i = 0; i < pool->carved; i++) {
        struct neap_header *header = np_block_at(pool, i);
        if (np_load_relaxed(&header->type) != 0 && !visit(header, arg)) /* relaxed: nobody writes */
            return false;
    }
    return true;
}

void np_walk_objects(bool (*visit)(struct neap_header *header, void *arg), void *arg)
{
    uint32_t pools =
        np_load_relaxed(&np_region.used_count); /* relaxed: threads that take pools are stopped */
    for (uint32_t i = 0; i < pools; i++) {
        const struct np_pool *pool = &np_region.pools[i];
        if (pool->kind == NP_POOL_OBJECTS && !walk_pool(pool, visit, arg))
            return;
    }
    NP_LIST_EACH (node, np_large_all()) {
        struct np_large *large = np_container_of(node, struct np_large, link);
        struct neap_header *header = (struct neap_header *)(void *)(large + 1);
        if (large->is_object && np_load_relaxed(&header->type) != 0 && !visit(header, arg))
            return;
    }
}
