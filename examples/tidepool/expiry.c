/* SPDX-License-Identifier: MIT
 *
 * tidepool: when entries expire (see expiry.h). */
#include "expiry.h"

#include <neap/block.h>

#include "keyspace.h"

static void place(struct expiries *expiries, uint32_t index, struct expiry expiry)
{
    expiries->heap[index] = expiry;
    expiry.entry->expiry = index + 1;
}

/* Puts expiry at index, or above or below it, where it belongs. */
static void settle(struct expiries *expiries, uint32_t index, struct expiry expiry)
{
    while (index > 0 && expiries->heap[(index - 1) / 2].at_ms > expiry.at_ms) {
        place(expiries, index, expiries->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= expiries->count)
            break;
        if (child + 1 < expiries->count &&
            expiries->heap[child + 1].at_ms < expiries->heap[child].at_ms)
            child++;
        if (expiries->heap[child].at_ms >= expiry.at_ms)
            break;
        place(expiries, index, expiries->heap[child]);
        index = child;
    }
    place(expiries, index, expiry);
}

bool expiry_set(struct expiries *expiries, struct entry *entry, int64_t at_ms)
{
    struct expiry expiry = {at_ms, entry};
    if (entry->expiry != 0) {
        settle(expiries, entry->expiry - 1, expiry);
        return true;
    }
    if (expiries->count == expiries->room) {
        uint32_t room = expiries->room == 0 ? 4 : 2 * expiries->room;
        struct expiry *heap = neap_realloc(expiries->heap, room * sizeof *heap);
        if (heap == NULL)
            return false;
        expiries->heap = heap;
        expiries->room = room;
    }
    expiries->count++;
    settle(expiries, expiries->count - 1, expiry);
    return true;
}

void expiry_clear(struct expiries *expiries, struct entry *entry)
{
    if (entry->expiry == 0)
        return;
    uint32_t index = entry->expiry - 1;
    entry->expiry = 0;
    struct expiry last = expiries->heap[--expiries->count];
    if (last.entry != entry)
        settle(expiries, index, last);
    if (expiries->count == 0)
        expiry_fini(expiries);
}

int64_t expiry_of(const struct expiries *expiries, const struct entry *entry)
{
    return entry->expiry == 0 ? EXPIRY_NONE : expiries->heap[entry->expiry - 1].at_ms;
}

int64_t expiry_first(const struct expiries *expiries)
{
    return expiries->count == 0 ? EXPIRY_NEVER : expiries->heap[0].at_ms;
}

void expiry_fini(struct expiries *expiries)
{
    neap_free(expiries->heap);
    *expiries = (struct expiries){.heap = NULL};
}
