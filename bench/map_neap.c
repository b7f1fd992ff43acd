/* SPDX-License-Identifier: MIT
 *
 * neap's part of the map benchmark (map.c). */
#include <stdlib.h>

#define NEAP_INLINE
#define PEER_NAME     "neap"
#define PEER_ADD      map_add_neap
#define PEER_ATTACHED true

#include <neap/neap.h>

#include "bench/map.h"

enum { MAP_KEYS = 1000000 };

struct value {
    int64_t word;
};
NEAP_DEFINE_TYPE(value, ());

static struct neap_string **keys;
static struct neap_map *map;

static void map_write(uint32_t i)
{
    struct value *value = neap_new(value);
    if (value == NULL || neap_map_set(map, keys[i], value) != NEAP_OK)
        abort();
    neap_release(value);
}

static int64_t map_read(uint32_t i)
{
    struct value *value = neap_map_get(map, keys[i]);
    int64_t word = value->word;
    neap_release(value);
    return word;
}

static void map_init(void)
{
    keys = (struct neap_string **)malloc(MAP_KEYS * sizeof *keys);
    map = neap_map_new();
    if (keys == NULL || map == NULL)
        abort();
    for (uint32_t i = 0; i < MAP_KEYS; i++) {
        keys[i] = neap_string_format("key:%u", i);
        map_write(i);
    }
}

static void map_fini(void)
{
    neap_release(map);
    for (uint32_t i = 0; i < MAP_KEYS; i++)
        neap_release(keys[i]);
    free(keys);
}

#define thread_enter() ((void)0)
#define thread_leave() ((void)0)
#define thread_poll()  neap_safepoint()

#include "bench/map_rows.h"
