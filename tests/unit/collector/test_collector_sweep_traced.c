/* SPDX-License-Identifier: MIT
 *
 * Garbage of which some was made under tracing: what the crew leaves to the collecting thread goes
 * through its magazines, whose overflow brings blocks home to pools that the same round has freed
 * blocks of. */
#include <neap/neap.h>

#include "base/options.h"
#include "tests/tap.h"

enum { TRACED = 9000, NODES = 20000, AGAIN = 60000, ROUNDS = 40 };

struct node {
    void *next;
    int64_t id;
};
NEAP_DEFINE_TYPE(node, (next));

static struct node *new_node(int64_t id)
{
    struct node *node = neap_new(node);
    if (node == NULL)
        bail("out of memory");
    node->id = id;
    return node;
}

/* Made in the order of memory: the last ones are not traced, and the rest of their pool's blocks
 * waits in the magazine. */
static void make_ring(int count)
{
    struct node *first = new_node(0), *last = first;
    if (neap_trace_start(1, 0) != NEAP_OK)
        bail("no tracing");
    for (int i = 1; i < count; i++) {
        if (i == TRACED)
            neap_trace_stop();
        struct node *node = new_node(i);
        neap_give(&last->next, node);
        last = node;
    }
    neap_set(&last->next, first);
    neap_release(first);
}

static bool count_again(void)
{
    struct node *first = NULL;
    for (int i = 0; i < AGAIN; i++) {
        struct node *node = new_node(i);
        neap_give(&node->next, first);
        first = node;
    }
    int64_t wanted = AGAIN;
    bool right = true;
    for (struct node *node = first; node != NULL; node = node->next)
        right &= node->id == --wanted;
    neap_release(first);
    while (neap_run_pending(SIZE_MAX) > 0)
        neap_safepoint();
    for (int i = 0; i < 100; i++)
        neap_safepoint();
    return right && wanted == 0;
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.collector_threads = 2;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    neap_gc_disable();
    bool freed = true, right = true;
    for (int i = 0; i < ROUNDS; i++) {
        int count = NODES + i * 37;
        make_ring(count);
        ptrdiff_t found = neap_collect(2);
        freed &= found == count;
        right &= count_again();
    }
    ok(freed, "every ring is freed");
    ok(right, "and its memory is used again, each block once");
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
