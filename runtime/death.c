/* SPDX-License-Identifier: MIT
 *
 * Destruction in constant stack. A dead object is linked through word 0, whose owner bits then read
 * as no live thread: to every stale reader it is dead by value, and its body stays as it was until
 * it is freed.
 *
 * np_tls.dying is not 0 while an object is being destroyed: a release in there only queues, so
 * parents are done with before their children begin and the stack does not grow with the structure.
 */
#include "runtime/death.h"

#include "alloc/heap.h"
#include "alloc/large.h"
#include "alloc/trace.h"
#include "base/check.h"
#include "base/options.h"
#include "base/perturb.h"
#include "runtime/count.h"
#include "runtime/ephemeron.h"
#include "runtime/grace.h"
#include "runtime/hold.h"
#include "runtime/pending.h"
#include "runtime/visit.h"
#include "runtime/weak.h"
#include "threads/thread.h"

/* ---- word 0 of the dead ---- */

static void push(struct neap_header **list, struct neap_header *header)
{
    uint64_t word = np_load_relaxed((np_word *)header); /* relaxed: we are alone with it */
    uint64_t kept = word & np_link_kept;
    /* relaxed: stale readers find no live owner in any mixture of old and new */
    np_store_relaxed((np_word *)header, np_link_encode(*list) | kept);
    np_store_relaxed(list, header); /* relaxed: the helper asks whether it is empty */
}

static struct neap_header *pop(struct neap_header **list)
{
    struct neap_header *header = *list;
    np_store_relaxed(list, np_link_decode(np_load_relaxed((np_word *)header)));
    return header;
}

static enum np_dying list_for(const struct neap_type *type, uint32_t shared)
{
    if (!(type->traits & NP_TRAIT_USER) && !(shared & NP_HAS_WEAK))
        return NP_DYING_PLAIN;
    return type->flags & NEAP_PROMPT ? NP_DYING_PROMPT : NP_DYING_USER;
}

/* ---- one object. relaxed, all: nobody else can reach it; stale readers look at `shared` and
 * `owner` only ---- */

static void free_small(struct neap_header *header)
{
    uint8_t gc = np_load_relaxed(&header->gc);
    np_store_relaxed(&header->type, 0);
    if (np_unlikely(gc & NP_GC_GENERATION)) {
        if (np_unlikely(np_hold_wanted())) {
            np_hold_take(header);
            return;
        }
        np_pool_note_reuse(np_tls.heap, np_pool_of(header));
    }
    np_heap_give(np_tls.heap, header);
}

/* Large, traced or both. */
static np_noinline void free_marked(struct neap_header *header)
{
    if (header->flags & NP_FLAG_TRACED)
        np_trace_hooks.freed(header);
    if (!(header->flags & NP_FLAG_LARGE)) {
        free_small(header);
        return;
    }
    bool published = (np_load_relaxed(&header->shared) & NP_PUBLISHED) != 0;
    bool tracked = (np_type_at(header->type)->traits & NP_TRAIT_SLOTS) != 0;
    struct np_heap *heap = np_tls.heap;
    np_store_relaxed(&header->type, 0);
    np_large_free(header, published);
    if (tracked && heap->credit < heap->credit_start)
        heap->credit++; /* object.c took it */
}

void np_object_free(struct neap_header *header)
{
    if (np_unlikely(header->flags & (NP_FLAG_LARGE | NP_FLAG_TRACED)))
        free_marked(header);
    else
        free_small(header);
}

static void release_slot(struct neap_visitor *visitor, void **slot)
{
    (void)visitor;
    void *child = np_load_relaxed(slot); /* relaxed: the parent is ours alone */
    if (child != NULL)
        np_release(neap_header_of(child), NP_LOUD);
}

/* Children of arrays and flexible arrays, from slot `next` on, each for one of the budget.
 * True when done; else the object stays as local->partial. */
static bool release_long(struct np_local *local, struct neap_header *header,
                         const struct neap_type *type, size_t next, uint64_t *budget)
{
    size_t length = np_object_length(header), per_element = 0;
    const char *end = (char *)header + np_object_block_bytes(header);
    char *base = np_object_of(header);
    for (uint32_t i = 0; i < type->slot_count; i++) {
        const struct neap_slot *slot = &type->slots[i];
        per_element += slot->kind & NEAP_SLOT_TRAILING
                           ? (size_t)(end - (base + slot->offset)) / sizeof(void *)
                           : slot->count;
    }
    for (size_t total = length * per_element; next < total; next++) {
        if (*budget == 0) {
            np_store_relaxed(&local->partial, header); /* relaxed: the helper asks for it */
            local->partial_next = next;
            return false;
        }
        size_t within = next % per_element;
        const struct neap_slot *slot = type->slots;
        while (!(slot->kind & NEAP_SLOT_TRAILING) && within >= slot->count)
            within -= (slot++)->count;
        char *element = base + next / per_element * type->size;
        void **place = (void **)(void *)(element + slot->offset) + within;
        *budget -= *place != NULL;
        release_slot(NULL, place);
    }
    return true;
}

