/* SPDX-License-Identifier: MIT
 *
 * Components come out of Tarjan's algorithm sinks first, so the result is filled from its end. */
#include "collector/components.h"

#include <string.h>

/* Of one candidate. */
struct vertex {
    uint32_t number; /* in the order of discovery, from 1; 0: not found yet */
    uint32_t low;    /* the least number reached; 0: its component is done */
};

struct frame {
    uint32_t candidate;
    uint32_t next; /* slot to be looked at */
};

static struct {
    struct vertex *vertices;
    struct frame *frames;
    uint32_t *open; /* found, and in no component yet */
    struct neap_header **ordered;
    size_t depth, open_count, end; /* of frames; of open; ordered is filled from here on */
    uint32_t numbers;
} work;

void np_components_drop(void)
{
    memset(&work, 0, sizeof work);
}

static bool begin(size_t count)
{
    work.vertices = np_proposal_memory(count, sizeof *work.vertices);
    work.frames = np_proposal_memory(count, sizeof *work.frames);
    work.open = np_proposal_memory(count, sizeof *work.open);
    work.ordered = np_proposal_memory(count, sizeof *work.ordered);
    work.end = count;
    return work.vertices != NULL && work.frames != NULL && work.open != NULL &&
           work.ordered != NULL;
}

static void discover(uint32_t candidate)
{
    work.vertices[candidate] = (struct vertex){++work.numbers, work.numbers};
    work.open[work.open_count++] = candidate;
    work.frames[work.depth++] = (struct frame){candidate, 0};
}

/* All open ones from this on are one component. */
static void close_component(struct neap_header *const *candidates, uint32_t candidate)
{
    uint32_t member;
    do {
        member = work.open[--work.open_count];
        work.vertices[member].low = 0;
        work.ordered[--work.end] = candidates[member];
    } while (member != candidate);
    work.ordered[work.end] =
        (struct neap_header *)((uintptr_t)work.ordered[work.end] | NP_PROPOSAL_FIRST);
}

static void lower_to(struct vertex *vertex, uint32_t low)
{
    if (low < vertex->low)
        vertex->low = low;
}

/* The next candidate that the top frame's object refers to and that is new, in *ret_new; false: it
 * has no more. */
static bool next_new(struct neap_header *const *candidates, struct frame *frame, uint32_t *ret_new)
{
    struct np_members_slots slots;
    if (!np_proposal_slots(candidates[frame->candidate], &slots))
        return false;
    while (frame->next < slots.count) {
        const void *child = np_proposal_read(&slots, frame->next++);
        if (!np_proposal_poll_slot(frame->next))
            return false;
        const uint32_t *word = child != NULL ? np_proposal_word(child) : NULL;
        if (word == NULL || !(*word & NP_PROPOSAL_CANDIDATE))
            continue;
        uint32_t candidate = *word / NP_PROPOSAL_ONE;
        const struct vertex *vertex = &work.vertices[candidate];
        if (vertex->number == 0) {
            *ret_new = candidate;
            return true;
        }
        if (vertex->low != 0)
            lower_to(&work.vertices[frame->candidate], vertex->number);
    }
    return false;
}

static void finish(struct neap_header *const *candidates)
{
    uint32_t candidate = work.frames[--work.depth].candidate;
    uint32_t low = work.vertices[candidate].low;
    if (low == work.vertices[candidate].number)
        close_component(candidates, candidate);
    else
        lower_to(&work.vertices[work.frames[work.depth - 1].candidate], low);
}

static bool order_from(struct neap_header *const *candidates, uint32_t start, bool (*poll)(void))
{
    discover(start);
    while (work.depth > 0) {
        uint32_t fresh;
        if (next_new(candidates, &work.frames[work.depth - 1], &fresh))
            discover(fresh);
        else
            finish(candidates);
        if (!poll())
            return false;
    }
    return true;
}

enum np_proposal_result np_components_order(struct np_proposal *proposal, bool (*poll)(void))
{
    if (!begin(proposal->count))
        return NP_PROPOSAL_NO_MEMORY;
    for (uint32_t i = 0; i < proposal->count; i++)
        if (work.vertices[i].number == 0 && !order_from(proposal->candidates, i, poll))
            return NP_PROPOSAL_STOPPED;
    proposal->candidates = work.ordered;
    return NP_PROPOSED;
}
