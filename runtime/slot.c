/* SPDX-License-Identifier: MIT
 *
 * Slots. Order of every store: count the new value, put it in place, release the old one; so a
 * count never falls below the references that exist.
 *
 * A load from an atomic slot is: read the pointer, try to retain it, read the slot again. The
 * object that was in the slot may have died and its block been reused in between; the dead header
 * keeps the attempt from succeeding, or the second look undoes it. A stored object is published
 * first, so that its last release goes through an atomic transition that the attempt sees.
 */
#include "neap/slot.h"

#include "alloc/pool.h"
#include "base/check.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "runtime/count.h"
#include "runtime/usage.h"

/* A load that meets an object alive, unpublished and still in the slot tries again: the address may
 * have been reused and stored anew. So many times in a row mean that the slot was not written by
 * neap_store. */
enum { LOAD_ROUNDS = 10000 };

static bool is_own(const void *value)
{
    /* relaxed: equal only if we wrote it */
    return np_load_relaxed(&neap_header_of(value)->owner) == np_tls.id;
}

/* ---- declared kinds, checked in debug builds ---- */

#if NP_CHECK_LEVEL >= 1
/* The kind that the type of the object around the slot declares for it; -1 where that cannot be
 * told: a variable, a large object, an array's element, a slot that a visit of the program's knows.
 */
static int declared_kind(const void *slot, const char **ret_type, const char *call)
{
    if (!np_region_has(slot))
        return -1;
    const struct np_pool *pool = np_pool_of(slot);
    const struct neap_header *header = np_block_at(pool, np_block_index(pool, slot));
    uint32_t index = np_load_relaxed(&header->type); /* relaxed: the caller's reference keeps it */
    if (np_load_relaxed(&pool->kind) != NP_POOL_OBJECTS)
        return -1;
    if (index == 0)
        np_panic_at(call,
                    "slot %p is in an object that is freed: it was released too often, or peeked "
                    "before this thread's last quiescent point, where every peek ends",
                    slot);
    if (header->flags & NP_FLAG_ARRAY)
        return -1;
    const struct neap_type *type = np_type_at(index);
    size_t offset = (size_t)((const char *)slot - (const char *)np_object_of(header));
    *ret_type = type->name;
    for (uint32_t i = 0; i < type->slot_count; i++) {
        const struct neap_slot *declared = &type->slots[i];
        size_t bytes = declared->kind & NEAP_SLOT_TRAILING ? SIZE_MAX - declared->offset
                                                           : declared->count * sizeof(void *);
        if (offset >= declared->offset && offset < declared->offset + bytes)
            return (int)(declared->kind & NEAP_SLOT_ATOMIC);
    }
    return -1;
}

static void check_kind(const void *slot, int kind, const char *call)
{
    const char *type = NULL;
    int declared = declared_kind(slot, &type, call);
    if (declared >= 0 && declared != kind)
        np_panic_at(call, "slot %p of a %s is declared %s: %s", slot, type,
                    declared == NEAP_SLOT_ATOMIC ? "atomic" : "plain",
                    declared == NEAP_SLOT_ATOMIC
                        ? "use neap_load, neap_store and their like"
                        : "use neap_get, neap_set and their like, or declare it NEAP_ATOMIC");
}
#else
static inline void check_kind(const void *slot, int kind, const char *call)
{
    (void)slot;
    (void)kind;
    (void)call;
}
#endif

/* ---- plain slots ---- */

void *neap_slot_get(void *slot)
{
    check_kind(slot, NEAP_SLOT_PLAIN, "neap_get");
    /* relaxed: one thread's, or the caller's lock orders it; a collector may read beside */
    void *value = np_load_relaxed((void **)slot);
    neap_retain_inline(value);
    return value;
}

/* What no thread owns can be in no thread's confined collection. */
static np_noinline void mark_foreign(struct neap_header *header)
{
    uint16_t owner = np_owner_of(header);
    if (owner != NEAP_OWNER_NONE && owner <= NEAP_OWNER_LAST && np_usage_alive() &&
        !np_planted(forget_published))
        np_publish(header);
}

/* Rule R: what leaves a slot by another thread than its owner is marked before it leaves. */
static void *replace(void **slot, const void *value)
{
    void *old = np_load_relaxed(slot); /* relaxed: as in neap_slot_get */
    if (old != NULL && np_unlikely(!is_own(old)))
        mark_foreign(neap_header_of(old));
    /* [MM-confined-1] release: a confined collection that sees the slot changed sees the mark, or
     * the count that neap_get took before; pairs with the acquire in confined.c */
    np_store_release(slot, (void *)(uintptr_t)value);
    return old;
}

void neap_slot_set(void *slot, const void *value)
{
    check_kind(slot, NEAP_SLOT_PLAIN, "neap_set");
    if (!np_planted(skip_retain))
        neap_retain_inline(value);
    neap_release_inline(replace(slot, value));
}

void neap_slot_give(void *slot, const void *value)
{
    check_kind(slot, NEAP_SLOT_PLAIN, "neap_give");
    neap_release_inline(replace(slot, value));
}

void *neap_slot_take(void *slot)
{
    check_kind(slot, NEAP_SLOT_PLAIN, "neap_take");
    if (np_unlikely(np_tls.id == NEAP_OWNER_NOBODY) && np_usage_alive())
        np_usage_check("neap_take");
    return replace(slot, NULL);
}

/* ---- atomic slots ---- */

