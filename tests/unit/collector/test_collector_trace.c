/* SPDX-License-Identifier: MIT
 *
 * Tracing with a stack of one page: what does not fit is found again by its marks, so the result is
 * the same. */
#include <neap/neap.h>

#include <stdlib.h>

#include "collector/trace.h"
#include "tests/tap.h"

enum { WIDE = 20000, SMALL_STACK = 512 };

struct node {
    struct node *next, *other;
};
NEAP_DEFINE_TYPE(node, (next, other));
struct wide {
    size_t length;
    struct node *items[];
};
NEAP_DEFINE_TYPE(wide, (NEAP_TRAILING(items)));
struct finalized {
    struct wide *wide;
    struct finalized *self;
};
static int finalizers;
static void count_finalizer(void *self)
{
    (void)self;
    finalizers++;
}
NEAP_DEFINE_TYPE(finalized, (wide, self), .finalize = count_finalizer);

/* A wide array of two-node cycles, each referring back to nothing. */
static struct wide *make(void)
{
    struct wide *wide = neap_new_extra(wide, WIDE * sizeof(struct node *));
    wide->length = WIDE;
    for (int i = 0; i < WIDE; i++) {
        struct node *node = neap_new(node), *peer = neap_new(node);
        neap_set(&node->next, peer);
        neap_give(&peer->next, neap_retain(node));
        neap_give(&wide->items[i], node);
        neap_release(peer);
    }
    return wide;
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "collector_threads=1", 1);
    if (neap_init(NULL) != NEAP_OK)
        bail("neap_init");
    neap_gc_disable();
    np_trace_fini();
    if (np_trace_init(SMALL_STACK) != 0)
        bail("np_trace_init");
    struct wide *wide = make();
    is_int(neap_collect(0), 0, "a wide array is alive with all that hangs off it");
    is_int(neap_collect(2), 0, "in an old collection too");
    struct finalized *finalized = neap_new(finalized);
    neap_give(&finalized->wide, wide);
    neap_set(&finalized->self, finalized);
    neap_release(finalized);
    is_int(neap_collect(2), 2 * WIDE + 2, "it is garbage together with what finalizes it");
    is_int(finalizers, 1, "once");
    is_int(neap_shutdown(NULL), 0, "nothing is left");
    return done();
}
