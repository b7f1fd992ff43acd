/* SPDX-License-Identifier: MIT
 *
 * A peer of the map benchmark (map.c): liburcu's cds_lfht under its QSBR flavour, hashes computed
 * once, as neap's strings have them. */
#include <stdlib.h>
#include <string.h>

#define RCU_QSBR
#define URCU_API_MAP
#include <urcu/urcu-qsbr.h>
#include <urcu/rculfhash.h>

#define PEER_NAME     "lfht"
#define PEER_ADD      map_add_lfht
#define PEER_ATTACHED false

#include "bench/map.h"

enum { MAP_KEYS = 1000000 };

struct key {
    unsigned long hash;
    char text[16];
};

struct entry {
    struct cds_lfht_node node;
    const struct key *key;
    int64_t word;
    struct rcu_head head;
};

static struct key *keys;
static struct cds_lfht *map;

static int is_key(struct cds_lfht_node *node, const void *key)
{
    const struct entry *entry = caa_container_of(node, struct entry, node);
    return strcmp(entry->key->text, ((const struct key *)key)->text) == 0;
}

static void free_entry(struct rcu_head *head)
{
    free(caa_container_of(head, struct entry, head));
}

static void map_write(uint32_t i)
{
    struct entry *entry = (struct entry *)calloc(1, sizeof *entry);
    if (entry == NULL)
        abort();
    entry->key = &keys[i];
    cds_lfht_node_init(&entry->node);
    struct cds_lfht_node *old =
        cds_lfht_add_replace(map, keys[i].hash, is_key, &keys[i], &entry->node);
    if (old != NULL)
        call_rcu(&caa_container_of(old, struct entry, node)->head, free_entry);
}

static int64_t map_read(uint32_t i)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(map, keys[i].hash, is_key, &keys[i], &iter);
    return caa_container_of(cds_lfht_iter_get_node(&iter), struct entry, node)->word;
}

static unsigned long hash_of(const char *text)
{
    unsigned long hash = 1469598103934665603u; /* FNV-1a, then mixed: computed once */
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    hash ^= hash >> 32;
    return hash * 0x9E3779B97F4A7C15u >> 16;
}

static void map_init(void)
{
    rcu_register_thread();
    keys = (struct key *)calloc(MAP_KEYS, sizeof *keys);
    map = cds_lfht_new(1 << 20, 1, 0, 0, NULL);
    if (keys == NULL || map == NULL)
        abort();
    for (uint32_t i = 0; i < MAP_KEYS; i++) {
        char *at = keys[i].text + sizeof keys[i].text - 1;
        uint32_t rest = i;
        do
            *--at = (char)('0' + rest % 10);
        while ((rest /= 10) != 0);
        memmove(keys[i].text, at, strlen(at) + 1);
        keys[i].hash = hash_of(keys[i].text);
        map_write(i);
    }
    rcu_unregister_thread();
}

static void map_fini(void)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    rcu_barrier(); /* what was replaced */
    rcu_register_thread();
    cds_lfht_first(map, &iter);
    while ((node = cds_lfht_iter_get_node(&iter)) != NULL) {
        cds_lfht_next(map, &iter);
        cds_lfht_del(map, node);
        free(caa_container_of(node, struct entry, node));
    }
    rcu_quiescent_state();
    rcu_unregister_thread();
    cds_lfht_destroy(map, NULL);
    free(keys);
}

#define thread_enter() rcu_register_thread()
#define thread_leave() rcu_unregister_thread()
#define thread_poll()  rcu_quiescent_state()

#include "bench/map_rows.h"