/* Counts and publishes: from here on any thread may acquire it from the slot. */
static void retain_published(const void *value)
{
    if (value == NULL)
        return;
    neap_retain_inline(value);
    np_publish(neap_header_of(value));
}

/* The whole protocol, from a value that was just read from the slot. */
static void *acquire_from(void *slot, void *value)
{
    for (unsigned round = 0; round < LOAD_ROUNDS; round++) {
        if (value == NULL)
            return NULL;
        struct neap_header *header = neap_header_of(value);
        np_prefetch_write(header);
        if (np_owner_of(header) == np_tls.id) {
            /* ours means we alone could have freed it, and the count is ours to write */
            np_retain(header);
            return value;
        }
        np_perturb(slot_read);
        bool acquired = np_try_retain(header);
        if (!acquired)
            np_spin_hint();
        np_perturb(slot_counted);
        /* [MM-slot-1] acquire: with the reference held, equal means it is the slot's object; else
         * this is the next value to try, the object as it was when stored */
        void *again = np_load_acquire((void **)slot);
        if (acquired && (np_likely(again == value) || np_planted(skip_recheck)))
            return value;
        if (acquired)
            np_release(header, NP_QUIET);
        value = again;
    }
    np_panic("slot %p holds an object that was never published: an atomic slot is written by "
             "neap_store and "
             "its like from its first value on",
             slot);
}

static np_noinline void *load_otherwise(void *slot)
{
    if (np_unlikely(np_tls.id == NEAP_OWNER_NOBODY)) {
        if (!np_usage_alive())
            return NULL;
        np_usage_check("neap_load");
    }
    /* [MM-slot-1] acquire: the object as it was when stored; pairs with the release of the store */
    return acquire_from(slot, np_load_acquire((void **)slot));
}

/* The reference counted is not to the slot's object any more. It is given back after the next
 * attempt, whose chances are best at once. */
static np_noinline void *load_after(void *slot, struct neap_header *moved, void *value)
{
    void *found = acquire_from(slot, value);
    np_release(moved, NP_QUIET);
    return found;
}

/* The common case saves no registers: a store in flight delays the swap that follows. */
void *neap_slot_load(void *slot)
{
    check_kind(slot, NEAP_SLOT_ATOMIC, "neap_load");
    void *value = np_load_acquire((void **)slot); /* [MM-slot-1] as in load_otherwise */
    if (np_unlikely(value == NULL || np_tls.id == NEAP_OWNER_NOBODY))
        return load_otherwise(slot);
    struct neap_header *header = neap_header_of(value);
    np_prefetch_write(header);
    uint16_t owner = np_owner_of(header);
    if (owner == np_tls.id) {
        neap_retain_inline(value);
        return value;
    }
    np_perturb(slot_read);
    if (np_unlikely(owner > NEAP_OWNER_LAST || !np_try_retain_shared(header)))
        return load_otherwise(slot);
    np_perturb(slot_counted);
    void *again = np_load_acquire((void **)slot); /* [MM-slot-1] acquire: as in acquire_from */
    return np_likely(again == value) || np_planted(skip_recheck) ? value
                                                                 : load_after(slot, header, again);
}

void *neap_slot_exchange(void *slot, const void *value)
{
    check_kind(slot, NEAP_SLOT_ATOMIC, "neap_exchange");
    if (np_unlikely(np_tls.id == NEAP_OWNER_NOBODY)) {
        if (!np_usage_alive())
            return NULL;
        np_usage_check("neap_exchange");
    }
    retain_published(value);
    np_perturb(slot_published);
    /* [MM-slot-1] acq_rel: publishes value's content and count; we see the old object's */
    void *old = np_exchange_acq_rel((void **)slot, (void *)(uintptr_t)value);
    np_perturb(slot_stored);
    if (old != NULL && !is_own(old))
        np_publish(neap_header_of(old));
    return old;
}

void neap_slot_store(void *slot, const void *value)
{
    neap_release_inline(neap_slot_exchange(slot, value));
}

bool neap_slot_compare_exchange(void *slot, const void *expected, const void *desired)
{
    check_kind(slot, NEAP_SLOT_ATOMIC, "neap_compare_exchange");
    if (np_unlikely(np_tls.id == NEAP_OWNER_NOBODY)) {
        if (!np_usage_alive())
            return false;
        np_usage_check("neap_compare_exchange");
    }
    retain_published(desired);
    void *found = (void *)(uintptr_t)expected;
    /* [MM-slot-1] acq_rel: as in neap_slot_exchange. The caller's reference to expected keeps its
     * address from being reused */
    bool swapped = np_cas_acq_rel((void **)slot, &found, (void *)(uintptr_t)desired);
    neap_release_inline(swapped ? expected : desired);
    return swapped;
}

void *neap_object_try_retain(const void *object)
{
    if (object == NULL || np_unlikely(!np_usage_alive()))
        return NULL;
    np_usage_check("neap_try_retain");
    struct neap_header *header = neap_header_of(object);
    if (np_try_retain(header))
        return (void *)(uintptr_t)object;
    /* relaxed: while a peek lasts, the dead keep their type (they wait for its end) */
    if (np_unlikely(np_load_relaxed(&header->type) == 0))
        np_panic_at("neap_try_retain",
                    "%p is freed: it was peeked before this thread's last quiescent point, or a "
                    "call that runs user code, where every peek ends",
                    object);
    return NULL;
}
