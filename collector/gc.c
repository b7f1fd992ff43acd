/* SPDX-License-Identifier: MIT
 *
 * The switches and figures of <neap/gc.h>. All of them may be called before neap_init too: they
 * then act on values that neap_init replaces. */
#include "neap/gc.h"

#include <string.h>

#include "base/atomics.h"
#include "collector/pacing.h"
#include "collector/report.h"
#include "neap/status.h"

/* relaxed, all of this file: each value is read on its own, by threads that take any recent one */

void neap_gc_enable(void)
{
    np_store_relaxed(&np_pacing.enabled, true);
}

void neap_gc_disable(void)
{
    np_store_relaxed(&np_pacing.enabled, false);
}

bool neap_gc_is_enabled(void)
{
    return np_load_relaxed(&np_pacing.enabled);
}

int neap_gc_set_threshold(uint64_t young, uint64_t middle, uint64_t old)
{
    np_store_relaxed(&np_pacing.thresholds[0], young);
    np_store_relaxed(&np_pacing.thresholds[1], middle);
    np_store_relaxed(&np_pacing.thresholds[2], old);
    return NEAP_OK;
}

void neap_gc_get_threshold(uint64_t ret_threshold[3])
{
    for (int i = 0; i < 3; i++)
        ret_threshold[i] = np_load_relaxed(&np_pacing.thresholds[i]);
}

void neap_gc_get_count(uint64_t ret_count[3])
{
    for (int i = 0; i < 3; i++) {
        int64_t count = np_load_relaxed(&np_pacing.counts[i]);
        ret_count[i] = count > 0 ? (uint64_t)count : 0;
    }
}

int neap_gc_get_stats_sized(int generation, struct neap_gc_stats *ret_stats, size_t stats_bytes)
{
    if (generation < 0 || generation > 2)
        return NEAP_EINVAL;
    struct neap_gc_stats stats;
    np_report_read(generation, &stats);
    memset(ret_stats, 0, stats_bytes);
    memcpy(ret_stats, &stats, stats_bytes < sizeof stats ? stats_bytes : sizeof stats);
    return NEAP_OK;
}
