/* SPDX-License-Identifier: MIT
 *
 * Counting references: biased counts (Choi, Shull and Torrellas, PACT 2018) refined as below
 * and in docs/runtime.md. The public halves and the inline fast paths are in <neap/object.h>.
 *
 *   owned (owner = thread, not merged)            count = local + shared
 *     | last local reference, or merge queue drained: owner := none, local := 0, then MERGED by one
 *     v   compare-and-swap that also adds what was local
 *   unowned (owner = none, MERGED)                count = shared
 *     | count reaches 0
 *     v
 *   dead
 *
 * Implemented by count.c. Callers are attached and RUNNING.
 */
#ifndef NP_RUNTIME_COUNT_H
#define NP_RUNTIME_COUNT_H

#include "runtime/deferred.h"
#include "runtime/header.h"

enum { NP_COUNT_LIMIT = 1 << 25 };

/* A shared count beyond the limit sticks: it is neither raised nor lowered again. */
static inline bool np_shared_is_stuck(uint32_t shared)
{
    return np_shared_count(shared) >= NP_COUNT_LIMIT || np_shared_count(shared) <= -NP_COUNT_LIMIT;
}

static inline uint32_t np_shared_stick(uint32_t shared)
{
    return (uint32_t)NP_COUNT_LIMIT * NP_SHARED_ONE | (shared & NP_SHARED_FLAGS);
}

/* shared with local's references counted in. */
static inline uint32_t np_shared_add(uint32_t shared, uint32_t local)
{
    if (np_shared_is_stuck(shared) || local >= NP_COUNT_LIMIT)
        return np_shared_stick(shared);
    return shared + local * NP_SHARED_ONE;
}

/* Objects whose count ran over and that therefore live on, uncounted. */
size_t np_stuck_count(void);

void np_retain(struct neap_header *header);
void np_release(struct neap_header *header, enum np_manner manner);
/* The calling thread owns the object and has just counted local down to 0. */
void np_release_last(struct neap_header *header, enum np_manner manner);

/* Retains an object that may be dead or its block reused, without writing unless it is acquirable.
 * The caller found the pointer in a slot and reads the slot again afterwards. The first half is for
 * an object that another thread owns, or nobody. */
static inline bool np_try_retain_shared(struct neap_header *header)
{
    uint32_t shared = np_load_relaxed(&header->shared); /* relaxed: the swap decides */
    while (np_shared_is_acquirable(shared)) {
        if (np_unlikely(np_shared_is_stuck(shared)))
            return true;
        /* [MM-try-1] acquire: what was written before the reference was stored or counted is seen;
         * pairs with the release of whoever counted the word to this value */
        if (np_cas_acquire(&header->shared, &shared, (shared + NP_SHARED_ONE) | NP_PUBLISHED))
            return true;
    }
    return false;
}

static inline bool np_try_retain(struct neap_header *header)
{
    uint16_t owner = np_owner_of(header);
    if (owner == np_tls.id) {
        /* ours and owned: only we could have freed it, and we are here */
        np_retain(header);
        return true;
    }
    if (owner == NEAP_OWNER_IMMORTAL)
        return true;
    if (owner == NEAP_OWNER_DEFERRED) {
        np_deferred_add(header, 1); /* it dies in a stop only, and we are not at one */
        return true;
    }
    return np_try_retain_shared(header);
}

/* The taker of a handed object becomes its owner. False: it was not handed, or somebody else was
 * faster. */
bool np_adopt(struct neap_header *header);

/* Rule R: the reference just taken out of a slot may be to another thread's object: it is
 * published. */
void np_publish(struct neap_header *header);

/* One queued reference of the object is given back: merges the object when `owner` still owns it.
 * The caller is that thread or has claimed it. */
void np_merge(struct neap_header *header, uint16_t owner);

/* The same, and the caller sees to the death: true if the object is dead. */
bool np_merge_one(struct neap_header *header, uint16_t owner);

/* The object is dead: np_death or np_death_quiet. */
void np_death_by(struct neap_header *header, enum np_manner manner);

/* QUEUED was set but the owner merged in between: the queue's reference is given back in place. A
 * merger that has not published MERGED yet sees the lower count and decides about death itself. */
void np_unqueue(struct neap_header *header, enum np_manner manner);

#endif
