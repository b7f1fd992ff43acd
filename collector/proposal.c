/* SPDX-License-Identifier: MIT
 *
 * Every read of what the program writes is relaxed and atomic, and nothing read is trusted: types
 * by plan.h's bound, slots by the region's. */
#include "collector/proposal.h"

#include "alloc/large.h"
#include "alloc/pool.h"
#include "base/fault.h"
#include "base/os.h"
#include "base/perturb.h"
#include "collector/components.h"
#include "collector/reach.h"
#include "collector/side.h"
#include "runtime/count.h"
#include "runtime/ephemeron.h"
#include "threads/safepoint.h"

enum {
    FAR = 32,         /* words on their way into the cache */
    POLL_EVERY = 256, /* objects visited between two stop points */
    HUGE_ROWS = 1024  /* from here on (16 MiB of heap) words are worth huge pages */
};

struct np_proposal_table np_proposal_table;
#define table np_proposal_table

/* Memory of the passes. */
enum { AREAS = 10 };
static struct area {
    void *start;
    size_t bytes;
} areas[AREAS + 1];
static unsigned area_count;

/* One pass's own. */
static struct {
    uint64_t visited;
    bool (*stopped)(void);
} pass;

static size_t whole_pages(size_t bytes)
{
    size_t page = np_os_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

void *np_proposal_memory(size_t count, size_t size)
{
    struct area *area = &areas[area_count];
    np_assert(area_count < AREAS);
    area->bytes = whole_pages((count + 1) * size);
    area->start = area_count == AREAS || np_fault() ? NULL : np_os_reserve(area->bytes, 1);
    area_count += area->start != NULL;
    return area->start;
}

bool np_proposal_reserve(void)
{
    if (table.words != NULL)
        return true;
    table.bytes = whole_pages(np_region.bytes / NP_OBJECT_MIN * sizeof *table.words);
    table.words = np_fault() ? NULL : np_os_reserve(table.bytes, NP_SIDE_ALIGNMENT);
    return table.words != NULL;
}

void np_proposal_unreserve(void)
{
    if (table.words != NULL)
        np_os_unreserve(table.words, table.bytes);
    table.words = NULL;
    table.used = 0;
}

void np_proposal_drop(struct np_proposal *proposal)
{
    *proposal = (struct np_proposal){0};
    np_components_drop();
    np_reach_drop();
    np_roster_drop();
}

/* Each is forgotten before it is given back: a child that is forked here loses one, but gives none
 * back twice. Words are zero or not, and made so again. */
void np_proposal_give_back(void)
{
    while (area_count > 0) {
        struct area area = areas[--area_count];
        np_os_unreserve(area.start, area.bytes);
    }
    if (table.used > 0)
        np_os_give_back(table.words, table.used);
    table.used = 0;
}

/* ---- members ---- */

static size_t block_bytes_of(const struct neap_header *header)
{
    return np_region_has(header) ? np_pool_of(header)->block_bytes : np_large_of(header)->bytes;
}

size_t np_proposal_weight(const struct neap_header *candidate)
{
    struct np_members_slots slots;
    if (np_region_has(candidate) || !np_proposal_slots(candidate, &slots))
        return 1;
    return 1 + slots.count / 16; /* so many cost as much as an object */
}

static bool general_slots(const struct neap_header *header, const struct neap_type *type,
                          bool array, struct np_members_slots *slots)
{
    slots->plan = NULL;
    slots->type = type;
    size_t block_bytes = block_bytes_of(header);
    slots->end = (const char *)header + block_bytes;
    slots->per_element = 0;
    for (uint32_t i = 0; i < type->slot_count; i++) {
        const struct neap_slot *slot = &type->slots[i];
        slots->per_element +=
            slot->kind & NEAP_SLOT_TRAILING
                ? (size_t)(slots->end - (slots->base + slot->offset)) / sizeof(void *)
                : slot->count;
    }
    size_t length = array ? *((const uint64_t *)(const void *)slots->end - 1) : 1;
    slots->count = length * slots->per_element;
    /* a header that is none (memory of an earlier pool) is not believed */
    return length <= block_bytes && length * type->size <= block_bytes &&
           slots->count <= UINT32_MAX; /* components.h counts them so */
}

bool np_proposal_slots_otherwise(const struct neap_header *header,
                                 struct np_members_slots *ret_slots)
{
    /* relaxed, both: as in np_proposal_slots */
    uint32_t index = np_load_relaxed(&header->type);
    bool array = (np_load_relaxed(&header->flags) & NP_FLAG_ARRAY) != 0;
    if (index == 0 || np_plan_at(index) == &np_no_plan)
        return false;
    const struct neap_type *type = np_type_at(index);
    ret_slots->base = np_object_of(header);
    return type->visit == NULL && !(type->flags & NP_TYPE_OURS) &&
           general_slots(header, type, array, ret_slots);
}

/* Its count, as far as it can be read; false: it is outside, or dead, or nothing yet. */
static bool is_member(const struct neap_header *header, uint32_t *ret_count, bool *ret_opaque)
{
    /* relaxed, all: torn sums are looked at again; the generation and the marks beside it change in
     * stops, or when it dies */
    uint8_t gc = np_load_relaxed(&header->gc);
    *ret_opaque = false;
    if (!(gc & NP_GC_GENERATION) || !(gc & NP_GC_TRACKED) ||
        (gc & (NP_GC_FROZEN | NP_GC_CONDEMNED)) || np_load_relaxed(&header->type) == 0)
        return false;
    uint16_t owner = np_load_relaxed(&header->owner);
    uint32_t shared = np_load_relaxed(&header->shared);
    if (owner == NEAP_OWNER_IMMORTAL || owner == NEAP_OWNER_DEFERRED ||
        owner >= NEAP_OWNER_RESERVED || np_shared_is_stuck(shared))
        return false;
    uint32_t local = owner == NEAP_OWNER_NONE ? 0 : np_load_relaxed(&header->local);
    *ret_count = local + (uint32_t)np_shared_count(shared);
    *ret_opaque = true;
    return *ret_count < NP_SIDE_COUNT_LIMIT;
}

/* ---- polls ---- */

bool np_proposal_poll(void)
{
    np_perturb(concurrent_poll);
    np_stop_point(np_tls.thread);
    return !pass.stopped();
}

bool np_proposal_poll_sometimes(void)
{
    return ++pass.visited % POLL_EVERY != 0 || np_proposal_poll();
}

/* ---- counting ---- */

struct far {
    uint32_t *words[FAR];
    uint32_t mask; /* state that a word has if it is to be lowered; 0: any */
    unsigned next;
};

static uint32_t nobodys_word;

static void begin_far(struct far *far, uint32_t mask)
{
    far->mask = mask;
    far->next = 0;
    for (unsigned i = 0; i < FAR; i++)
        far->words[i] = &nobodys_word;
}

static inline void lower_now(const struct far *far, uint32_t *word)
{
    if (far->mask == 0 || (*word & far->mask))
        *word -= NP_PROPOSAL_ONE;
}

static inline void lower(struct far *far, uint32_t *word)
{
    __builtin_prefetch(word, 1);
    lower_now(far, far->words[far->next % FAR]);
    far->words[far->next++ % FAR] = word;
}

static void end_far(struct far *far)
{
    for (unsigned i = 0; i < FAR; i++)
        lower_now(far, far->words[i]);
}

static void count_slots(const struct np_members_slots *slots, struct far *far)
{
    for (size_t i = 0; i < slots->count; i++) {
        const void *child = np_proposal_read(slots, i);
        uint32_t *word = child != NULL ? np_proposal_word(child) : NULL;
        if (word != NULL)
            lower(far, word);
        if (!np_proposal_poll_slot(i))
            return;
    }
}

/* False: it is outside, or no member for another reason. */
static inline bool count_object(struct neap_header *header, uint32_t *word,
                                struct np_proposal *proposal, struct far *far)
{
    struct np_members_slots slots;
    uint32_t count;
    bool opaque;
    if (!is_member(header, &count, &opaque) || !np_proposal_slots(header, &slots)) {
        proposal->opaque += opaque;
        return false;
    }
    *word += count * NP_PROPOSAL_ONE + NP_PROPOSAL_MEMBER;
    proposal->members++;
    count_slots(&slots, far);
    return true;
}

static void count_pool(uint32_t pool_index, struct np_proposal *proposal, struct far *far)
{
    const struct np_pool *pool = &np_region.pools[pool_index];
    /* [MM-pool-kind-1] acquire: the class is seen with the kind; neither changes before our next
     * stop point; pairs with the release in np_pool_init */
    if (np_load_acquire(&pool->kind) != NP_POOL_OBJECTS ||
        !np_size_classes[pool->class_index].is_tracked)
        return;
    unsigned carved = np_load_relaxed(&pool->carved); /* relaxed: later blocks are young */
    size_t block_bytes = pool->block_bytes;
    char *block = np_pool_memory(pool);
    for (; carved > 0; carved--, block += block_bytes) {
        struct neap_header *header = (struct neap_header *)(void *)block;
        count_object(header, np_proposal_word_of(header), proposal, far);
    }
}

static bool count_large(struct np_proposal *proposal, struct far *far)
{
    for (uint32_t i = 0; i < np_roster.count; i++) {
        struct neap_header *header = np_roster.headers[i];
        uint64_t opaque = proposal->opaque;
        if (!count_object(header, &np_roster.words[i], proposal, far) && proposal->opaque > opaque)
            proposal->opaque_bytes += np_large_of(header)->bytes;
        if (!np_proposal_poll_sometimes())
            return false;
    }
    return true;
}

enum np_proposal_result np_proposal_count(struct np_proposal *ret, bool (*stopped)(void))
{
    *ret = (struct np_proposal){0};
    pass.stopped = stopped;
    np_plan_update();
    if (!np_roster_make())
        return NP_PROPOSAL_NO_MEMORY;
    struct far far;
    begin_far(&far, 0);
    /* relaxed: pools taken later hold young objects only; references lead to older ones */
    uint32_t count = np_load_relaxed(&np_region.used_count);
    table.used = whole_pages((size_t)count * NP_SIDE_ROW * sizeof *table.words);
    if (count > HUGE_ROWS)
        np_os_prefer_huge(table.words, table.used);
    for (uint32_t i = 0; i < count; i++) {
        count_pool(i, ret, &far);
        if (!np_proposal_poll())
            return NP_PROPOSAL_STOPPED;
    }
    if (!count_large(ret, &far))
        return NP_PROPOSAL_STOPPED;
    end_far(&far);
    np_perturb(concurrent_counted);
    return NP_PROPOSED;
}

/* ---- tracing ---- */

static bool list_large(struct np_proposal *proposal)
{
    for (uint32_t i = 0; i < np_roster.count && proposal->count < proposal->members; i++) {
        if (!np_proposal_poll_sometimes())
            return false;
        if (np_proposal_is_unmarked(np_roster.words[i])) {
            proposal->candidates[proposal->count++] = np_roster.headers[i];
            proposal->has_large = true;
        }
    }
    return true;
}

static void list_row(uint32_t row, struct np_proposal *proposal)
{
    const uint32_t *words = table.words + (size_t)row * NP_SIDE_ROW;
    for (uint32_t granule = 0; granule < NP_SIDE_ROW && proposal->count < proposal->members;
         granule++)
        if (np_proposal_is_unmarked(words[granule]))
            proposal->candidates[proposal->count++] =
                np_proposal_object_at(&np_region.pools[row], granule);
}

enum np_proposal_result np_proposal_trace(struct np_proposal *proposal, bool (*stopped)(void))
{
    uint32_t rows = (uint32_t)(table.used / (NP_SIDE_ROW * sizeof *table.words));
    pass.stopped = stopped;
    if (!np_reach_begin(proposal->members, rows))
        return NP_PROPOSAL_NO_MEMORY;
    if (!np_reach_from_held(rows))
        return NP_PROPOSAL_STOPPED;
    proposal->candidates = np_proposal_memory(proposal->members, sizeof *proposal->candidates);
    if (proposal->candidates == NULL)
        return NP_PROPOSAL_NO_MEMORY;
    for (uint32_t row = 0; row < rows; row++) {
        list_row(row, proposal);
        if (!np_proposal_poll())
            return NP_PROPOSAL_STOPPED;
    }
    if (!list_large(proposal))
        return NP_PROPOSAL_STOPPED;
    np_perturb(concurrent_traced);
    return NP_PROPOSED;
}

/* ---- looking again ---- */

/* A member's block is held back when it dies: where windows are widened that is looked at. */
static void check_held(const struct neap_header *header)
{
    /* relaxed, both: a member's generation stays above 0 while it lives */
    bool reused =
        np_load_relaxed(&header->type) != 0 && !(np_load_relaxed(&header->gc) & NP_GC_GENERATION);
    if (NP_PERTURB && reused)
        np_panic("a concurrent collection reads a block that is in use again");
}

/* The candidates, counted among themselves. */
static bool count_again(struct np_proposal *proposal)
{
    size_t kept = 0;
    for (size_t i = 0; i < proposal->count; i++) {
        struct neap_header *header = proposal->candidates[i];
        uint32_t count;
        bool opaque;
        check_held(header);
        if (!is_member(header, &count, &opaque)) {
            *np_proposal_word_of(header) = 0;
        } else {
            *np_proposal_word_of(header) = count * NP_PROPOSAL_ONE + NP_PROPOSAL_CANDIDATE;
            proposal->candidates[kept++] = header;
        }
        if (!np_proposal_poll_sometimes())
            return false;
    }
    proposal->count = kept;
    struct far far;
    begin_far(&far, NP_PROPOSAL_CANDIDATE);
    for (size_t i = 0; i < proposal->count; i++) {
        struct np_members_slots slots;
        if (np_proposal_slots(proposal->candidates[i], &slots))
            count_slots(&slots, &far);
        if (!np_proposal_poll_sometimes())
            return false;
    }
    end_far(&far);
    return true;
}

static bool drop_held(struct np_proposal *proposal)
{
    size_t kept = 0;
    for (size_t i = 0; i < proposal->count; i++) {
        if (*np_proposal_word_of(proposal->candidates[i]) >= NP_PROPOSAL_ONE &&
            !np_reach_from_candidate(proposal->candidates[i]))
            return false;
        if (!np_proposal_poll_sometimes())
            return false;
    }
    for (size_t i = 0; i < proposal->count; i++) {
        struct neap_header *header = proposal->candidates[i];
        if (*np_proposal_word_of(header) & NP_PROPOSAL_CANDIDATE) {
            *np_proposal_word_of(header) = (uint32_t)kept * NP_PROPOSAL_ONE + NP_PROPOSAL_CANDIDATE;
            proposal->candidates[kept++] = header;
        }
        if (!np_proposal_poll_sometimes())
            return false;
    }
    proposal->count = kept;
    return true;
}

enum np_proposal_result np_proposal_order(struct np_proposal *proposal, bool (*stopped)(void))
{
    pass.stopped = stopped;
    if (!count_again(proposal) || !drop_held(proposal))
        return NP_PROPOSAL_STOPPED;
    if (proposal->count >= UINT32_MAX / NP_PROPOSAL_ONE)
        return NP_PROPOSAL_NO_MEMORY;
    return np_components_order(proposal, np_proposal_poll_sometimes);
}
