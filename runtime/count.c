/* SPDX-License-Identifier: MIT
 *
 * Biased reference counts: everything but the owner's two plain adds.
 *
 * Soundness rests on: (1) only the owner (or its claimer) writes local and owner of an owned
 * object; (2) who drops the last uncounted-here reference of an owned object does not subtract but
 * leaves the reference to the merge queue (QUEUED), so the count never falls below the truth; (3)
 * local and owner are written before the compare-and-swap that sets MERGED, never after it: from
 * then on another thread may free the object; (4) an acquirer never adds to a word it has not seen
 * acquirable (compare-and-swap).
 *
 * A shared count beyond NP_COUNT_LIMIT sticks: the object lives on. The band above it is wider than
 * what all threads can add at once.
 */
#include "runtime/count.h"

#include "base/check.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "neap/object.h"
#include "neap/status.h"
#include "runtime/batch.h"
#include "runtime/contend.h"
#include "runtime/death.h"
#include "runtime/deferred.h"
#include "runtime/usage.h"
#include "threads/thread.h"

/* Dead: no owner, nothing counted, nothing queued. */
static bool is_dead(uint32_t shared)
{
    return (shared & (NP_MERGED | NP_QUEUED)) == NP_MERGED && np_shared_count(shared) == 0;
}

void np_death_by(struct neap_header *header, enum np_manner manner)
{
    if (manner == NP_LOUD)
        np_death(header);
    else
        np_death_quiet(header);
}

/* A member of a garbage set that is being disposed of: its references are all inside the set and
 * are dropped with it, so a disposal that clears a slot, or looks at what it holds, counts nothing.
 */
static bool is_condemned(const struct neap_header *header)
{
    /* relaxed: set in a stop, before anybody could ask */
    return (np_load_relaxed(&header->gc) & NP_GC_CONDEMNED) != 0 &&
           np_load_relaxed(&header->type) != 0;
}

bool np_adopt(struct neap_header *header)
{
    uint16_t handed = NEAP_OWNER_HANDED;
    np_perturb(adopt);
    if (np_planted(adopt_by_stores)) {
        np_store_relaxed(&header->shared, 0);
        np_store_relaxed(&header->local, 1);
        np_store_relaxed(&header->owner, np_tls.id);
        return true;
    }
    /* [MM-hand-1] acquire: pairs with the release in owner.c; its local = 1 is ours from here */
    return np_cas_acquire(&header->owner, &handed, np_tls.id);
}

static uint64_t stuck_count; /* (x) relaxed: a gauge */

size_t np_stuck_count(void)
{
    return np_load_relaxed(&stuck_count); /* relaxed: a gauge */
}

/* ---- retaining ---- */

static void retain_shared(struct neap_header *header)
{
    uint32_t shared = np_load_relaxed(&header->shared); /* relaxed: the swap below decides */
    for (;;) {
        if (np_unlikely((shared & NP_MERGED) && np_shared_count(shared) <= 0))
            np_usage_dead("neap_retain", header);
        if (np_unlikely(np_shared_is_stuck(shared)))
            return;
        /* relaxed: the caller's own reference keeps the object; counting up orders nothing */
        if (shared & NP_PUBLISHED) {
            np_fetch_add_relaxed(&header->shared, NP_SHARED_ONE);
            return;
        }
        np_usage_check_object("neap_retain", header);
        if (np_cas_relaxed(&header->shared, &shared, (shared + NP_SHARED_ONE) | NP_PUBLISHED))
            return;
        np_contend_lost(header);
    }
}

void np_retain(struct neap_header *header)
{
    for (;;) {
        uint16_t owner = np_owner_of(header);
        if (owner == np_tls.id) {
            uint32_t local = np_load_relaxed(&header->local) + 1; /* relaxed: ours */
            if (np_unlikely((int32_t)local < 0)) {
                /* 2^31 references: it lives on, uncounted. relaxed: ours to change */
                np_store_relaxed(&header->owner, NEAP_OWNER_IMMORTAL);
                np_fetch_add_relaxed(&stuck_count, 1); /* relaxed: a gauge */
                return;
            }
            np_store_relaxed(&header->local, local); /* relaxed: others read it as a hint */
            return;
        }
        if (owner == NEAP_OWNER_IMMORTAL)
            return;
        if (owner == NEAP_OWNER_DEFERRED) {
            np_deferred_add(header, 1);
            return;
        }
        if (owner == NEAP_OWNER_HANDED) {
            (void)np_adopt(header);
            continue;
        }
        if (np_unlikely(owner >= NEAP_OWNER_RESERVED)) {
            if (is_condemned(header))
                return;
            np_usage_dead("neap_retain", header);
        }
        retain_shared(header);
        return;
    }
}

