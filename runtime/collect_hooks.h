/* SPDX-License-Identifier: MIT
 *
 * What the runtime calls in the collector, installed by boot.c: the collector is a floor above. */
#ifndef NP_RUNTIME_COLLECT_HOOKS_H
#define NP_RUNTIME_COLLECT_HOOKS_H

#include <stdint.h>

#include "base/tls.h"

struct np_collect_hooks {
    /* The calling thread's heap has debt: decide and collect if due; no user code. At a stop point.
     */
    void (*serve_debt)(struct np_heap *heap);
    /* Out of memory: free what can be freed without user code. At a stop point. */
    void (*reclaim)(void);
};
extern struct np_collect_hooks np_collect_hooks; /* (c) after boot */

#endif
