/* SPDX-License-Identifier: MIT
 *
 * The watch table: from an object's address to the weak references and cleanups that watch it.
 * Striped; entered only when the header says has-weak, so the object's own retain and release never
 * come here.
 *
 * A stripe's lock is held for a chain walk, never across a poll or user code; it may be taken in a
 * stopped world, since no thread stops while it holds one.
 *
 * Implemented by watch.c. Used by weak.c, cleanup.c and weak_map.c.
 */
#ifndef NP_RUNTIME_WATCH_H
#define NP_RUNTIME_WATCH_H

#include "base/list.h"
#include "runtime/header.h"

enum np_watch_kind { NP_WATCH_WEAK, NP_WATCH_CLEANUP, NP_WATCH_EPHEMERON };

struct np_watcher {
    void *target;            /* (x) the object, or NULL for good; written under the stripe's lock */
    uintptr_t key;           /* (c) its address: which chain */
    struct np_list link;     /* (L) stripe */
    enum np_watch_kind kind; /* (c) */
};

struct np_watch_stripe;

struct np_watch_stripe *np_watch_lock(uintptr_t key);
void np_watch_unlock(struct np_watch_stripe *stripe);

/* Enters watcher for object, to which the caller holds a reference, and marks the object's header.
 * False: out of memory. Takes the lock itself. */
bool np_watch_add(struct np_watcher *watcher, enum np_watch_kind kind, const void *object);

/* The same under the lock of the object's stripe. */
bool np_watch_add_locked(struct np_watch_stripe *stripe, struct np_watcher *watcher,
                         enum np_watch_kind kind, const void *object);

/* Under the lock: the chain of key (NULL: none), and leaving it for good, target := NULL. */
struct np_list *np_watch_chain_locked(struct np_watch_stripe *stripe, uintptr_t key);
void np_watch_remove_locked(struct np_watch_stripe *stripe, struct np_watcher *watcher);

/* Memory of the table; no object is watched any more. */
void np_watch_fini(void);

#endif