void np_publish(struct neap_header *header)
{
    uint16_t owner = np_owner_of(header);
    if (owner == NEAP_OWNER_HANDED || owner == NEAP_OWNER_IMMORTAL || owner == NEAP_OWNER_DEFERRED)
        return;
    /* relaxed load: the bit is sticky. release: [MM-try-1] acquirers see what the publisher wrote
     */
    if (!(np_load_relaxed(&header->shared) & NP_PUBLISHED))
        np_fetch_or_release(&header->shared, NP_PUBLISHED);
}

/* ---- releasing ---- */

/* Nobody else can count it up unless shared says so. */
void np_release_last(struct neap_header *header, enum np_manner manner)
{
    np_perturb(release_last);
    /* [MM-zero-1] acquire: what other threads did with their references is done before we destroy;
     * pairs with the release of the swap that brought shared back to 0 */
    uint32_t shared = np_load_acquire(&header->shared);
    if (np_likely(shared == 0)) {
        if (header->flags & NP_FLAG_BARE)
            np_object_free_bare(header);
        else
            np_death_by(header, manner);
        return;
    }
    /* relaxed: ordered before MERGED by the swap's release */
    np_store_relaxed(&header->owner, NEAP_OWNER_NONE);
    np_perturb(merge_unowned);
    uint32_t merged;
    do {
        merged = shared | NP_MERGED;
        /* [MM-merge-1] acq_rel: owner = none is seen by who sees MERGED; we see their last uses */
    } while (!np_cas_acq_rel(&header->shared, &shared, merged));
    if (is_dead(merged))
        np_death_by(header, manner);
}

/* The object has another owner or none. */
static void release_shared(struct neap_header *header, enum np_manner manner)
{
    uint32_t shared = np_load_relaxed(&header->shared); /* relaxed: the swap decides */
    np_perturb(release_word);
    for (;;) {
        if (np_unlikely(np_shared_is_stuck(shared)))
            return;
        if (!(shared & (NP_MERGED | NP_QUEUED)) && np_shared_count(shared) <= 0)
            break;
        if (np_unlikely((shared & NP_MERGED) && np_shared_count(shared) <= 0))
            np_usage_dead("neap_release", header);
        uint32_t after = shared - NP_SHARED_ONE;
        /* [MM-zero-1] [MM-merge-1] acq_rel: our uses are before the death that follows, and the
         * others' before ours if it is we who destroy */
        if (np_cas_acq_rel(&header->shared, &shared, after)) {
            if (is_dead(after))
                np_death_by(header, manner);
            return;
        }
        np_contend_lost(header);
    }
    np_usage_check_object("neap_release", header);
    /* [MM-merge-2] acq_rel: our uses are before the merge; the queue inherits our reference */
    if (np_cas_acq_rel(&header->shared, &shared, shared | NP_QUEUED)) {
        np_perturb(release_queued);
        np_batch_add(header, manner);
    } else {
        release_shared(header, manner); /* tail call: the word changed under us */
    }
}

/* The common release by another thread than the owner: nothing hangs on it, neither a death nor a
 * merge. False: nothing was done. */
static bool release_one_of_several(struct neap_header *header)
{
    uint32_t shared = np_load_relaxed(&header->shared); /* relaxed: the swap decides */
    int32_t least = shared & NP_MERGED ? 2 : 1;
    /* [MM-zero-1] release: our uses are before the death that a later release brings */
    return np_shared_count(shared) >= least && !np_shared_is_stuck(shared) &&
           np_cas_release(&header->shared, &shared, shared - NP_SHARED_ONE);
}

void np_release(struct neap_header *header, enum np_manner manner)
{
    for (;;) {
        uint16_t owner = np_owner_of(header);
        if (owner == np_tls.id) {
            uint32_t local = np_load_relaxed(&header->local) - 1; /* relaxed: ours */
            np_store_relaxed(&header->local, local);
            if (local == 0)
                np_release_last(header, manner);
            return;
        }
        if (owner == NEAP_OWNER_IMMORTAL)
            return;
        if (owner == NEAP_OWNER_DEFERRED) {
            np_deferred_add(header, -1);
            return;
        }
        if (owner == NEAP_OWNER_HANDED) {
            (void)np_adopt(header);
            continue;
        }
        if (np_unlikely(owner >= NEAP_OWNER_RESERVED)) {
            if (is_condemned(header))
                return;
            np_usage_dead("neap_release", header);
        }
        release_shared(header, manner);
        return;
    }
}

