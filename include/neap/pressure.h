/* SPDX-License-Identifier: MIT
 *
 * neap: the program is told when memory becomes short, so that it drops what it can do without:
 * caches, buffers kept for later.
 *
 *     static void shrink(const struct neap_pressure *pressure, void *arg)
 *     {
 *         cache_drop_oldest(arg, pressure->used_bytes / 8);
 *     }
 *     neap_pressure_add_callback(shrink, &cache);
 *
 * Short is beyond option heap_soft_limit or, without one, beyond seven eighths of heap_hard_limit;
 * with option cgroup_percent both limits come from the process' cgroup. Without a limit nobody is
 * called. Not for finding out how much is used: <neap/stats.h>.
 */
#ifndef NEAP_PRESSURE_H
#define NEAP_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_pressure {
    uint64_t used_bytes; /* committed by the heap, and told by neap_external_bytes */
    uint64_t soft_limit_bytes, hard_limit_bytes; /* as in the options; 0: none */
    bool refused; /* since the last call an allocation has failed for the hard limit */
};

typedef void neap_pressure_fn(const struct neap_pressure *pressure, void *arg);

/* callback is called when memory becomes short, again each time it has grown by a sixteenth of the
 * limit, and when the hard limit refuses. It runs as pending user code does: in neap_safepoint,
 * neap_run_pending and neap_thread_detach of any thread, or in the helper thread, with no lock
 * held; not when a collection has made room before. It may not collect (NEAP_ESTATE); what it
 * releases dies afterwards. At most 64: NEAP_OK or NEAP_ENOMEM.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_pressure_add_callback(neap_pressure_fn *callback, void *arg);

/* Ends what neap_pressure_add_callback with the same arguments began: its turn does not come
 * any more, also where other callbacks are being called now. Only a call whose turn another thread
 * has taken already may still begin or be under way: arg has to outlive it. neap_shutdown ends them
 * all.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_pressure_remove_callback(neap_pressure_fn *callback, void *arg);

#ifdef __cplusplus
}
#endif

#endif
