/* SPDX-License-Identifier: MIT
 *
 * tidepool: when entries expire. A heap of (time, entry) per stripe, the earliest on top, so that a
 * tick looks at what is due and at nothing else. An entry knows its place in the heap, and an entry
 * without a time costs nothing but the word that says so.
 *
 * Invariants: heap[i].at_ms >= heap[(i - 1) / 2].at_ms; heap[i].entry->expiry == i + 1.
 * Concurrency: belongs to the lock of its stripe. Entries are borrowed: the table that owns the
 * heap holds them. */
#ifndef TIDEPOOL_EXPIRY_H
#define TIDEPOOL_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPIRY_NEVER INT64_MAX
#define EXPIRY_NONE \
    INT64_MIN /* an entry's: it has no time (INT64_MAX is one that clients may set) */

struct entry;

struct expiry {
    int64_t at_ms; /* milliseconds since 1970 */
    struct entry *entry;
};

struct expiries {
    struct expiry *heap; /* neap_alloc; NULL while there are none */
    uint32_t count, room;
};

/* Sets the entry's time, for the first time or anew; false out of memory. */
bool expiry_set(struct expiries *expiries, struct entry *entry, int64_t at_ms);

/* The entry never expires from now on. */
void expiry_clear(struct expiries *expiries, struct entry *entry);

/* The entry's time, or EXPIRY_NONE. */
int64_t expiry_of(const struct expiries *expiries, const struct entry *entry);

/* The earliest time, or EXPIRY_NEVER. */
int64_t expiry_first(const struct expiries *expiries);

void expiry_fini(struct expiries *expiries);

#endif
