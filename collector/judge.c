/* SPDX-License-Identifier: MIT */
#include "collector/judge.h"

#include "alloc/large.h"
#include "base/plant.h"
#include "collector/count.h"
#include "collector/plan.h"
#include "collector/trace.h"
#include "collector/universe.h"
#include "collector/verify.h"
#include "neap/gc.h"
#include "runtime/deferred.h"

static bool may_be_judged(const struct neap_header *header)
{
    /* relaxed, all: as hints, or in a stop */
    uint8_t gc = np_load_relaxed(&header->gc);
    if (np_planted(judge_dead))
        return true;
    return np_load_relaxed(&header->type) != 0 &&
           np_load_relaxed(&header->owner) < NEAP_OWNER_RESERVED && (gc & NP_GC_TRACKED) != 0 &&
           (gc & NP_GC_GENERATION) != 0 && !(gc & (NP_GC_FROZEN | NP_GC_CONDEMNED));
}

size_t np_judge_prepare(struct neap_header **candidates, size_t count)
{
    size_t kept = 0;
    np_plan_update();
    for (size_t i = 0; i < count; i++) {
        struct neap_header *header = candidates[i];
        bool small = np_region_has(header);
        /* [MM-pool-kind-1] acquire: as in proposal.c: else it is no header */
        if (small && np_load_acquire(&np_pool_of(header)->kind) != NP_POOL_OBJECTS)
            continue;
        if (!may_be_judged(header) || (small && !np_side_cover(np_pool_index_of(header))))
            continue;
        if (small)
            *np_side_word(header) = 0; /* its page, before the stop */
        candidates[kept++] = header;
    }
    return kept;
}

/* Pools keep kind and class while they have blocks, and a candidate's may have none any more. Large
 * objects are held back until all are judged. */
static bool is_block(const struct neap_header *header)
{
    if (!np_region_has(header))
        return true;
    const struct np_pool *pool = np_pool_of(header);
    uint32_t index = np_block_index(pool, header);
    return pool->kind == NP_POOL_OBJECTS && index < pool->carved &&
           np_block_at(pool, index) == header;
}

/* An object of the kind that was proposed? */
static bool is_judged(const struct neap_header *header, uint64_t *ret_count)
{
    return is_block(header) && may_be_judged(header) && np_type_at(header->type)->visit == NULL &&
           np_count_in_header(header, ret_count);
}

static void uncount_slot(struct neap_visitor *visitor, void **slot)
{
    (void)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: whoever writes it is stopped */
    uint32_t *word = child != NULL ? np_side_word(neap_header_of(child)) : NULL;
    if (word == NULL || !(*word & NP_SIDE_MEMBER))
        return;
    *word -= NP_SIDE_ONE;
    if (np_planted(edge_twice))
        *word -= NP_SIDE_ONE;
}

/* Leaves those that are members; returns how many. */
static size_t enrol(struct neap_header **candidates, size_t count, bool *ret_unusual)
{
    size_t kept = 0;
    *ret_unusual = false;
    for (size_t i = 0; i < count; i++) {
        struct neap_header *header = candidates[i];
        uint64_t references;
        if (!is_judged(header, &references))
            continue;
        if (header->flags & NP_FLAG_LARGE)
            np_universe.large[np_universe.large_count++] = header;
        *np_side_word(header) = (uint32_t)references * NP_SIDE_ONE + NP_SIDE_MEMBER;
        *ret_unusual |= np_count_needs_user(header, np_type_at(header->type));
        candidates[kept++] = header;
    }
    return kept;
}

/* Marks what is held, and what that reaches; leaves the others and returns how many they are. */
static size_t keep_garbage(struct neap_header **candidates, size_t count)
{
    struct neap_visitor visitor = {uncount_slot};
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        np_plan_visit(candidates[i], &visitor, uncount_slot);
    for (size_t i = 0; i < count; i++) {
        int32_t held = np_side_count(*np_side_word(candidates[i]));
        if (held < 0)
            np_trace_panic_overcount(candidates[i]);
        if (held > 0 && !np_planted(trust_proposal))
            np_trace_from_stopped(candidates[i], NULL, NULL);
    }
    for (size_t i = 0; i < count; i++)
        if (!(*np_side_word(candidates[i]) & NP_SIDE_MARKED))
            candidates[kept++] = candidates[i];
    return kept;
}

size_t np_judge_stopped(struct neap_header **candidates, size_t count,
                        struct np_findings *ret_findings)
{
    bool unusual;
    np_deferred_fold_stopped();
    np_universe.generation = 2;
    np_universe.large_count = 0;
    np_side.large_age = 2;
    count = enrol(candidates, count, &unusual);
    count = keep_garbage(candidates, count);
    if (NP_CHECK_LEVEL >= 2)
        np_verify_garbage_stopped(candidates, count, "concurrent");
    bool save_all = (neap_gc_get_debug() & NEAP_GC_DEBUG_SAVEALL) != 0;
    np_garbage_part_list_stopped(candidates, count, unusual, save_all, ret_findings);
    /* rows are cleared later; these words are in front of what may be gone then */
    for (size_t i = 0; i < np_universe.large_count; i++)
        *np_side_word(np_universe.large[i]) = 0;
    return count;
}
