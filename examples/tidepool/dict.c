/* SPDX-License-Identifier: MIT
 *
 * tidepool: a hash table of named objects (see dict.h). */
#include "dict.h"

#include <string.h>

#include "hash.h"

#define FIRST_BUCKETS 4
#define MOVE_BUCKETS  4 /* moved by each change while the size is being changed */
#define SHRINK_BELOW  8 /* fewer members than buckets by this factor: half as many will do */

NEAP_DEFINE_TYPE(buckets, (NEAP_TRAILING(bucket)));

static struct buckets *buckets_new(size_t count)
{
    struct buckets *buckets = neap_new_extra(buckets, count * sizeof(struct node *));
    if (buckets != NULL)
        buckets->mask = (uint32_t)(count - 1);
    return buckets;
}

bool dict_init(struct dict *dict, size_t name_offset)
{
    dict->name_offset = (uint16_t)name_offset;
    struct buckets *table = buckets_new(FIRST_BUCKETS);
    if (table == NULL)
        return false;
    neap_give(&dict->table, table);
    return true;
}

void dict_name_node(struct dict *dict, struct node *node, struct slice name)
{
    node->hash = (uint32_t)hash_text(name);
    node->length = (uint32_t)name.length;
    if (name.length > 0)
        memcpy((char *)node + dict->name_offset, name.bytes, name.length);
}

/* ---- changing the size ---- */

static void move_bucket(struct dict *dict, uint32_t bucket)
{
    struct node *node;
    while ((node = neap_take(&dict->table->bucket[bucket])) != NULL) {
        neap_give(&dict->table->bucket[bucket], neap_take(&node->chain));
        struct node **place = &dict->next->bucket[node->hash & dict->next->mask];
        neap_give(&node->chain, neap_take(place));
        neap_give(place, node);
    }
}

/* A step of the change that is under way, if one is. */
static void move_some(struct dict *dict)
{
    if (dict->next == NULL)
        return;
    for (unsigned i = 0; i < MOVE_BUCKETS && dict->moved <= dict->table->mask; i++)
        move_bucket(dict, dict->moved++);
    if (dict->moved > dict->table->mask) {
        neap_give(&dict->table, neap_take(&dict->next));
        dict->moved = 0;
    }
}

/* Begins a change when there are too many or too few buckets; without memory the chains get longer.
 */
static void fit_size(struct dict *dict)
{
    if (dict->next != NULL)
        return;
    size_t count = (size_t)dict->table->mask + 1;
    if (dict->count > count && count < (size_t)1 << 31)
        neap_give(&dict->next, buckets_new(2 * count));
    else if (dict->count < count / SHRINK_BELOW && count > FIRST_BUCKETS)
        neap_give(&dict->next, buckets_new(count / 2));
}

/* ---- one name ---- */

static struct node **place_in(struct dict *dict, struct buckets *buckets, uint32_t hash,
                              struct slice name)
{
    struct node **place = &buckets->bucket[hash & buckets->mask];
    for (; *place != NULL; place = &(*place)->chain)
        if ((*place)->hash == hash && text_same(dict_name(dict, *place), name))
            break;
    return place;
}

/* The slot with the node of this name, or one with NULL at the end of the bucket where it belongs.
 */
static struct node **place_of(struct dict *dict, uint32_t hash, struct slice name)
{
    struct node **place = place_in(dict, dict->table, hash, name);
    if (*place == NULL && dict->next != NULL)
        place = place_in(dict, dict->next, hash, name);
    return place;
}

struct node *dict_find(struct dict *dict, struct slice name)
{
    return *place_of(dict, (uint32_t)hash_text(name), name);
}

void dict_add(struct dict *dict, struct node *node)
{
    neap_give(place_of(dict, node->hash, dict_name(dict, node)), node);
    dict->count++;
    fit_size(dict);
    move_some(dict);
}

struct node *dict_take(struct dict *dict, struct slice name)
{
    struct node **place = place_of(dict, (uint32_t)hash_text(name), name);
    struct node *node = neap_take(place);
    if (node == NULL)
        return NULL;
    neap_give(place, neap_take(&node->chain));
    dict->count--;
    fit_size(dict);
    move_some(dict);
    return node;
}

/* ---- many ---- */

static struct node *nth_of(struct node *node, uint64_t random)
{
    uint64_t length = 0;
    for (struct node *n = node; n != NULL; n = n->chain)
        length++;
    for (uint64_t skip = length == 0 ? 0 : random % length; skip > 0; skip--)
        node = node->chain;
    return node;
}

/* The bucket of this number, those of next counted behind those of table. */
static struct node *bucket_at(struct dict *dict, uint64_t index)
{
    uint64_t first = (uint64_t)dict->table->mask + 1;
    return index < first ? dict->table->bucket[index] : dict->next->bucket[index - first];
}

struct node *dict_random(struct dict *dict, uint64_t random)
{
    uint64_t buckets = (uint64_t)dict->table->mask + 1;
    if (dict->next != NULL)
        buckets += (uint64_t)dict->next->mask + 1;
    for (;;) {
        struct node *node = bucket_at(dict, random % buckets);
        if (node != NULL)
            return nth_of(node, random >> 40);
        random = random * 0x5851F42D4C957F2Du + 0x14057B7EF767814Fu;
        random ^= random >> 29;
    }
}

static void visit_bucket(struct buckets *buckets, uint32_t bucket, dict_visit *visit, void *arg)
{
    for (struct node *node = buckets->bucket[bucket & buckets->mask], *chain; node != NULL;
         node = chain) {
        chain = node->chain;
        visit(node, arg);
    }
}

/* See keyspace_scan: reversed counting, here over the larger table of the two. */
static uint32_t next_bucket(uint32_t bucket, uint32_t mask)
{
    for (uint32_t bit = (mask >> 1) + 1; bit != 0; bit >>= 1) {
        bucket ^= bit;
        if (bucket & bit)
            return bucket;
    }
    return 0;
}

uint64_t dict_scan(struct dict *dict, uint64_t cursor, dict_visit *visit, void *arg)
{
    struct buckets *small = dict->table, *large = dict->next;
    if (large == NULL) {
        uint32_t bucket = (uint32_t)cursor & small->mask;
        visit_bucket(small, bucket, visit, arg);
        return next_bucket(bucket, small->mask);
    }
    if (small->mask > large->mask) {
        small = dict->next;
        large = dict->table;
    }
    /* A bucket of the smaller table and all of the larger one that have come or will come out of
     * it. */
    uint32_t bucket = (uint32_t)cursor & large->mask;
    visit_bucket(small, bucket & small->mask, visit, arg);
    do {
        visit_bucket(large, bucket, visit, arg);
        bucket = next_bucket(bucket, large->mask);
    } while (bucket & (small->mask ^ large->mask));
    return bucket;
}

void dict_each(struct dict *dict, dict_visit *visit, void *arg)
{
    for (uint32_t i = 0; i <= dict->table->mask; i++)
        visit_bucket(dict->table, i, visit, arg);
    for (uint32_t i = 0; dict->next != NULL && i <= dict->next->mask; i++)
        visit_bucket(dict->next, i, visit, arg);
}
