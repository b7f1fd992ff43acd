/* SPDX-License-Identifier: MIT
 *
 * Plain trial deletion, one object at a time: O(n log n), no side words, no prefetching, no lists.
 */
#include "collector/verify.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/os.h"
#include "collector/count.h"
#include "collector/side.h"
#include "runtime/deferred.h"
#include "runtime/ephemeron.h"
#include "runtime/visit.h"
#include "runtime/walk.h"
#include "threads/stop.h"

struct row {
    struct neap_header *header;
    int64_t held; /* count minus references from rows */
    bool reachable;
};

static struct {
    struct row *rows; /* sorted by address; NULL: not verifying */
    size_t count, bytes;
    size_t *stack;
    size_t top, stack_bytes;
    int generation;
} verifier;

static bool is_examined(const struct neap_header *header, uint64_t *ret_count)
{
    return header->owner < NEAP_OWNER_RESERVED && (header->gc & NP_GC_TRACKED) &&
           !(header->gc & NP_GC_FROZEN) && (header->gc & NP_GC_GENERATION) <= verifier.generation &&
           /* of the keys of weak maps without slots a young collection sees none */
           ((np_type_at(header->type)->traits & NP_TRAIT_SLOTS) || np_side_word(header) != NULL) &&
           np_count_in_header(header, ret_count);
}

static bool count_row(struct neap_header *header, void *arg)
{
    uint64_t count;
    *(size_t *)arg += is_examined(header, &count);
    return true;
}

static bool add_row(struct neap_header *header, void *arg)
{
    (void)arg;
    uint64_t count;
    if (is_examined(header, &count))
        verifier.rows[verifier.count++] = (struct row){header, (int64_t)count, false};
    return true;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)((const struct row *)a)->header;
    uintptr_t right = (uintptr_t)((const struct row *)b)->header;
    return left < right ? -1 : left > right;
}

static struct row *find(const struct neap_header *header)
{
    struct row key = {(struct neap_header *)(uintptr_t)header, 0, false};
    return bsearch(&key, verifier.rows, verifier.count, sizeof key, by_address);
}

static void each_child(struct row *row, struct neap_visitor *visitor)
{
    np_visit_object(row->header, np_type_at(row->header->type), visitor, visitor->slot);
}

static void subtract(struct neap_visitor *visitor, void **slot)
{
    (void)visitor;
    struct row *target = *slot == NULL ? NULL : find(neap_header_of(*slot));
    if (target != NULL)
        target->held--;
}

static void reach(struct row *row)
{
    if (row->reachable)
        return;
    row->reachable = true;
    verifier.stack[verifier.top++] = (size_t)(row - verifier.rows);
}

static void reach_slot(struct neap_visitor *visitor, void **slot)
{
    (void)visitor;
    struct row *target = *slot == NULL ? NULL : find(neap_header_of(*slot));
    if (target != NULL)
        reach(target);
}

/* Of a weak map or a key that is reachable: values whose other end is, or is not examined. */
static void reach_value(struct neap_header *other, void *value, void *arg)
{
    (void)arg;
    struct row *end = find(other), *target = find(neap_header_of(value));
    if (target != NULL && (end == NULL || end->reachable))
        reach(target);
}

static void reach_from(struct row *row, struct neap_visitor *reaching)
{
    struct neap_header *header = row->header;
    if (header->shared & NP_HAS_WEAK)
        np_ephemeron_each_of_key_stopped(header, reach_value, NULL);
    if (np_type_at(header->type)->flags & NP_TYPE_EPHEMERONS)
        np_ephemeron_each_of_map_stopped(np_object_of(header), reach_value, NULL);
    else
        each_child(row, reaching);
}

static size_t page_bytes_for(size_t bytes)
{
    size_t page = np_os_page_bytes();
    return (bytes + page) & ~(page - 1);
}

static void end(void)
{
    if (verifier.rows != NULL)
        np_os_unreserve(verifier.rows, verifier.bytes);
    if (verifier.stack != NULL)
        np_os_unreserve(verifier.stack, verifier.stack_bytes);
    verifier.rows = NULL;
    verifier.stack = NULL;
}

void np_verify_begin_stopped(int generation)
{
    size_t count = 0;
    verifier.generation = generation;
    verifier.count = verifier.top = 0;
    np_walk_objects(count_row, &count);
    verifier.bytes = page_bytes_for(count * sizeof *verifier.rows);
    verifier.stack_bytes = page_bytes_for(count * sizeof *verifier.stack);
    verifier.rows = np_os_reserve(verifier.bytes, 1);
    verifier.stack = np_os_reserve(verifier.stack_bytes, 1);
    if (verifier.rows == NULL || verifier.stack == NULL) {
        end();
        return;
    }
    np_walk_objects(add_row, NULL);
    qsort(verifier.rows, verifier.count, sizeof *verifier.rows, by_address);
    struct neap_visitor subtracting = {subtract}, reaching = {reach_slot};
    for (size_t i = 0; i < verifier.count; i++)
        each_child(&verifier.rows[i], &subtracting);
    for (size_t i = 0; i < verifier.count; i++)
        if (verifier.rows[i].held != 0)
            reach(&verifier.rows[i]);
    while (verifier.top > 0)
        reach_from(&verifier.rows[verifier.stack[--verifier.top]], &reaching);
}

void np_verify_end_stopped(void)
{
    for (size_t i = 0; verifier.rows != NULL && i < verifier.count; i++) {
        const struct row *row = &verifier.rows[i];
        const uint32_t *word = np_side_word(row->header);
        const char *name = np_type_at(row->header->type)->name;
        np_check(word != NULL && (*word & (NP_SIDE_MEMBER | NP_SIDE_MARKED)),
                 "%s at %p: a collection of generation %d did not look at it", name,
                 np_object_of(row->header), verifier.generation);
        np_check(((*word & NP_SIDE_MARKED) != 0) == row->reachable,
                 "%s at %p: the collector says it is %s, the verifier says it is not", name,
                 np_object_of(row->header), row->reachable ? "garbage" : "reachable");
    }
    end();
}

void np_verify_garbage_stopped(struct neap_header *const *garbage, size_t count, const char *who)
{
    np_verify_begin_stopped(2);
    for (size_t i = 0; verifier.rows != NULL && i < count; i++) {
        const struct row *row = find(garbage[i]);
        np_check(row != NULL && !row->reachable,
                 "%s at %p: a %s collection says it is garbage, the verifier says it is not",
                 np_type_at(garbage[i]->type)->name, np_object_of(garbage[i]), who);
    }
    end();
}

void np_verify_candidates(struct neap_header *const *candidates, size_t count)
{
    np_world_stop(NP_STOP_COLLECT);
    np_deferred_fold_stopped();
    np_verify_garbage_stopped(candidates, count, "confined");
    np_world_start();
}
