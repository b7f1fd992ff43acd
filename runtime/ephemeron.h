/* SPDX-License-Identifier: MIT
 *
 * Weak maps as the collector and death see them; the public half is <neap/weak_map.h>.
 *
 * An entry's value is counted for the map, and the map's visit reports it, so counting needs to
 * know nothing of ephemerons. Tracing does: a value is reached through an entry when both the map
 * and the key are. A key that dies takes the entry out of the map (np_weak_clear); the entry keeps
 * its value until np_ephemeron_finish, so that no value dies in a stop, and so that a condemned
 * value's memory is still there when it is asked whether it is condemned.
 *
 * Implemented by weak_map.c. */
#ifndef NP_RUNTIME_EPHEMERON_H
#define NP_RUNTIME_EPHEMERON_H

#include "runtime/header.h"
#include "runtime/watch.h"

/* In neap_type.flags of weak maps. */
#define NP_TYPE_EPHEMERONS (1u << 29)

/* Entries in the process. 0: nobody needs to ask for them. */
size_t np_ephemeron_count(void);

/* Told of an entry: the map or the key at its other end, and its value. */
typedef void np_ephemeron_fn(struct neap_header *other, void *value, void *arg);

/* The entries of a map, and the entries that have this key (has-weak). The world is stopped; any
 * worker. */
void np_ephemeron_each_of_map_stopped(void *map, np_ephemeron_fn *function, void *arg);
void np_ephemeron_each_of_key_stopped(struct neap_header *key, np_ephemeron_fn *function,
                                      void *arg);

/* May the pool hold keys whose type has no slots? An old collection looks at those, too. */
bool np_ephemeron_has_keys(uint32_t pool_index);

/* The watcher's key dies: the entry leaves its map. The stripe is locked. */
void np_ephemeron_detach_locked(struct np_watcher *watcher);

/* Releases the values of entries that have left their maps because this key (has-weak) died. */
void np_ephemeron_finish(struct neap_header *key, enum np_manner manner);

/* Memory; no map is left. */
void np_ephemeron_fini(void);

#endif
