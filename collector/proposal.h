/* SPDX-License-Identifier: MIT
 *
 * What a concurrent collection proposes: old objects that look like garbage to one thread which
 * reads counts and slots while the program changes them (docs/concurrent.md). A proposal frees
 * nothing: judge.h decides, in a stop, on the objects as they are then. So reading may be torn,
 * late or wrong; it must only never fault, and be right about what nobody changes.
 *
 *   count      each member's count minus references from members' slots, as they are read
 *   trace      members with something left over, and what they reach, live
 *   look again the others, counted anew among themselves: what has moved meanwhile lives
 *   order      their strongly connected components, sources first (components.h)
 *
 * Members: objects above generation 0 that are tracked and counted, of types whose references are
 * where their descriptor says. All others are outside (types with a visit, weak maps, the frozen,
 * the immortal): what they refer to is held.
 *
 * Why it never faults: pools stay mapped; a slot's value is used as an index only, or looked up; a
 * pool's kind and class do not change between two stop points of an attached thread (pool.h); a
 * member's block is held back when it dies (hold.h).
 *
 * Its words are a table of their own beside side.h's, one per 32 bytes of the region, and those of
 * roster.h for large objects.
 *
 * Concurrency: the collector's thread alone, but for what reach.h shares out.
 *
 * Implemented by proposal.c. Used by concurrent.c, reach.c and components.c.
 */
#ifndef NP_COLLECTOR_PROPOSAL_H
#define NP_COLLECTOR_PROPOSAL_H

#include "alloc/pool.h"
#include "collector/plan.h"
#include "collector/roster.h"

struct np_proposal {
    struct neap_header **candidates; /* in order; bit 0: a component begins */
    size_t count;
    uint64_t members;      /* objects counted */
    uint64_t opaque;       /* tracked objects above generation 0 that are outside */
    uint64_t opaque_bytes; /* of these, the large ones */
    bool has_large;        /* among the candidates */
};

/* Address space for the words, once; false: refused. */
bool np_proposal_reserve(void);
void np_proposal_unreserve(void);

enum np_proposal_result { NP_PROPOSED, NP_PROPOSAL_STOPPED, NP_PROPOSAL_NO_MEMORY };

/* The three passes. The caller has begun to hold blocks back and has shaken hands. Polls;
 * `stopped` is asked after each poll. */
enum np_proposal_result np_proposal_count(struct np_proposal *ret, bool (*stopped)(void));
enum np_proposal_result np_proposal_trace(struct np_proposal *proposal, bool (*stopped)(void));
enum np_proposal_result np_proposal_order(struct np_proposal *proposal, bool (*stopped)(void));

/* What judging the candidate costs, in objects of usual size. */
size_t np_proposal_weight(const struct neap_header *candidate);

/* Forgets the candidates; what is left is memory, which np_proposal_give_back gives back. In any
 * state; again does nothing. A fork may come in between: the child calls both. */
void np_proposal_drop(struct np_proposal *proposal);
void np_proposal_give_back(void);

/* ---- for reach.c and components.c ---- */

/* A member's slots, by number. */
struct np_members_slots {
    char *base;
    const struct np_plan *plan; /* simple; or NULL: */
    const struct neap_type *type;
    const char *end; /* of the block */
    size_t per_element, count;
};

bool np_proposal_slots_otherwise(const struct neap_header *header,
                                 struct np_members_slots *ret_slots);

/* False: it has died, or its references are not where a descriptor says. */
static inline bool np_proposal_slots(const struct neap_header *header,
                                     struct np_members_slots *ret_slots)
{
    /* relaxed, both: written at birth, before a stop; 0 and no array when it has died */
    uint32_t index = np_load_relaxed(&header->type);
    bool array = (np_load_relaxed(&header->flags) & NP_FLAG_ARRAY) != 0;
    const struct np_plan *plan = np_plan_at(index);
    if (np_unlikely(index == 0 || !plan->simple || array))
        return np_proposal_slots_otherwise(header, ret_slots);
    ret_slots->base = (char *)(uintptr_t)header;
    ret_slots->plan = plan;
    ret_slots->count = plan->count;
    return true;
}

static inline void *np_proposal_read(const struct np_members_slots *slots, size_t number)
{
    void **place;
    if (np_likely(slots->plan != NULL)) {
        place = (void **)(void *)(slots->base + slots->plan->offset[number]);
    } else {
        size_t within = number % slots->per_element;
        const struct neap_slot *slot = slots->type->slots;
        while (!(slot->kind & NEAP_SLOT_TRAILING) && within >= slot->count)
            within -= (slot++)->count;
        char *element = slots->base + number / slots->per_element * slots->type->size;
        place = (void **)(void *)(element + slot->offset) + within;
    }
    return np_load_relaxed(place); /* relaxed: a hint, and used as an index only */
}

/* The words: row r, of pool r, is words[r * NP_SIDE_ROW ...]. */
struct np_proposal_table {
    uint32_t *words;
    size_t bytes;
    size_t used; /* bytes of words that may not be 0 */
};
extern struct np_proposal_table np_proposal_table;

/* The word of the object that a reference leads to, or NULL: it is in no pool, nor a large one of
 * the roster. */
static inline uint32_t *np_proposal_word(const void *object)
{
    const struct neap_header *header = neap_header_of(object);
    uintptr_t offset = (uintptr_t)header - np_region.base;
    return np_likely(offset < np_region.bytes) ? &np_proposal_table.words[offset / NP_OBJECT_MIN]
                                               : np_roster_word(header);
}

static inline uint32_t *np_proposal_word_of(const struct neap_header *member)
{
    return np_proposal_word(np_object_of(member));
}

/* The object of a word of the pool's row. */
static inline struct neap_header *np_proposal_object_at(const struct np_pool *pool,
                                                        uint32_t granule)
{
    uint32_t last_byte = granule * NP_OBJECT_MIN + NP_OBJECT_MIN - 1;
    return np_block_at(pool, (uint32_t)(((uint64_t)last_byte * pool->reciprocal) >> 32));
}

/* Stop points. False: it is to end. What has been read before means nothing any more but where
 * members are. */
bool np_proposal_poll(void);
bool np_proposal_poll_sometimes(void); /* one in POLL_EVERY calls is one */

/* Of a member's slots one in so many is one: after slot `number`. False: it is to end, as the next
 * poll says too. */
static inline bool np_proposal_poll_slot(size_t number)
{
    return np_likely(number % 1024 != 1023) || np_proposal_poll();
}

enum {
    NP_PROPOSAL_MEMBER = 1,
    NP_PROPOSAL_MARKED = 2,
    NP_PROPOSAL_CANDIDATE = 4,
    NP_PROPOSAL_GREY = 4, /* during the trace, when there are no candidates (reach.h) */
    NP_PROPOSAL_ONE = 8   /* above: the count, or a candidate's number */
};

/* Of a member: not found to live, so far. */
static inline bool np_proposal_is_unmarked(uint32_t word)
{
    return (word & (NP_PROPOSAL_MEMBER | NP_PROPOSAL_MARKED)) == NP_PROPOSAL_MEMBER;
}

enum { NP_PROPOSAL_FIRST = 1 }; /* bit of a candidate's address */

/* Memory for a pass, until np_proposal_give_back: whole pages, NULL when refused. */
void *np_proposal_memory(size_t count, size_t size);

#endif
