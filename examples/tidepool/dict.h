/* SPDX-License-Identifier: MIT
 *
 * tidepool: a hash table of named objects: what sets are, and what hashes and sorted sets are found
 * by. It is a part of the object that has it, which lists dict.table and dict.next among its slots.
 * What is kept in it begins with a struct node; its name stands at the end of the object.
 *
 *     set, hash, zset -table-> buckets -bucket[]-> node -chain-> node
 *                     \-next-> buckets, while the table grows or shrinks
 *
 * A dict that changes its size does so in small steps: every change moves a few buckets from table
 * to next, so that no single command pays for a million members. Until that is done a name is in
 * the one or the other, and whoever looks, looks in both.
 *
 * Invariants: a node is in exactly one of the two; buckets of table before `moved` are empty.
 * Concurrency: a dict belongs to the lock of its key. */
#ifndef TIDEPOOL_DICT_H
#define TIDEPOOL_DICT_H

#include "value.h"

struct node {
    struct node *chain; /* slot: the next node of the bucket */
    uint32_t hash;
    uint32_t length; /* of the name */
};

struct buckets {
    uint32_t mask;         /* buckets - 1 */
    struct node *bucket[]; /* slots */
};
NEAP_DECLARE_TYPE(buckets);

struct dict {
    struct buckets *table, *next; /* slots; next is NULL unless the size is being changed */
    size_t count;
    uint32_t moved;        /* buckets of table that have been moved to next */
    uint16_t name_offset;  /* from a node to its name */
    _Atomic uint16_t pins; /* feeds that read the value (feed.h) */
};

/* Makes the dict of a new object one of nodes whose names begin name_offset bytes behind them;
 * false out of memory. */
bool dict_init(struct dict *dict, size_t name_offset);

static inline struct slice dict_name(const struct dict *dict, const struct node *node)
{
    return (struct slice){(const char *)node + dict->name_offset, node->length};
}

/* The node of this name, borrowed; NULL when there is none. */
struct node *dict_find(struct dict *dict, struct slice name);

/* Adds a node (stolen) whose name is in place and which is not there yet. */
void dict_add(struct dict *dict, struct node *node);

/* Takes the node out: the caller's reference; NULL when there is none. */
struct node *dict_take(struct dict *dict, struct slice name);

/* A node chosen evenly enough; the dict is not empty. */
struct node *dict_random(struct dict *dict, uint64_t random);

/* As keyspace_scan: nodes of at least one bucket, and the cursor to go on with; 0 begins and ends.
 */
typedef void dict_visit(struct node *node, void *arg);
uint64_t dict_scan(struct dict *dict, uint64_t cursor, dict_visit *visit, void *arg);

/* Calls visit for every node. */
void dict_each(struct dict *dict, dict_visit *visit, void *arg);

/* Writes a name behind a new node. */
void dict_name_node(struct dict *dict, struct node *node, struct slice name);

#endif
