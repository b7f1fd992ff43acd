/* SPDX-License-Identifier: MIT
 *
 * tidepool: what keys take (see weigh.h). */
#include "weigh.h"

#include <string.h>

#include <neap/neap.h>

#include "list.h"
#include "set.h"
#include "zset.h"

struct weighing {
    size_t bytes, count, most; /* of the nodes weighed; 0: all */
};

static void weigh_node(struct node *node, void *arg)
{
    struct weighing *weighing = arg;
    if (weighing->most != 0 && weighing->count == weighing->most)
        return;
    weighing->count++;
    weighing->bytes += neap_size_of(node);
    if (neap_is(node, field))
        weighing->bytes += neap_size_of(((struct field *)node)->value);
}

/* All of `total` things, of which some have been weighed. */
static size_t extrapolate(const struct weighing *weighing, size_t total)
{
    return weighing->count == 0 ? 0 : weighing->bytes * total / weighing->count;
}

static size_t weigh_dict(struct dict *dict, size_t samples)
{
    struct weighing weighing = {.most = samples};
    uint64_t cursor = 0;
    do {
        cursor = dict_scan(dict, cursor, weigh_node, &weighing);
    } while (cursor != 0 && (samples == 0 || weighing.count < samples));
    size_t tables = neap_size_of(dict->table);
    if (dict->next != NULL)
        tables += neap_size_of(dict->next);
    return tables + extrapolate(&weighing, dict->count);
}

static size_t weigh_list(const struct list *list, size_t samples)
{
    struct weighing weighing = {.most = samples == 0 ? SIZE_MAX : samples};
    struct list_place place = list_seek(list, 0);
    while (place.chunk != NULL && weighing.count < weighing.most) {
        weighing.bytes += neap_size_of(list_at(place));
        weighing.count++;
        place = list_next(place);
    }
    size_t chunks = 0;
    for (const struct chunk *chunk = list->head; chunk != NULL; chunk = chunk->next)
        chunks += neap_size_of(chunk);
    return chunks + extrapolate(&weighing, list->length);
}

size_t weigh(const struct entry *entry, size_t samples)
{
    struct value *value = entry->value;
    size_t bytes = neap_size_of(entry) + neap_size_of(value);
    if (neap_is(value, list))
        bytes += weigh_list((struct list *)value, samples);
    else if (neap_is(value, set))
        bytes += weigh_dict(&((struct set *)value)->dict, samples);
    else if (neap_is(value, hash))
        bytes += weigh_dict(&((struct hash *)value)->dict, samples);
    else if (neap_is(value, zset))
        bytes += weigh_dict(&((struct zset *)value)->dict, samples);
    return bytes;
}

/* ---- by type ---- */

static void weigh_entry(struct entry *entry, void *arg)
{
    struct weight *weights = arg;
    const char *name = value_type_name(entry->value);
    struct weight *weight = weights;
    while (strcmp(weight->type, name) != 0)
        weight++;
    weight->keys++;
    weight->bytes += weigh(entry, WEIGH_SAMPLES);
}

void weigh_types(struct weight weights[WEIGH_TYPES])
{
    static const char *const names[WEIGH_TYPES] = {"string", "list", "set", "hash", "zset"};
    for (size_t i = 0; i < WEIGH_TYPES; i++)
        weights[i] = (struct weight){.type = names[i]};
    uint64_t cursor = 0;
    do {
        cursor = keyspace_scan(cursor, weigh_entry, weights, false);
    } while (cursor != 0);
}
