/* SPDX-License-Identifier: MIT
 *
 * neap: a map that does not keep its keys, which may be objects of any type, compared by address.
 * An entry is there as long as its key lives, and its value as long as both the map and the key do,
 * also when the value refers to the key: ephemerons. For what is known about objects that belong to
 * somebody else.
 *
 *     struct neap_weak_map *notes = neap_weak_map_new();
 *     neap_weak_map_set(notes, page, note);
 *     struct note *found = neap_weak_map_get(notes, page);      a reference of your own, or NULL
 *
 * Any number of threads at once. Not for values that are to go when nobody uses them: a cache holds
 * weak references in a neap_map (docs/containers.md shows one).
 */
#ifndef NEAP_WEAK_MAP_H
#define NEAP_WEAK_MAP_H

#include <neap/object.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_weak_map;
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_weak_map;

/* An empty map.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_weak_map *neap_weak_map_new(void);

/* The value of key; NULL when there is none.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, no such key */
NEAP_PUBLIC NEAP_NODISCARD void *neap_weak_map_get(struct neap_weak_map *map, const void *key);

/* Gives key, which is not counted, this value, which is, in place of the one it has. NEAP_OK,
 * NEAP_ENOMEM, or NEAP_EINVAL for a NULL key or value.
 * refs: none | user code: yes | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_weak_map_set(struct neap_weak_map *map, void *key, void *value);

/* Takes key out. Whether it was there.
 * refs: none | user code: yes | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_weak_map_remove(struct neap_weak_map *map, const void *key);

/* Entries: keys alive, or dead in a cycle that no collection has found yet.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC size_t neap_weak_map_count(const struct neap_weak_map *map);

#ifdef __cplusplus
}
#endif

#endif