/* A container's, as far as the budget goes; as release_long. */
static bool release_pieces(struct np_local *local, struct neap_header *header,
                           const struct np_piecemeal *piecemeal, uint64_t *budget)
{
    if (piecemeal->release(np_object_of(header), budget, NP_LOUD))
        return true;
    np_store_relaxed(&local->partial, header); /* relaxed: the helper asks for it */
    return false;
}

static bool release_children(struct np_local *local, struct neap_header *header,
                             const struct neap_type *type, uint64_t *budget)
{
    if (!(type->traits & NP_TRAIT_SLOTS))
        return true;
    bool is_long = (header->flags & NP_FLAG_ARRAY) || (type->traits & NP_TRAIT_TRAILING);
    uint64_t all = UINT64_MAX; /* one object at a time is partial */
    if (np_unlikely(type->flags & NP_TYPE_PIECEMEAL))
        return release_pieces(local, header, np_piecemeal_of(type),
                              local->partial != NULL ? &all : budget);
    if (is_long && type->visit == NULL)
        return release_long(local, header, type, 0, local->partial != NULL ? &all : budget);
    struct neap_visitor visitor = {release_slot};
    np_visit_object(header, type, &visitor, release_slot);
    return true;
}

/* A finalizer sees a living object with one reference, which is given back when it returns: then
 * the object dies again or somebody has kept it. Self is not touched afterwards. */
static void run_finalizer(struct neap_header *header, const struct neap_type *type)
{
    uint64_t gc = (np_load_relaxed(&header->gc) | NP_GC_FINALIZED) & ~(uint64_t)NP_GC_WAITED;
    if (type->traits & NP_TRAIT_SLOTS)
        gc |= NP_GC_TRACKED;
    uint32_t flags = np_load_relaxed(&header->shared) & NP_SHARED_FLAGS;
    /* relaxed: ordered by the release below */
    np_store_relaxed((np_word *)header, gc << 48 | (uint64_t)header->flags << 56);
    /* [MM-try-1] release: an acquirer that counts from here on sees the object as it was */
    np_store_release(&header->shared, (flags | NP_MERGED) + NP_SHARED_ONE);
    type->finalize(np_object_of(header));
    np_release(header, NP_LOUD);
}

/* Disposed of, children released. */
static void finish(struct neap_header *header)
{
    if (np_likely(!(np_load_relaxed(&header->shared) & NP_HAS_WEAK))) {
        np_object_free(header);
        return;
    }
    struct np_list cleanups;
    np_list_init(&cleanups);
    np_cleanup_take(header, &cleanups);
    np_object_free(header);
    np_pending_run_all(&cleanups);
}

/* np_tls.dying is not 0. False: it became local->partial. */
static bool destroy(struct np_local *local, struct neap_header *header, uint64_t *budget)
{
    const struct neap_type *type = np_type_at(header->type);
    if (np_unlikely(np_load_relaxed(&header->shared) & NP_HAS_WEAK)) {
        struct np_list callbacks;
        np_list_init(&callbacks);
        np_weak_clear(header, &callbacks);
        np_ephemeron_finish(header, NP_LOUD);
        np_pending_run_all(&callbacks);
    }
    if (type->traits & NP_TRAIT_HOOKS) {
        if (type->finalize != NULL && !(np_load_relaxed(&header->gc) & NP_GC_FINALIZED)) {
            run_finalizer(header, type);
            return true;
        }
        if (type->dispose != NULL)
            type->dispose(np_object_of(header));
    }
    if (!release_children(local, header, type, budget))
        return false;
    finish(header);
    return true;
}

static struct neap_header *next_of(struct np_local *local, bool plain_only, bool prompt_only)
{
    if (!plain_only && local->dying[NP_DYING_PROMPT] != NULL)
        return pop(&local->dying[NP_DYING_PROMPT]);
    if (prompt_only)
        return NULL;
    if (!plain_only && local->dying[NP_DYING_USER] != NULL)
        return pop(&local->dying[NP_DYING_USER]);
    if (local->dying[NP_DYING_PLAIN] != NULL)
        return pop(&local->dying[NP_DYING_PLAIN]);
    return NULL;
}

/* ---- the lists ---- */

/* A budget as callers and options give it: 0 is all. */
static uint64_t all_if_0(uint64_t budget)
{
    return budget == 0 ? UINT64_MAX : budget;
}

/* The end of such an object may call a cleanup. */
static bool has_watchers(const struct neap_header *header)
{
    return (np_load_relaxed(&header->shared) & NP_HAS_WEAK) != 0; /* relaxed: it is ours alone */
}

