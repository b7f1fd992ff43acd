/* SPDX-License-Identifier: MIT
 *
 * tidepool: sorted sets (see zset.h). References move from slot to slot by take and give,
 * uncounted. */
#include "zset.h"

#include <string.h>

NEAP_DEFINE_TYPE(scored, (node.chain, left, right));
NEAP_DEFINE_TYPE(zset, (dict.table, dict.next, root));

struct zset *zset_new(void)
{
    struct zset *zset = neap_new(zset);
    if (zset != NULL && dict_init(&zset->dict, offsetof(struct scored, name)))
        return zset;
    neap_release(zset);
    return NULL;
}

static size_t size_of(const struct scored *scored)
{
    return scored == NULL ? 0 : scored->size;
}

static void update(struct scored *scored)
{
    scored->size = 1 + size_of(scored->left) + size_of(scored->right);
}

/* Score first, then the name as bytes. */
static bool comes_before(const struct scored *a, const struct scored *b)
{
    if (a->score != b->score)
        return a->score < b->score;
    size_t common = a->node.length < b->node.length ? a->node.length : b->node.length;
    int order = common == 0 ? 0 : memcmp(a->name, b->name, common);
    return order != 0 ? order < 0 : a->node.length < b->node.length;
}

/* The slot that points to the member. */
static struct scored **slot_of(struct zset *zset, const struct scored *scored)
{
    if (scored->parent == NULL)
        return &zset->root;
    return scored->parent->left == scored ? &scored->parent->left : &scored->parent->right;
}

/* Gives child (stolen, or NULL) to a side of parent. */
static void attach(struct scored **side, struct scored *parent, struct scored *child)
{
    if (child != NULL)
        child->parent = parent;
    neap_give(side, child);
}

/* Turns the link between the member and its parent round: the member comes above. */
static void rotate_up(struct zset *zset, struct scored *scored)
{
    struct scored *parent = scored->parent, *above = parent->parent;
    struct scored **slot = slot_of(zset, parent);
    struct scored *parent_reference = neap_take(slot);
    if (parent->left == scored) {
        struct scored *reference = neap_take(&parent->left);
        attach(&parent->left, parent, neap_take(&scored->right));
        attach(&scored->right, scored, parent_reference);
        attach(slot, above, reference);
    } else {
        struct scored *reference = neap_take(&parent->right);
        attach(&parent->right, parent, neap_take(&scored->left));
        attach(&scored->left, scored, parent_reference);
        attach(slot, above, reference);
    }
    update(parent);
    update(scored);
}

/* Puts a member that is in no tree where it belongs; steals the reference. */
static void plant(struct zset *zset, struct scored *scored)
{
    struct scored *parent = NULL, **slot = &zset->root;
    while (*slot != NULL) {
        parent = *slot;
        parent->size++;
        slot = comes_before(scored, parent) ? &parent->left : &parent->right;
    }
    scored->size = 1;
    attach(slot, parent, scored);
    while (scored->parent != NULL && scored->parent->node.hash < scored->node.hash)
        rotate_up(zset, scored);
}

/* Takes a member out of the tree: down until it has one child at most, which takes its place.
 * Returns the tree's reference. */
static struct scored *uproot(struct zset *zset, struct scored *scored)
{
    while (scored->left != NULL && scored->right != NULL)
        rotate_up(zset, scored->left->node.hash > scored->right->node.hash ? scored->left
                                                                           : scored->right);
    struct scored *parent = scored->parent, **slot = slot_of(zset, scored);
    struct scored *child = neap_take(scored->left != NULL ? &scored->left : &scored->right);
    struct scored *reference = neap_take(slot);
    attach(slot, parent, child);
    for (struct scored *above = parent; above != NULL; above = above->parent)
        above->size--;
    scored->parent = NULL;
    return reference;
}

bool zset_add(struct zset *zset, struct slice name, double score)
{
    struct scored *scored = neap_new_extra(scored, name.length);
    if (scored == NULL)
        return false;
    scored->score = score;
    dict_name_node(&zset->dict, &scored->node, name);
    plant(zset, neap_retain(scored));
    dict_add(&zset->dict, &scored->node);
    return true;
}

void zset_move(struct zset *zset, struct scored *scored, double score)
{
    struct scored *reference = uproot(zset, scored);
    scored->score = score;
    plant(zset, reference);
}

struct scored *zset_take(struct zset *zset, struct scored *scored)
{
    neap_release(uproot(zset, scored));
    return (struct scored *)dict_take(&zset->dict, scored_name(scored));
}

struct scored *zset_at(const struct zset *zset, size_t rank)
{
    struct scored *scored = zset->root;
    while (scored != NULL && rank != size_of(scored->left)) {
        if (rank < size_of(scored->left)) {
            scored = scored->left;
        } else {
            rank -= size_of(scored->left) + 1;
            scored = scored->right;
        }
    }
    return scored;
}

size_t zset_rank(const struct scored *scored)
{
    size_t rank = size_of(scored->left);
    for (; scored->parent != NULL; scored = scored->parent)
        if (scored->parent->right == scored)
            rank += size_of(scored->parent->left) + 1;
    return rank;
}

struct scored *zset_next(const struct scored *scored)
{
    if (scored->right != NULL) {
        struct scored *next = scored->right;
        while (next->left != NULL)
            next = next->left;
        return next;
    }
    while (scored->parent != NULL && scored->parent->right == scored)
        scored = scored->parent;
    return scored->parent;
}

struct scored *zset_previous(const struct scored *scored)
{
    if (scored->left != NULL) {
        struct scored *previous = scored->left;
        while (previous->right != NULL)
            previous = previous->right;
        return previous;
    }
    while (scored->parent != NULL && scored->parent->left == scored)
        scored = scored->parent;
    return scored->parent;
}

size_t zset_count_below(const struct zset *zset, zset_below *below, const void *bound)
{
    size_t count = 0;
    const struct scored *scored = zset->root;
    while (scored != NULL) {
        if (below(scored, bound)) {
            count += size_of(scored->left) + 1;
            scored = scored->right;
        } else {
            scored = scored->left;
        }
    }
    return count;
}