void np_unqueue(struct neap_header *header, enum np_manner manner)
{
    uint32_t shared = np_load_relaxed(&header->shared), after; /* relaxed: the swap decides */
    do {
        after = (shared & ~(uint32_t)NP_QUEUED) - NP_SHARED_ONE;
        /* [MM-zero-1] acq_rel: as in release_shared */
    } while (!np_cas_acq_rel(&header->shared, &shared, after));
    if (is_dead(after))
        np_death_by(header, manner);
}

bool np_merge_one(struct neap_header *header, uint16_t owner)
{
    uint16_t now = np_owner_of(header);
    if (now == NEAP_OWNER_IMMORTAL || now == NEAP_OWNER_DEFERRED) {
        np_unqueue(header, NP_QUIET);
        return false;
    }
    uint32_t local = 0;
    if (now == owner) {
        local = np_load_relaxed(&header->local); /* relaxed: ours, as owner or its claimer */
        /* relaxed, both: ordered before MERGED by the swap's release; nothing is written after it
         */
        np_store_relaxed(&header->local, 0);
        np_store_relaxed(&header->owner, NEAP_OWNER_NONE);
        np_perturb(merge_unowned);
    }
    uint32_t shared = np_load_relaxed(&header->shared), merged; /* relaxed: the swap decides */
    do {
        merged = np_shared_add(shared, local);
        if (!np_shared_is_stuck(merged))
            merged -= NP_SHARED_ONE; /* the queue's */
        merged = (merged & ~(uint32_t)NP_QUEUED) | NP_MERGED;
        /* [MM-merge-1] [MM-merge-2] acq_rel: after the uses of who queued it; else as in
         * np_release_last */
    } while (!np_cas_acq_rel(&header->shared, &shared, merged));
    if (np_unlikely(np_shared_is_stuck(merged)))
        np_fetch_add_relaxed(&stuck_count, 1); /* relaxed: a gauge */
    return is_dead(merged);
}

void np_merge(struct neap_header *header, uint16_t owner)
{
    if (np_merge_one(header, owner))
        np_death_quiet(header);
}

/* ---- the public halves ---- */

void neap_retain_slow(const void *object)
{
    if (np_unlikely(!np_usage_alive()))
        return;
    np_usage_check("neap_retain");
    np_retain(neap_header_of(object));
}

/* Apart, so that the common path below saves no registers: a store in flight delays a swap. */
static np_noinline void release_otherwise(struct neap_header *header)
{
    if (np_unlikely(!np_usage_alive()))
        return;
    if (np_unlikely(np_tls.id == NEAP_OWNER_NOBODY) && np_thread_has_exited() &&
        np_thread_return() == NEAP_OK) {
        np_release(header, NP_LOUD);
        np_thread_depart();
        return;
    }
    np_usage_check("neap_release");
    np_release(header, NP_LOUD);
}

void neap_release_slow(const void *object)
{
    struct neap_header *header = neap_header_of(object);
    if (np_likely(np_tls.id != NEAP_OWNER_NOBODY && np_usage_alive())) {
        uint16_t owner = np_owner_of(header);
        if (owner != np_tls.id && owner <= NEAP_OWNER_LAST && release_one_of_several(header))
            return;
    }
    release_otherwise(header);
}

void neap_release_last(const void *object)
{
    np_release_last(neap_header_of(object), NP_LOUD);
}

void neap_object_retain(const void *object)
{
    neap_retain_inline(object);
}

void neap_object_release(const void *object)
{
    neap_release_inline(object);
}

size_t np_object_count(const struct neap_header *header, bool *ret_exempt)
{
    uint16_t owner = np_owner_of(header);
    *ret_exempt = owner == NEAP_OWNER_IMMORTAL || owner == NEAP_OWNER_DEFERRED;
    if (*ret_exempt)
        return 0;
    /* relaxed: exact only where nobody changes it */
    int64_t count = np_shared_count(np_load_relaxed(&header->shared));
    if (np_shared_is_stuck(np_load_relaxed(&header->shared)))
        *ret_exempt = true;
    if (owner != NEAP_OWNER_NONE && owner < NEAP_OWNER_RESERVED)
        count += np_load_relaxed(&header->local);
    return count > 0 ? (size_t)count : 0;
}

size_t neap_refcount(const void *object)
{
    if (np_owner_of(neap_header_of(object)) == NEAP_OWNER_DEFERRED)
        return (size_t)np_deferred_sum(neap_header_of(object));
    bool exempt;
    size_t count = np_object_count(neap_header_of(object), &exempt);
    return exempt ? SIZE_MAX : count;
}
