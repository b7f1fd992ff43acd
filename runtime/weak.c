/* SPDX-License-Identifier: MIT
 *
 * Weak references. Reading one follows the protocol of an atomic slot: load the target, try to
 * retain it (the dead are dead by value), read the target again. An object's block is reused only
 * after np_weak_clear has set every target to NULL, so a second look that finds the same pointer
 * has retained the right object.
 */
#include "runtime/weak.h"

#include "base/check.h"
#include "base/perturb.h"
#include "neap/weak.h"
#include "runtime/count.h"
#include "runtime/ephemeron.h"
#include "runtime/pending.h"
#include "runtime/usage.h"
#include "runtime/watch.h"

struct neap_weak {
    struct np_watcher watcher;
    void (*callback)(struct neap_weak *weak, void *arg); /* (c) */
    void *arg;                                           /* (c) */
    struct np_pending_item pending;                      /* (L) stripe, then of whoever cleared */
};

static void weak_dispose(void *self)
{
    struct neap_weak *weak = self;
    struct np_watch_stripe *stripe = np_watch_lock(weak->watcher.key);
    if (weak->watcher.target != NULL)
        np_watch_remove_locked(stripe, &weak->watcher);
    np_watch_unlock(stripe);
}
NEAP_DEFINE_TYPE(neap_weak, (), .dispose = weak_dispose, .flags = NP_TYPE_INTERNAL);

struct neap_weak *neap_weak_new_with(const void *object,
                                     void (*callback)(struct neap_weak *weak, void *arg), void *arg)
{
    if (!np_usage_alive())
        return NULL;
    np_check(object != NULL, "NULL is not an object");
    struct neap_weak *weak = neap_new(neap_weak);
    if (weak == NULL)
        return NULL;
    weak->callback = callback;
    weak->arg = arg;
    if (callback != NULL) /* relaxed: still ours alone; whoever clears must be able to retain it */
        np_store_relaxed(&neap_header_of(weak)->shared, NP_PUBLISHED);
    if (!np_watch_add(&weak->watcher, NP_WATCH_WEAK, object)) {
        neap_release(weak);
        return NULL;
    }
    return weak;
}

struct neap_weak *neap_weak_new(const void *object)
{
    return neap_weak_new_with(object, NULL, NULL);
}

void *neap_weak_get(struct neap_weak *weak)
{
    if (!np_usage_alive())
        return NULL;
    np_usage_check("neap_weak_get");
    /* [MM-weak-1] acquire: pairs with the release in np_watch_add */
    void *object = np_load_acquire(&weak->watcher.target);
    np_perturb(weak_read);
    if (object == NULL || !np_try_retain(neap_header_of(object)))
        return NULL;
    np_perturb(weak_counted);
    /* [MM-weak-2] acquire: cleared and reused in between? pairs with the release in
     * np_watch_remove_locked */
    if (np_load_acquire(&weak->watcher.target) == object)
        return object;
    np_release(neap_header_of(object), NP_QUIET);
    return NULL;
}

bool neap_weak_is(const struct neap_weak *weak, const void *object)
{
    return np_load_relaxed(&weak->watcher.target) == object; /* relaxed: the caller holds object, or
                                                                asks for NULL */
}

static void run_callback(struct np_pending_item *item)
{
    struct neap_weak *weak = np_container_of(item, struct neap_weak, pending);
    weak->callback(weak, weak->arg);
    neap_release(weak);
}

void np_weak_clear(struct neap_header *header, struct np_list *callbacks)
{
    void *object = np_object_of(header);
    np_perturb(weak_clear);
    struct np_watch_stripe *stripe = np_watch_lock((uintptr_t)object);
    struct np_list *chain = np_watch_chain_locked(stripe, (uintptr_t)object);
    if (chain != NULL) {
        NP_LIST_EACH_SAFE (node, after, chain) {
            struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
            if (watcher->target != object)
                continue;
            if (watcher->kind == NP_WATCH_EPHEMERON)
                np_ephemeron_detach_locked(watcher);
            if (watcher->kind != NP_WATCH_WEAK)
                continue;
            struct neap_weak *weak = np_container_of(watcher, struct neap_weak, watcher);
            np_watch_remove_locked(stripe, watcher);
            /* a weak reference that is itself dying calls nobody back */
            if (weak->callback != NULL && np_try_retain(neap_header_of(weak))) {
                weak->pending.run = run_callback;
                np_list_push_back(callbacks, &weak->pending.link);
            }
        }
    }
    np_watch_unlock(stripe);
}

bool np_weak_calls(const struct neap_header *header)
{
    void *object = np_object_of(header);
    bool calls = false;
    struct np_watch_stripe *stripe = np_watch_lock((uintptr_t)object);
    struct np_list *chain = np_watch_chain_locked(stripe, (uintptr_t)object);
    if (chain != NULL) {
        NP_LIST_EACH (node, chain) {
            struct np_watcher *watcher = np_container_of(node, struct np_watcher, link);
            if (watcher->target != object || watcher->kind == NP_WATCH_EPHEMERON)
                continue;
            struct neap_weak *weak = np_container_of(watcher, struct neap_weak, watcher);
            calls |= watcher->kind == NP_WATCH_CLEANUP || weak->callback != NULL;
        }
    }
    np_watch_unlock(stripe);
    return calls;
}
