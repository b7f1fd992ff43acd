/* SPDX-License-Identifier: MIT
 *
 * One row of cells per thread, reserved with the thread's slot and costing memory only where it is
 * used: counting cannot fail. Entries are one reserved array, made with the first deferred object.
 *
 * Concurrency: cells are (o) the slot's thread; the fold reads and zeroes them while the world is
 * stopped. `lock` guards the free indices and neap_defer against itself.
 */
#include "runtime/deferred.h"

#include <pthread.h>

#include "base/check.h"
#include "base/os.h"
#include "base/plant.h"
#include "neap/discipline.h"
#include "neap/status.h"
#include "runtime/count.h"
#include "runtime/death.h"
#include "runtime/owner.h"
#include "runtime/usage.h"
#include "threads/thread.h"

enum { SHARED_BIAS = NP_COUNT_LIMIT / 2 };
#define IMMORTAL_SUM ((int64_t)1 << 40) /* out of reach of counting down */

struct entry {
    struct neap_header *header; /* (s, L) NULL: free */
    int64_t sum;                /* (x) references beyond the cells and `shared` */
    bool undefer;               /* (x) set by neap_undefer, served by the fold */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries; /* (x) NP_DEFERRED_MOST, set once under lock */
static uint32_t used_count;   /* (L) written; indices [0, used_count) have been used */
static uint32_t free_count;   /* (L, s) */

static struct entry *entry_at(uint32_t index)
{
    /* [MM-defer-1] acquire: pairs with the release in take_index_locked */
    return &np_load_acquire(&entries)[index];
}

/* The index in a header that says deferred; constant until a stop. */
static uint32_t index_of(const struct neap_header *header)
{
    /* [MM-defer-2] acquire: the index is seen with the owner; pairs with the release in neap_defer
     */
    (void)np_load_acquire(&header->owner);
    return np_load_relaxed(&header->local);
}

void np_deferred_add(struct neap_header *header, int64_t delta)
{
    /* relaxed: ours; others read it as a hint, or while we are stopped */
    int64_t *cell = &np_tls.cells[index_of(header)];
    np_store_relaxed(cell, np_load_relaxed(cell) + delta);
}

/* ---- deferring ---- */

static bool take_index_locked(uint32_t *ret_index)
{
    if (entries == NULL) {
        struct entry *array = np_os_reserve(NP_DEFERRED_MOST * sizeof *array, 1);
        if (array == NULL)
            return false;
        /* [MM-defer-1] release: publishes the zeroes; pairs with entry_at */
        np_store_release(&entries, array);
    }
    for (uint32_t i = 0; free_count > 0 && i < used_count; i++) {
        if (entries[i].header == NULL) {
            free_count--;
            *ret_index = i;
            return true;
        }
    }
    if (used_count == NP_DEFERRED_MOST)
        return false;
    *ret_index = used_count;
    np_store_relaxed(&used_count, used_count + 1); /* relaxed: read in a stop, or as a bound */
    return true;
}

/* header is merged and has no owner. */
static int defer_locked(struct neap_header *header)
{
    uint16_t owner = np_load_relaxed(&header->owner); /* relaxed: the lock orders other defers */
    if (owner == NEAP_OWNER_DEFERRED) /* relaxed: a stop serves it; not undeferred after all */
        np_store_relaxed(&entry_at(index_of(header))->undefer, false);
    if (owner != NEAP_OWNER_NONE)
        return NEAP_OK;
    uint32_t index;
    if (!take_index_locked(&index))
        return NEAP_ENOMEM;
    struct entry *entry = entry_at(index);
    entry->header = header;
    entry->undefer = false;
    np_store_relaxed(&entry->sum, -(int64_t)SHARED_BIAS);
    uint32_t shared = np_load_relaxed(&header->shared);
    /* relaxed: calls on their way find the count far from 0; it is read in a stop */
    while (!np_cas_relaxed(&header->shared, &shared,
                           np_shared_add(shared, SHARED_BIAS) | NP_PUBLISHED))
        ;
    np_store_relaxed(&header->local, index); /* relaxed: nobody reads it while owner is none */
    /* [MM-defer-2] release: the index is seen by who sees deferred; pairs with index_of */
    if (!np_cas_release(&header->owner, &owner, (uint16_t)NEAP_OWNER_DEFERRED)) {
        entry->header = NULL; /* made immortal in between */
        free_count++;
    }
    return NEAP_OK;
}

int neap_defer(void *object)
{
    np_usage_check("neap_defer");
    if (object == NULL)
        return NEAP_EINVAL;
    np_unbias(neap_header_of(object));
    pthread_mutex_lock(&lock);
    int status = defer_locked(neap_header_of(object));
    pthread_mutex_unlock(&lock);
    return status;
}

void neap_undefer(void *object)
{
    np_usage_check("neap_undefer");
    if (object == NULL || np_load_relaxed(&neap_header_of(object)->owner) != NEAP_OWNER_DEFERRED)
        return;
    /* relaxed: served by the next stop */
    np_store_relaxed(&entry_at(index_of(neap_header_of(object)))->undefer, true);
}

/* ---- folding ---- */

void np_deferred_fold_local(struct np_local *local)
{
    uint32_t count = np_load_relaxed(&used_count); /* relaxed: a cell in use was deferred before */
    for (uint32_t i = 0; i < count; i++) {
        int64_t cell = np_load_relaxed(&local->cells[i]); /* relaxed, all: ours, or stopped */
        if (cell == 0)
            continue;
        if (!np_planted(lose_deferred_count))
            np_fetch_add_relaxed(&entry_at(i)->sum, cell);
        np_store_relaxed(&local->cells[i], 0);
    }
}

/* Back to an ordinary count of total, which may be 0: then it is dead. */
static void restore(struct entry *entry, int64_t total)
{
    struct neap_header *header = entry->header;
    uint32_t flags = (header->shared & NP_SHARED_FLAGS) | NP_MERGED;
    entry->header = NULL;
    free_count++;
    header->local = 0;
    header->owner = total > IMMORTAL_SUM / 2 ? NEAP_OWNER_IMMORTAL : NEAP_OWNER_NONE;
    /* relaxed: the world is stopped; starting it again orders everything */
    np_store_relaxed(&header->shared, total >= NP_COUNT_LIMIT
                                          ? np_shared_stick(flags)
                                          : flags + (uint32_t)total * NP_SHARED_ONE);
    if (total == 0)
        np_death_quiet(header);
}

void np_deferred_fold_stopped(void)
{
    if (used_count == free_count)
        return;
    for (uint32_t id = 1; id <= np_thread_high(); id++) {
        struct np_local *local = np_local_of((uint16_t)id);
        if (local != NULL)
            np_deferred_fold_local(local);
    }
    for (uint32_t i = 0; i < used_count; i++) {
        struct entry *entry = entry_at(i);
        if (entry->header == NULL)
            continue;
        int64_t total = entry->sum + np_shared_count(entry->header->shared);
        np_check(total >= 0, "%s at %p: released more often than retained while deferred",
                 np_type_at(entry->header->type)->name, np_object_of(entry->header));
        if (total == 0 || np_load_relaxed(&entry->undefer))
            restore(entry, total);
    }
}

int64_t np_deferred_sum(const struct neap_header *header)
{
    uint32_t index = index_of(header);
    int64_t sum =
        np_load_relaxed(&entry_at(index)->sum) + np_shared_count(np_load_relaxed(&header->shared));
    for (uint32_t id = 1; id <= np_thread_high(); id++) {
        struct np_local *local = np_local_of((uint16_t)id);
        if (local != NULL)
            sum += np_load_relaxed(&local->cells[index]); /* relaxed: a hint */
    }
    return sum;
}

void np_deferred_fini(void)
{
    for (uint32_t id = 1; id <= np_thread_high(); id++) {
        struct np_local *local = np_local_of((uint16_t)id);
        if (local != NULL)
            np_deferred_fold_local(local);
    }
    /* what leaks is counted ordinarily from here on: a later runtime's indices are others */
    for (uint32_t i = 0; i < used_count; i++) {
        int64_t total = entries[i].header == NULL
                            ? 0
                            : entries[i].sum + np_shared_count(entries[i].header->shared);
        if (entries[i].header != NULL)
            restore(&entries[i], total > 0 ? total : 1);
    }
    if (entries != NULL)
        np_os_unreserve(entries, NP_DEFERRED_MOST * sizeof *entries);
    entries = NULL;
    used_count = free_count = 0;
}

void np_deferred_immortalize(struct neap_header *header)
{
    /* relaxed: summed in a stop */
    np_fetch_add_relaxed(&entry_at(index_of(header))->sum, IMMORTAL_SUM);
}

bool np_deferred_is_immortal(const struct neap_header *header)
{
    return np_deferred_sum(header) > IMMORTAL_SUM / 2;
}
