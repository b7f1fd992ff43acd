/* SPDX-License-Identifier: MIT
 *
 * Cleanups: a function and an argument that wait in the watch table until the object is gone for
 * good. They hold nothing of the object, so they cannot bring it back. */
#include "base/check.h"
#include "neap/block.h"
#include "neap/status.h"
#include "neap/weak.h"
#include "runtime/pending.h"
#include "runtime/usage.h"
#include "runtime/watch.h"
#include "runtime/weak.h"

struct cleanup {
    struct np_watcher watcher;
    struct np_pending_item pending; /* of whoever took it */
    void (*function)(void *arg);    /* (c) */
    void *arg;                      /* (c) */
};

int neap_cleanup_add(const void *object, void (*function)(void *arg), void *arg)
{
    np_usage_check("neap_cleanup_add");
    if (object == NULL || function == NULL)
        return NEAP_EINVAL;
    struct cleanup *cleanup = neap_calloc(1, sizeof *cleanup);
    if (cleanup == NULL)
        return NEAP_ENOMEM;
    cleanup->function = function;
    cleanup->arg = arg;
    if (!np_watch_add(&cleanup->watcher, NP_WATCH_CLEANUP, object)) {
        neap_free(cleanup);
        return NEAP_ENOMEM;
    }
    return NEAP_OK;
}

static void run_cleanup(struct np_pending_item *item)
{
    struct cleanup *cleanup = np_container_of(item, struct cleanup, pending);
    void (*function)(void *) = cleanup->function;
    void *arg = cleanup->arg;
    neap_free(cleanup);
    function(arg);
}

void np_cleanup_take(struct neap_header *header, struct np_list *cleanups)
{
    void *object = np_object_of(header);
    struct np_watch_stripe *stripe = np_watch_lock((uintptr_t)object);
    struct np_list *chain = np_watch_chain_locked(stripe, (uintptr_t)object);
    if (chain != NULL) {
        NP_LIST_EACH_SAFE (node, after, chain) {
            struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
            if (watcher->target != object || watcher->kind != NP_WATCH_CLEANUP)
                continue;
            struct cleanup *cleanup = np_container_of(watcher, struct cleanup, watcher);
            np_watch_remove_locked(stripe, watcher);
            cleanup->pending.run = run_cleanup;
            np_list_push_back(cleanups, &cleanup->pending.link);
        }
    }
    np_watch_unlock(stripe);
}