/* At most *budget, from which it takes what it used: 0 leaves all but prompt objects for later. */
static bool drain(struct np_local *local, uint64_t *budget, bool plain_only)
{
    np_tls.dying++;
    for (;;) {
        if (local->partial != NULL && *budget > 0 &&
            !(plain_only && has_watchers(local->partial))) {
            struct neap_header *header = local->partial;
            size_t next = local->partial_next;
            np_store_relaxed(&local->partial, NULL);
            const struct neap_type *type = np_type_at(header->type);
            if (type->flags & NP_TYPE_PIECEMEAL
                    ? release_pieces(local, header, np_piecemeal_of(type), budget)
                    : release_long(local, header, type, next, budget))
                finish(header);
            continue;
        }
        struct neap_header *header = next_of(local, plain_only, *budget == 0);
        if (header == NULL)
            break;
        if (*budget > 0)
            --*budget;
        destroy(local, header, budget);
    }
    np_tls.dying--;
    if (np_death_is_empty(local))
        return true;
    np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
    return false;
}

bool np_death_drain(struct np_local *local, uint64_t budget)
{
    budget = all_if_0(budget);
    return np_death_drain_within(local, &budget);
}

bool np_death_drain_within(struct np_local *local, uint64_t *budget)
{
    return np_death_is_empty(local) || drain(local, budget, false);
}

void np_death_drain_plain(struct np_local *local, uint64_t budget)
{
    budget = all_if_0(budget);
    if (local->dying[NP_DYING_PLAIN] != NULL || local->partial != NULL)
        drain(local, &budget, true);
}

void np_death_take_plain(struct np_local *from)
{
    struct np_local *local = np_tls.local;
    while (from->dying[NP_DYING_PLAIN] != NULL)
        push(&local->dying[NP_DYING_PLAIN], pop(&from->dying[NP_DYING_PLAIN]));
    if (from->partial != NULL && local->partial == NULL && !has_watchers(from->partial)) {
        np_store_relaxed(&local->partial, from->partial);
        local->partial_next = from->partial_next;
        np_store_relaxed(&from->partial, NULL);
    }
}

void np_death_leave_user(struct np_local *local)
{
    while (local->dying[NP_DYING_PROMPT] != NULL)
        np_pending_push_object(pop(&local->dying[NP_DYING_PROMPT]));
    while (local->dying[NP_DYING_USER] != NULL)
        np_pending_push_object(pop(&local->dying[NP_DYING_USER]));
}

/* The outermost death of an object that runs no code: destroyed in place, its children after it. */
static void destroy_here(struct np_local *local, struct neap_header *header)
{
    uint64_t budget = all_if_0(np_options.release_budget);
    /* dead by value while its children die: they may come back to it */
    np_store_relaxed((np_word *)header,
                     np_link_encode(NULL) | (np_load_relaxed((np_word *)header) & np_link_kept));
    np_tls.dying++;
    budget--;
    destroy(local, header, &budget);
    np_tls.dying--;
    if (!np_death_is_empty(local))
        drain(local, &budget, false);
}

void np_death(struct neap_header *header)
{
    np_perturb(death);
    const struct neap_type *type = np_type_at(header->type);
    uint32_t shared =
        np_load_relaxed(&header->shared); /* relaxed: nobody else changes it any more */
    struct np_local *local = np_tls.local;
    if (np_unlikely(type->flags & NEAP_PEEKABLE) && np_grace_wanted(header, type)) {
        np_grace_add(header);
        return;
    }
    bool plain = !(type->traits & NP_TRAIT_HOOKS) && !(shared & NP_HAS_WEAK);
    if (plain && !(type->traits & NP_TRAIT_SLOTS)) {
        np_object_free(header);
    } else if (plain && np_tls.dying == 0 && np_death_is_empty(local)) {
        destroy_here(local, header);
    } else {
        push(&local->dying[list_for(type, shared)], header);
        if (np_tls.dying == 0)
            np_death_drain(local, np_options.release_budget);
    }
}

void np_death_quiet(struct neap_header *header)
{
    np_perturb(death);
    const struct neap_type *type = np_type_at(header->type);
    if (np_unlikely(type->flags & NEAP_PEEKABLE) && np_grace_wanted(header, type)) {
        np_grace_add(header);
        return;
    }
    bool watched = (np_load_relaxed(&header->shared) & NP_HAS_WEAK) != 0;
    if ((type->traits & NP_TRAIT_USER) || (watched && np_weak_calls(header))) {
        np_pending_push_object(header);
        return;
    }
    if (watched) {
        struct np_list none;
        np_list_init(&none);
        np_weak_clear(header, &none);
    }
    push(&np_tls.local->dying[NP_DYING_PLAIN], header);
    np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
}

void np_death_of_pending(struct neap_header *header)
{
    struct np_local *local = np_tls.local;
    const struct neap_type *type = np_type_at(header->type);
    push(&local->dying[list_for(type, NP_HAS_WEAK)], header);
    if (np_tls.dying == 0)
        np_death_drain(local, np_options.release_budget);
}

void neap_visit(struct neap_visitor *visitor, void *slot)
{
    visitor->slot(visitor, slot);
}
