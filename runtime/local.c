/* SPDX-License-Identifier: MIT
 *
 * One np_local per registry slot, in a table that never moves. Entries are made by the slot's first
 * thread and stay until shutdown, so that a sender can push to a slot whose thread is gone. */
#include "runtime/local.h"

#include <stdlib.h>
#include <string.h>

#include "base/os.h"

static struct np_local *locals[NEAP_OWNER_LAST + 1]; /* (x) set once by the slot's thread */

struct np_local *np_local_make(uint16_t id)
{
    struct np_local *local = np_local_of(id);
    if (local != NULL)
        return local;
    local = aligned_alloc(NP_CACHE_LINE, sizeof *local);
    if (local == NULL)
        return NULL;
    memset(local, 0, sizeof *local);
    local->cells = np_os_reserve(NP_DEFERRED_MOST * sizeof *local->cells, 1);
    if (local->cells == NULL) {
        free(local);
        return NULL;
    }
    local->id = id;
    np_queue_init(&local->merges);
    /* [MM-local-1] release: publishes the initialised queue; pairs with np_local_of */
    np_store_release(&locals[id], local);
    return local;
}

struct np_local *np_local_of(uint16_t id)
{
    /* [MM-local-1] acquire: pairs with the release in np_local_make */
    return np_load_acquire(&locals[id]);
}
