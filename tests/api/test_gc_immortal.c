/* SPDX-License-Identifier: MIT
 *
 * What immortal objects reach is never counted and never collected; what they let go of is. A
 * second collection, which knows the immortal objects beforehand, finds the same as the first. */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

enum { COUNT = 50000 };

struct node {
    struct node *next, *other;
    uint64_t id;
};
NEAP_DEFINE_TYPE(node, (next, other));

static struct node *roots[2];

/* A list of COUNT nodes behind an immortal one; returns its first. */
static struct node *immortal_list(void)
{
    struct node *root = neap_new(node);
    neap_immortalize(root);
    struct node *last = root;
    for (uint64_t i = 0; i < COUNT; i++) {
        struct node *node = neap_new(node);
        node->id = i;
        neap_set(&node->other, root);
        neap_give(&last->next, node);
        last = node;
    }
    return root;
}

static uint64_t length(const struct node *root)
{
    uint64_t count = 0;
    for (const struct node *node = root->next; node != NULL && node->id == count; node = node->next)
        count++;
    return count;
}

static struct node *ring(unsigned count)
{
    struct node *first = neap_new(node), *last = first;
    for (unsigned i = 1; i < count; i++) {
        neap_give(&last->next, neap_new(node));
        last = last->next;
    }
    neap_set(&last->next, first);
    return first;
}

static uint64_t alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

int main(void)
{
    plan_lazy();
    harness_begin();
    neap_gc_disable();
    for (int i = 0; i < 2; i++)
        roots[i] = immortal_list();
    for (int round = 0; round < 5; round++) {
        neap_release(ring(100));
        struct node *held = ring(50);
        neap_set(&held->other, roots[0]->next); /* garbage and the living refer into it */
        struct node *dropped = ring(60);
        neap_set(&dropped->other, roots[1]->next->next);
        neap_release(dropped);
        is_int(neap_collect(2), 160, "round %d: the rings", round);
        is_int(length(roots[0]), COUNT, "round %d: the first list is whole", round);
        is_int(length(roots[1]), COUNT, "round %d: the second too", round);
        neap_release(held);
        is_int(neap_collect(2), 50, "round %d: one more ring", round);
        /* young objects behind an immortal one, promoted on the way */
        neap_give(&roots[0]->other, ring(10));
        is_int(neap_collect(2) + neap_collect(2), 0, "round %d: held by it", round);
        neap_clear(&roots[0]->other);
        is_int(neap_collect(0) + neap_collect(1), 0, "round %d: let go, it is old by now", round);
        is_int(neap_collect(2), 10, "round %d: and collected", round);
        for (int i = 0; i < 1000; i++)
            neap_release(ring(1));
        is_int(neap_collect(0), 1000, "round %d: young garbage is still found", round);
    }
    is_int(alive(), 2 * COUNT + 2, "what the immortal objects hold is alive");
    neap_clear(&roots[1]->next);
    (void)neap_collect(2);
    is_int(alive(), COUNT + 2, "what one of them lets go of is not");
    neap_clear(&roots[0]->next);
    return harness_end();
}
