/* SPDX-License-Identifier: MIT
 *
 * tidepool: WATCH. A client that watches keys holds a watch; for each key a watcher, listed under
 * the key's lock, refers to it weakly. Whoever changes the key marks the watch. A client that no
 * longer watches, or is gone, just drops its watch: the weak references say so, and the watchers
 * are cleared away by whoever comes past.
 *
 * Concurrency: the lists belong to the locks of the keyspace; a watch's mark may be set by any
 * thread. */
#ifndef TIDEPOOL_WATCH_H
#define TIDEPOOL_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "keyspace.h"

struct watch {
    _Atomic bool
        marked; /* relaxed: set under a lock that whoever acts on it takes before it looks */
};
NEAP_DECLARE_TYPE(watch);

/* A new reference; NULL out of memory. */
struct watch *watch_new(void);

/* The watch is marked when the key changes from now on. The key's lock is held. False out of
 * memory. */
bool watch_add(struct watch *watch, struct key key);

/* The key has changed; its lock is held. */
void watch_touch(struct key key);

/* All keys that are there are about to go; all locks are held. */
void watch_touch_all(void);

/* Frees the lists. Every other thread is gone. */
void watch_fini(void);

#endif
