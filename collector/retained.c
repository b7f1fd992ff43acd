/* SPDX-License-Identifier: MIT
 *
 * Retained size: everything reachable from the object is taken as a set, references from inside it
 * are subtracted from the counts as in a collection, and what is held from outside, or reachable
 * from there without passing through the object, is taken out again. The rest would die with the
 * object. */
#include "base/os.h"
#include "collector/collect.h"
#include "collector/count.h"
#include "collector/plan.h"
#include "collector/trace.h"
#include "neap/gc.h"
#include "runtime/usage.h"
#include "runtime/visit.h"
#include "threads/handshake.h"

struct closure {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct neap_header **members;
    size_t count, limit;
};

/* A member's word says so from the moment it is found; its count comes later. */
static void find_slot(struct neap_visitor *visitor, void **slot)
{
    struct closure *closure = (struct closure *)(void *)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: the world is stopped */
    if (child == NULL)
        return;
    struct neap_header *header = neap_header_of(child);
    uint32_t *word = np_side_word(header);
    if (word == NULL || (*word & NP_SIDE_MEMBER) || closure->count == closure->limit)
        return;
    *word = NP_SIDE_MEMBER;
    closure->members[closure->count++] = header;
}

static void subtract_slot(struct neap_visitor *visitor, void **slot)
{
    (void)visitor;
    const void *child = np_load_relaxed(slot); /* relaxed: the world is stopped */
    uint32_t *word = child != NULL ? np_side_word(neap_header_of(child)) : NULL;
    if (word != NULL && (*word & NP_SIDE_MEMBER))
        *word -= NP_SIDE_ONE;
}

static void visit(struct neap_header *header, struct neap_visitor *visitor)
{
    np_visit_object(header, np_type_at(header->type), visitor, visitor->slot);
}

/* Breadth first: the list of members is its own queue. */
static void find_members(struct closure *closure, struct neap_header *first)
{
    *np_side_word(first) = NP_SIDE_MEMBER;
    closure->members[closure->count++] = first;
    for (size_t i = 0; i < closure->count; i++)
        visit(closure->members[i], &closure->visitor);
}

static size_t measure_stopped(struct closure *closure, struct neap_header *first)
{
    find_members(closure, first);
    for (size_t i = 0; i < closure->count; i++) {
        uint64_t count;
        if (!np_count_in_header(closure->members[i], &count))
            count = closure->count; /* held whatever happens */
        *np_side_word(closure->members[i]) += (uint32_t)count * NP_SIDE_ONE;
    }
    struct neap_visitor subtracting = {subtract_slot};
    for (size_t i = 0; i < closure->count; i++)
        visit(closure->members[i], &subtracting);
    *np_side_word(first) = 0; /* no member: nothing is traced through it */
    for (size_t i = 1; i < closure->count; i++)
        if (np_side_count(*np_side_word(closure->members[i])) > 0)
            np_trace_from_stopped(closure->members[i], NULL, NULL);
    size_t bytes = np_object_block_bytes(first);
    for (size_t i = 1; i < closure->count; i++)
        if (!(*np_side_word(closure->members[i]) & NP_SIDE_MARKED))
            bytes += np_object_block_bytes(closure->members[i]);
    for (size_t i = 0; i < closure->count; i++)
        *np_side_word(closure->members[i]) = 0;
    return bytes;
}

size_t neap_retained_size(const void *object)
{
    if (object == NULL)
        return 0;
    np_usage_check("neap_retained_size");
    np_collect_lock("neap_retained_size");
    np_world_stop(NP_STOP_WALK);
    np_plan_update();
    np_universe_gather_stopped(2);
    struct closure closure = {.visitor = {find_slot}};
    closure.limit = (size_t)np_side.row_count * NP_SIDE_ROW + np_universe.large_count + 1;
    size_t page = np_os_page_bytes();
    size_t bytes = (closure.limit * sizeof *closure.members + page - 1) & ~(page - 1), retained = 0;
    closure.members = np_os_reserve(bytes, 1);
    if (closure.members != NULL && np_side_word(neap_header_of(object)) != NULL)
        retained = measure_stopped(&closure, neap_header_of(object));
    np_world_start();
    if (closure.members != NULL)
        np_os_unreserve(closure.members, bytes);
    np_side_clear();
    np_collect_unlock();
    return retained;
}
