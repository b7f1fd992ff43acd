/* SPDX-License-Identifier: MIT
 *
 * Handing over needs three facts at once: owner = me, local = 1, shared = 0. Then the caller holds
 * the only reference, nobody can acquire another (the object is not published), and one store of
 * `handed` gives it away. `shared` stays 0 on the way, so that a stale reader of the address finds
 * nothing to acquire; the taker changes `owner` alone: adopting by plain stores to `shared` would
 * let a stale reader's undo free the object under its holder (tests/model/hand_over.pml).
 *
 * Making an object immortal or deferred overwrites `owner`. Only the owner may write it, or anybody
 * once the object is merged: a stranger first has the owner merge it, by handshake.
 */
#include "runtime/owner.h"

#include "base/check.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "neap/discipline.h"
#include "runtime/count.h"
#include "runtime/deferred.h"
#include "runtime/usage.h"
#include "runtime/visit.h"
#include "threads/handshake.h"

static bool is_exclusive(const struct neap_header *header)
{
    /* relaxed, all: with owner = me the others cannot change under us unless shared is not 0 */
    return np_load_relaxed(&header->owner) == np_tls.id && np_load_relaxed(&header->local) == 1 &&
           np_load_relaxed(&header->shared) == 0;
}

static void give_away(struct neap_header *header)
{
    np_perturb(hand_over);
    if (np_planted(adopt_by_stores))
        np_store_relaxed(&header->shared, (uint32_t)(NP_MERGED + NP_SHARED_ONE));
    /* [MM-hand-1] release: what the giver wrote is the taker's; pairs with the acquire of adopting
     */
    np_store_release(&header->owner, (uint16_t)NEAP_OWNER_HANDED);
}

void np_unbias_own(struct neap_header *header)
{
    uint32_t local = np_load_relaxed(&header->local); /* relaxed: ours */
    uint32_t shared = np_load_relaxed(&header->shared);
    /* relaxed, both: before MERGED by the swap's release; nothing is written after it */
    np_store_relaxed(&header->local, 0);
    np_store_relaxed(&header->owner, NEAP_OWNER_NONE);
    uint32_t merged;
    do {
        merged = np_shared_add(shared, local) | NP_MERGED;
        /* [MM-merge-1] acq_rel: as in count.c */
    } while (!np_cas_acq_rel(&header->shared, &shared, merged));
}

void neap_hand_over(void *object)
{
    np_usage_check("neap_hand_over");
    if (object == NULL)
        return;
    struct neap_header *header = neap_header_of(object);
    if (is_exclusive(header))
        give_away(header);
    else if (np_load_relaxed(&header->owner) == np_tls.id) /* relaxed: only we can make it equal */
        np_unbias_own(header);
}

/* ---- graphs: depth first over a bounded stack; what does not fit stays the giver's, which is only
 * slower ---- */

enum { GRAPH_STACK = 256 };

struct graph_visitor {
    struct neap_visitor visitor; /* first */
    size_t limit, given, depth;
    struct neap_header *stack[GRAPH_STACK];
};

static void give_child(struct neap_visitor *visitor, void **slot)
{
    struct graph_visitor *graph = np_container_of(visitor, struct graph_visitor, visitor);
    void *child = np_load_relaxed(slot); /* relaxed: a plain slot of an object that is ours alone */
    if (child == NULL || graph->given == graph->limit || graph->depth == GRAPH_STACK)
        return;
    struct neap_header *header = neap_header_of(child);
    /* one reference in all, and this slot holds it */
    if (!is_exclusive(header))
        return;
    graph->stack[graph->depth++] = header;
    graph->given++;
}

size_t neap_hand_over_graph(void *object, size_t limit)
{
    np_usage_check("neap_hand_over_graph");
    if (object == NULL || limit == 0)
        return 0;
    struct neap_header *root = neap_header_of(object);
    if (!is_exclusive(root)) {
        neap_hand_over(object);
        return 0;
    }
    struct graph_visitor graph; /* not initialized as a whole: the stack is 2 KiB */
    graph.visitor.slot = give_child;
    graph.limit = limit;
    graph.given = graph.depth = 1;
    graph.stack[0] = root;
    while (graph.depth > 0) {
        struct neap_header *header = graph.stack[--graph.depth];
        const struct neap_type *type = np_type_at(header->type);
        if (type->traits & NP_TRAIT_SLOTS)
            np_visit_object(header, type, &graph.visitor, give_child);
        give_away(header);
    }
    return graph.given;
}

bool neap_adopt(void *object)
{
    np_usage_check("neap_adopt");
    return object != NULL && np_adopt(neap_header_of(object));
}

/* ---- taking the bias away ---- */

static void unbias_if_owner(struct np_thread *thread, void *arg)
{
    struct neap_header *header = arg;
    if (np_load_relaxed(&header->owner) ==
        thread->id) /* relaxed: we are that thread, or hold it still */
        np_unbias_own(header);
}

void np_unbias(struct neap_header *header)
{
    for (;;) {
        uint16_t owner = np_load_relaxed(&header->owner); /* relaxed: each case checks again */
        if (owner == np_tls.id) {
            np_unbias_own(header);
        } else if (owner == NEAP_OWNER_HANDED) {
            (void)np_adopt(header);
        } else if (owner == NEAP_OWNER_NONE) {
            /* [MM-merge-1] acquire: a merge in progress writes owner before MERGED: done when
             * MERGED is seen */
            if (np_load_acquire(&header->shared) & NP_MERGED)
                return;
            np_spin_hint();
        } else if (owner <= NEAP_OWNER_LAST) {
            np_handshake(unbias_if_owner, header);
        } else {
            np_check(owner < NEAP_OWNER_RESERVED, "%p is dying or dead", np_object_of(header));
            return;
        }
    }
}

void neap_immortalize(void *object)
{
    np_usage_check("neap_immortalize");
    np_check(object != NULL, "NULL is not an object");
    struct neap_header *header = neap_header_of(object);
    np_unbias(header);
    uint16_t owner = np_load_relaxed(&header->owner); /* relaxed: each case checks again */
    if (owner == NEAP_OWNER_NONE) {
        uint32_t shared = np_load_relaxed(&header->shared), stuck; /* relaxed: the swap decides */
        do {
            /* counted calls in flight find the count stuck; later ones find the owner */
            stuck = np_shared_stick(shared);
        } while (!np_cas_relaxed(&header->shared, &shared, stuck));
        /* relaxed: MERGED is set, so only another immortalize or defer can write it */
        (void)np_cas_relaxed(&header->owner, &owner, (uint16_t)NEAP_OWNER_IMMORTAL);
    }
    if (owner == NEAP_OWNER_DEFERRED)
        np_deferred_immortalize(header);
}
