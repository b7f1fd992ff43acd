/* SPDX-License-Identifier: MIT
 *
 * A tree whose nodes know their parents. Each edge is a cycle, so counting alone would keep every
 * tree for ever; the collector finds those that nobody holds, and keeps whole what somebody holds a
 * leaf of. */
#include <neap/neap.h>
#include <stdio.h>

struct tree {
    struct tree *parent;
    struct tree *children[2];
    int depth;
};
NEAP_DEFINE_TYPE(tree, (parent, children));

static struct tree *grow(struct tree *parent, int levels)
{
    struct tree *tree = neap_new(tree);
    if (tree == NULL)
        return NULL;
    neap_set(&tree->parent, parent);
    tree->depth = parent == NULL ? 0 : parent->depth + 1;
    for (int i = 0; levels > 1 && i < 2; i++)
        neap_give(&tree->children[i], grow(tree, levels - 1));
    return tree;
}

static struct tree *first_leaf(struct tree *root)
{
    struct tree *tree = root;
    while (tree->children[0] != NULL)
        tree = tree->children[0];
    return neap_retain(tree);
}

static int run(void)
{
    struct tree *root = grow(NULL, 10);
    struct tree *leaf = first_leaf(root);
    neap_release(root);
    ptrdiff_t while_held = neap_collect(2);
    int depth = leaf->depth;
    neap_release(leaf);
    ptrdiff_t afterwards = neap_collect(2);
    printf("found %td nodes while a leaf at depth %d was held, %td afterwards\n", while_held, depth,
           afterwards);
    return while_held == 0 && depth == 9 && afterwards == 1023;
}

int main(void)
{
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    neap_gc_disable(); /* so that the numbers are those of the two calls */
    int right = run();
    return neap_shutdown(NULL) == 0 && right ? 0 : 1;
}
