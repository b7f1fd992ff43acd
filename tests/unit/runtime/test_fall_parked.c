/* SPDX-License-Identifier: MIT
 *
 * A chain falls whose members also hold another thread's objects. Out of memory for batches the
 * falling thread parks: a world that stops meanwhile must find none of what is falling alive or
 * garbage. */
#include <neap/neap.h>

#include <stdatomic.h>

#include "base/fault.h"
#include "tests/tap.h"

enum { NODES = 20000, ASKED_LEAST = 1000 };

struct node {
    void *next, *leaf;
};
NEAP_DEFINE_TYPE(node, (next, leaf));
struct other {
    void *next, *leaf;
};
NEAP_DEFINE_TYPE(other, (next, leaf));
struct leaf {
    int64_t id;
};
NEAP_DEFINE_TYPE(leaf, ());

static struct leaf *leaves[NODES];
static atomic_bool made, dropped;
static ptrdiff_t collected;

static void *own_leaves(void *arg)
{
    (void)arg;
    for (int i = 0; i < NODES; i++)
        if ((leaves[i] = neap_new(leaf)) == NULL)
            bail("out of memory");
    atomic_store(&made, true);
    while (np_fault_count() < ASKED_LEAST && !atomic_load(&dropped))
        neap_safepoint();
    collected = neap_collect(2);
    np_fault_disarm();
    while (!atomic_load(&dropped))
        neap_safepoint();
    return NULL;
}

int main(void)
{
    pthread_t owner;
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.fail_nth = UINT64_MAX; /* no magazines: an allocation fails as soon as it is told to */
    options.finalize_ms = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    neap_gc_disable();
    if (neap_thread_create(&owner, "owner", own_leaves, NULL) != NEAP_OK)
        bail("no thread");
    while (!atomic_load(&made))
        neap_safepoint();
    struct node *first = NULL;
    for (int i = 0; i < NODES; i++) {
        struct node *node = i % 2 ? neap_new(node) : (struct node *)neap_new(other);
        if (node == NULL)
            bail("out of memory");
        neap_give(&node->leaf, leaves[i]);
        neap_give(&node->next, first);
        first = node;
    }
    (void)neap_collect(0);
    np_fault_arm(0, 1, 1);
    neap_release(first);
    for (int i = 0; i < 1000; i++)
        neap_safepoint();
    atomic_store(&dropped, true);
    NEAP_BLOCKED(neap_thread_join(owner, NULL));
    diag("asked %d times", (int)np_fault_count());
    ok(np_fault_count() >= ASKED_LEAST, "the falling thread waited for batches");
    is_int(collected, 0, "nothing that falls is found by a collection");
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
