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
#include "runtime/batch.h"
#include "runtime/count.h"
#include "runtime/ephemeron.h"
#include "runtime/grace.h"
#include "runtime/hold.h"
#include "runtime/pending.h"
#include "runtime/plan.h"
#include "runtime/visit.h"
#include "runtime/weak.h"
#include "threads/safepoint.h"
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
        np_tls.heap->old_freed++;
        if (np_unlikely(np_hold_wanted(NP_HOLD_ALL))) {
            np_hold_take(header);
            return;
        }
        np_pool_note_reuse(np_tls.heap, np_pool_of(header));
    }
    np_heap_give(np_tls.heap, header);
}

static inline void tell_tracer(struct neap_header *header)
{
    if ((header->flags & NP_FLAG_LARGE) ||
        !np_trace_quick_freed(np_tls.heap, header, np_pool_of(header)->block_bytes))
        np_trace_hooks.freed(header);
}

/* Large, traced or both. */
static np_noinline void free_marked(struct neap_header *header)
{
    if (header->flags & NP_FLAG_TRACED)
        tell_tracer(header);
    if (!(header->flags & NP_FLAG_LARGE)) {
        free_small(header);
        return;
    }
    bool published = (np_load_relaxed(&header->shared) & NP_PUBLISHED) != 0;
    bool old = (np_load_relaxed(&header->gc) & NP_GC_GENERATION) != 0;
    bool tracked = (np_type_at(header->type)->traits & NP_TRAIT_SLOTS) != 0;
    struct np_heap *heap = np_tls.heap;
    np_store_relaxed(&header->type, 0);
    heap->old_freed += old;
    if (np_unlikely(old && np_hold_wanted(NP_HOLD_LARGE)))
        np_hold_take_large(header);
    else
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

/* Disposed of, children released. The cleanups become pending where user code may not run. */
static void finish(struct neap_header *header, bool plain_only)
{
    if (np_likely(!(np_load_relaxed(&header->shared) & NP_HAS_WEAK))) {
        np_object_free(header);
        return;
    }
    struct np_list cleanups;
    np_list_init(&cleanups);
    np_cleanup_take(header, &cleanups);
    np_object_free(header);
    if (plain_only)
        np_pending_push_all(&cleanups);
    else
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
    finish(header, false);
    return true;
}

/* ---- falling: most objects have a few references at fixed places and run no code ---- */

/* Its death is nothing but its children's releases and its block's return; false with any of the
 * flags. */
static inline bool is_plain_without(const struct neap_header *header, const struct np_plan *plan,
                                    uint8_t flags)
{
    return !(header->flags & flags) && plan->simple && !plan->may_need_user && !plan->disposes &&
           !(np_load_relaxed(&header->shared) & NP_HAS_WEAK);
}

static inline bool can_fall(const struct neap_header *header, const struct np_plan *plan)
{
    return is_plain_without(header, plan, NP_FLAG_ARRAY | NP_FLAG_LARGE | NP_FLAG_TRACED);
}

/* It could, if it were not traced: the tracer is told, and what remains is as if it never was. */
static np_noinline bool untrace(struct neap_header *header)
{
    if (!(header->flags & NP_FLAG_TRACED) ||
        !is_plain_without(header, np_plan_at(header->type), NP_FLAG_ARRAY | NP_FLAG_LARGE))
        return false;
    tell_tracer(header);
    np_store_relaxed(&header->flags, (uint8_t)(header->flags & ~NP_FLAG_TRACED));
    return true;
}

/* For an object that dies now. */
static inline bool falls(struct neap_header *header)
{
    return can_fall(header, np_plan_at(header->type)) ||
           (np_unlikely(header->flags & NP_FLAG_TRACED) && untrace(header));
}

/* np_release for a dying parent's child. True: it was the last reference, and the child falls. */
static bool drop_child(struct neap_header *header)
{
    if (np_owner_of(header) != np_tls.id) {
        np_release(header, NP_LOUD);
        return false;
    }
    uint32_t local = np_load_relaxed(&header->local) - 1; /* relaxed: ours */
    np_store_relaxed(&header->local, local);
    if (local != 0)
        return false;
    /* [MM-zero-1] acquire: as in np_release_last */
    if (np_load_acquire(&header->shared) != 0) {
        np_release_last(header, NP_LOUD);
        return false;
    }
    if (header->flags & NP_FLAG_BARE) {
        np_object_free_bare(header);
        return false;
    }
    if (falls(header))
        return true;
    np_death(header); /* into its list */
    return false;
}

enum { SIBLINGS = 32 };

/* What falls next, in registers and on the stack; nothing of the program's runs meanwhile, nothing
 * polls, so none of it can be asked for. Where a release may wait it lands first. */
struct falling {
    struct np_local *local;
    struct np_heap *heap;
    uint64_t alone; /* word 0, but for its gc byte, of this thread's object with one reference */
    unsigned count;
    bool asked; /* something else than a fall may have queued what comes first */
    struct neap_header *siblings[SIBLINGS];
};

/* The only reference to an object just like its parent, of type `kind` >> 32: the common child. */
static inline bool is_alike(const struct neap_header *header, uint64_t alone, uint64_t kind)
{
    const uint64_t gc_byte = (uint64_t)0xFF << 48;
    /* relaxed: only our own id decides, and then nobody else writes it. [MM-zero-1] acquire: as in
     * np_release_last; shared is 0 and the type the same */
    return (np_load_relaxed((const np_word *)header) & ~gc_byte) == alone &&
           np_load_acquire((const np_word *)header + 1) == kind;
}

static inline void keep_sibling(struct falling *falling, struct neap_header *header)
{
    if (np_likely(falling->count < SIBLINGS))
        falling->siblings[falling->count++] = header;
    else
        push(&falling->local->dying[NP_DYING_PLAIN], header);
}

/* Without a spare batch the release of another thread's object may wait for one, parked, and the
 * world may stop: what falls must be dead by value by then, and on its list. */
static np_noinline void land(struct falling *falling, struct neap_header *header,
                             struct neap_header *next)
{
    /* relaxed, both: as in push */
    uint64_t kept = np_load_relaxed((np_word *)header) & np_link_kept;
    np_store_relaxed((np_word *)header, np_link_encode(NULL) | kept);
    if (next != NULL)
        push(&falling->local->dying[NP_DYING_PLAIN], next);
    while (falling->count > 0)
        push(&falling->local->dying[NP_DYING_PLAIN], falling->siblings[--falling->count]);
}

/* Releases the children; one that falls is returned, the others become siblings. */
static inline struct neap_header *drop_children(struct falling *falling, struct neap_header *header,
                                                const struct np_plan *plan)
{
    struct neap_header *next = NULL;
    uint64_t kind = (uint64_t)header->type << 32;
    unsigned count = plan->count;
    for (unsigned i = 0; i < count; i++) {
        /* relaxed: the parent is ours alone */
        void *child = np_load_relaxed((void **)(void *)((char *)header + plan->offset[i]));
        if (child == NULL)
            continue;
        if (!is_alike(neap_header_of(child), falling->alone, kind)) {
            falling->asked = true;
            if (np_unlikely(falling->local->spare == NULL) &&
                np_owner_of(neap_header_of(child)) != np_tls.id) {
                land(falling, header, next);
                next = NULL;
            }
            if (!drop_child(neap_header_of(child)))
                continue;
        }
        if (next != NULL)
            keep_sibling(falling, next);
        next = neap_header_of(child);
    }
    return next;
}

/* free_small, without its calls. */
static inline void free_fallen(struct np_heap *heap, struct neap_header *header)
{
    const struct np_pool *pool = np_pool_of(header);
    /* relaxed: our id only if the pool is ours, generations and all */
    if (np_load_relaxed(&header->gc) & NP_GC_GENERATION) {
        if (np_hold_wanted(NP_HOLD_ALL) ||
            !(np_load_relaxed(&pool->owner) == heap->id && (pool->generations & 1))) {
            free_small(header);
            return;
        }
        heap->old_freed++;
    }
    np_store_relaxed(&header->type, 0);
    np_heap_give(heap, header);
}

/* Someone runs the program's code when it dies and comes first. */
static bool has_user_lists(const struct np_local *local)
{
    return local->dying[NP_DYING_PROMPT] != NULL || local->dying[NP_DYING_USER] != NULL;
}

/* The next one when the last had no child that falls, or NULL: that is for others to find out. */
static inline struct neap_header *next_to_fall(struct falling *falling)
{
    if (falling->count > 0)
        return falling->siblings[--falling->count];
    struct neap_header *next = falling->local->dying[NP_DYING_PLAIN];
    if (next == NULL || !falls(next))
        return NULL;
    return pop(&falling->local->dying[NP_DYING_PLAIN]);
}

/* np_tls.dying is not 0, *budget neither. The object, one of its children, one of that one's, and
 * so on; their siblings wait and follow. What is left when the budget ends, or when something must
 * come first, goes to the list of plain objects. */
static void fall(struct np_local *local, struct neap_header *header, uint64_t *budget)
{
    struct falling falling;
    uint64_t left = *budget;
    uint32_t type = 0;
    const struct np_plan *plan = NULL;
    falling.local = local;
    falling.heap = np_tls.heap;
    falling.alone = 1 | (uint64_t)np_tls.id << 32;
    falling.count = 0;
    falling.asked = false;
    while (header != NULL) {
        if (np_unlikely(header->type != type)) {
            type = header->type;
            plan = np_plan_at(type);
        }
        struct neap_header *next = drop_children(&falling, header, plan);
        free_fallen(falling.heap, header);
        if (np_unlikely(--left == 0 || (falling.asked && has_user_lists(local)))) {
            if (next != NULL)
                keep_sibling(&falling, next);
            break;
        }
        header = next != NULL ? next : next_to_fall(&falling);
    }
    for (unsigned i = 0; i < falling.count; i++)
        push(&local->dying[NP_DYING_PLAIN], falling.siblings[i]);
    *budget = left;
}

/* ---- the lists ---- */

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

/* A budget as callers and options give it: 0 is all. */
static uint64_t all_if_0(uint64_t budget)
{
    return budget == 0 ? UINT64_MAX : budget;
}

/* At most *budget, from which it takes what it used: 0 leaves all but prompt objects for later. */
static bool drain(struct np_local *local, uint64_t *budget, bool plain_only)
{
    np_tls.dying++;
    for (;;) {
        if (local->partial != NULL && *budget > 0) {
            struct neap_header *header = local->partial;
            size_t next = local->partial_next;
            np_store_relaxed(&local->partial, NULL);
            const struct neap_type *type = np_type_at(header->type);
            if (type->flags & NP_TYPE_PIECEMEAL
                    ? release_pieces(local, header, np_piecemeal_of(type), budget)
                    : release_long(local, header, type, next, budget))
                finish(header, plain_only);
            continue;
        }
        struct neap_header *header = next_of(local, plain_only, *budget == 0);
        if (header == NULL)
            break;
        if (*budget > 0 && falls(header)) {
            fall(local, header, budget);
            continue;
        }
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

void np_death_take(struct np_local *from, bool with_user)
{
    struct np_local *local = np_tls.local;
    np_assert(np_death_is_empty(local));
    /* relaxed, all: ours by the claim; hints for others */
    for (unsigned list = 0; list < NP_DYING_LISTS; list++) {
        if (list != NP_DYING_PLAIN && !with_user)
            continue;
        np_store_relaxed(&local->dying[list], from->dying[list]);
        np_store_relaxed(&from->dying[list], NULL);
    }
    if (!with_user)
        return;
    np_store_relaxed(&local->partial, from->partial);
    local->partial_next = from->partial_next;
    np_store_relaxed(&from->partial, NULL);
}

static void leave_user(struct np_local *local)
{
    while (local->dying[NP_DYING_PROMPT] != NULL)
        np_pending_push_object(pop(&local->dying[NP_DYING_PROMPT]));
    while (local->dying[NP_DYING_USER] != NULL)
        np_pending_push_object(pop(&local->dying[NP_DYING_USER]));
}

void np_death_settle(struct np_local *local, uint64_t step)
{
    do {
        np_death_drain_plain(local, step);
        leave_user(local);
        np_batch_flush(local);
        np_quiescent_point(np_tls.thread);
    } while (!np_death_is_empty(local) || np_batch_is_open(local));
}

/* The outermost death of an object that falls, and of those that follow it. */
static void fall_here(struct np_local *local, struct neap_header *header)
{
    uint64_t budget = all_if_0(np_options.release_budget);
    np_tls.dying++;
    fall(local, header, &budget);
    np_tls.dying--;
    if (np_unlikely(!np_death_is_empty(local)))
        drain(local, &budget, false);
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

/* What does not fall, or not now. */
static np_noinline void death_otherwise(struct neap_header *header)
{
    struct np_local *local = np_tls.local;
    const struct neap_type *type = np_type_at(header->type);
    uint32_t shared =
        np_load_relaxed(&header->shared); /* relaxed: nobody else changes it any more */
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

/* One that would be NP_FLAG_BARE if it were not traced goes as such. */
static np_noinline void death_traced(struct neap_header *header)
{
    bool bare = (np_type_at(header->type)->birth & (uint64_t)NP_FLAG_BARE << 56) != 0 &&
                !(header->flags & NP_FLAG_LARGE) && np_load_relaxed(&header->shared) == 0;
    if (bare) {
        tell_tracer(header);
        np_object_free_bare(header);
    } else if (untrace(header)) {
        np_death(header);
    } else {
        death_otherwise(header);
    }
}

static np_noinline void death_unusual(struct neap_header *header)
{
    if (header->flags & NP_FLAG_TRACED)
        death_traced(header);
    else
        death_otherwise(header);
}

void np_death(struct neap_header *header)
{
    np_perturb(death);
    struct np_local *local = np_tls.local;
    if (np_likely(np_tls.dying == 0 && can_fall(header, np_plan_at(header->type)) &&
                  np_death_is_empty(local))) {
        fall_here(local, header);
        return;
    }
    death_unusual(header);
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
