/* SPDX-License-Identifier: MIT
 *
 * tidepool: sorted sets. Each member is one object that stands in two structures: a dict, which
 * finds it by its name, and a tree in the order of score and name. The tree is a treap: a search
 * tree by order and a heap by the hash of the name, which is as random as a priority must be, and
 * is there already.
 *
 *     zset -dict-> ... -> scored -left/right-> scored
 *          \-root-> scored
 *
 * The links down are references, those up are borrowed. Each member knows how many the tree below
 * it holds, so that a rank is found in logarithmic time.
 *
 * Invariants: left < self < right; parent's priority >= child's; size = 1 + left's + right's.
 * Concurrency: a zset belongs to the lock of its key. */
#ifndef TIDEPOOL_ZSET_H
#define TIDEPOOL_ZSET_H

#include "dict.h"

struct scored {
    struct node node;
    struct scored *left, *right; /* slots */
    struct scored *parent;       /* borrowed; NULL for the root */
    double score;
    size_t size;
    char name[];
};
NEAP_DECLARE_TYPE(scored);

struct zset {
    struct dict dict;
    struct scored *root; /* slot */
};
NEAP_DECLARE_TYPE(zset);

static inline struct slice scored_name(const struct scored *scored)
{
    return (struct slice){scored->name, scored->node.length};
}

/* A new reference; NULL out of memory. */
struct zset *zset_new(void);

/* The member, borrowed; NULL when there is none. */
static inline struct scored *zset_find(struct zset *zset, struct slice name)
{
    return (struct scored *)dict_find(&zset->dict, name);
}

/* Adds a member that is not there; false out of memory. */
bool zset_add(struct zset *zset, struct slice name, double score);

/* Changes a member's score. */
void zset_move(struct zset *zset, struct scored *scored, double score);

/* Takes the member out: the caller's reference. */
struct scored *zset_take(struct zset *zset, struct scored *scored);

/* The member with so many before it; NULL beyond the end. */
struct scored *zset_at(const struct zset *zset, size_t rank);
size_t zset_rank(const struct scored *scored);

struct scored *zset_next(const struct scored *scored);
struct scored *zset_previous(const struct scored *scored);

/* How many members come before the bound. A bound is a place in the order, not a member: below is
 * called with members and tells whether they come before it, true for the first ones and false for
 * the rest. */
typedef bool zset_below(const struct scored *scored, const void *bound);
size_t zset_count_below(const struct zset *zset, zset_below *below, const void *bound);

#endif
