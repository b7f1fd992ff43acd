/* SPDX-License-Identifier: MIT
 *
 * neap: a map from keys to objects for any number of threads at once. Reading takes no lock and
 * writes nothing but the value's count; writers of different keys do not wait for one another.
 *
 *     struct neap_map *routes = neap_map_new();
 *     neap_map_set(routes, name, route);
 *     struct route *found = neap_map_get(routes, name);      a reference of your own, or NULL
 *     neap_map_remove(routes, name);
 *
 * The map counts a reference to each key and each value. Keys are strings; neap_map_new_with takes
 * keys of any type, which the calls named ..._key are for.
 *
 * Not for a handful of entries of one thread: an empty map takes more than a kilobyte. neap_dynamic
 * is the small one.
 */
#ifndef NEAP_MAP_H
#define NEAP_MAP_H

#include <neap/object.h>
#include <neap/string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_map;
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_map;

typedef bool neap_entry_fn(struct neap_string *key, void *value,
                           void *arg); /* borrowed; false ends the walk */

/* An empty map whose keys are strings.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_map *neap_map_new(void);

/* An empty map whose keys are objects of the program's own types, compared by equal and hashed by
 * hash; equal keys must hash alike, for as long as they are in the map. Both are pure: on any
 * thread, without calls that have a point or run user code. NULL and NULL: each object is its own
 * key.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_map *
neap_map_new_with(uint64_t (*hash)(const void *key), bool (*equal)(const void *a, const void *b));

/* The value of key; NULL when there is none. Lock-free.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, no such key */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_get(struct neap_map *map, const struct neap_string *key);

/* The value of key without counting it: readable until this thread's next quiescent point or call
 * marked "user code: yes". For values of NEAP_PEEKABLE types, others end the program; through it
 * only immutable and atomic slots are read. neap_try_retain keeps it. Writes nothing at all, so
 * that threads which read one entry do not disturb each other.
 * refs: borrowed until quiescent | user code: no | point: none | threads: attached | fails: NULL */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_peek(struct neap_map *map, const struct neap_string *key);

/* Gives key this value, in place of the one it has. NEAP_OK, NEAP_ENOMEM, or NEAP_EINVAL for a NULL
 * key or value.
 * refs: none | user code: yes | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_map_set(struct neap_map *map, struct neap_string *key, void *value);

/* Takes key out. Whether it was there.
 * refs: none | user code: yes | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_map_remove(struct neap_map *map, const struct neap_string *key);

/* The same, and the value's reference is the caller's. NULL: it was not there.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, no such key */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_take(struct neap_map *map, const struct neap_string *key);

/* Gives key this value if it has none; in any case the value that it has then.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_set_default(struct neap_map *map, struct neap_string *key,
                                                      void *value);

/* If the value of key is expected (NULL: there is none), it becomes desired (NULL: key is taken
 * out). The caller holds expected. NEAP_OK: it was; NEAP_ESTATE: it was not; NEAP_ENOMEM;
 * NEAP_EINVAL for a NULL key.
 * refs: none | user code: yes | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_map_compare_exchange(struct neap_map *map, struct neap_string *key,
                                          const void *expected, void *desired);

/* Entries; exact when nobody writes.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC size_t neap_map_count(const struct neap_map *map);

/* Calls visit(key, value, arg) for the entries, in no order, until it returns false. Beside
 * writers: an entry that is there all the time is shown once, one that comes or goes meanwhile once
 * or not at all. visit may change the map. Returns the calls made; of more than 128 keys with one
 * hash, some may be left out when memory runs out.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_map_each(struct neap_map *map, neap_entry_fn *visit, void *arg);

/* For the keys of neap_map_new_with: as neap_map_get, neap_map_peek, neap_map_set, neap_map_take
 * and neap_map_remove. neap_map_each shows such a key as if it were a string: cast it.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, no such key */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_get_key(struct neap_map *map, const void *key);

/* refs: borrowed until quiescent | user code: no | point: none | threads: attached | fails: NULL */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_peek_key(struct neap_map *map, const void *key);

/* refs: none | user code: yes | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_map_set_key(struct neap_map *map, void *key, void *value);

/* refs: new | user code: no | point: none | threads: attached | fails: NULL, no such key */
NEAP_PUBLIC NEAP_NODISCARD void *neap_map_take_key(struct neap_map *map, const void *key);

/* refs: none | user code: yes | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_map_remove_key(struct neap_map *map, const void *key);

#ifdef __cplusplus
}
#endif

#endif
