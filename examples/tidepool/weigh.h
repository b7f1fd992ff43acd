/* SPDX-License-Identifier: MIT
 *
 * tidepool: the bytes that keys take: MEMORY USAGE, and the final report's memory by type.
 *
 * Counted are the blocks of the entry, the value and its parts, headers included, by neap_size_of;
 * of a large value a few elements are weighed for all.
 *
 * Concurrency: weigh wants the key's stripe locked; weigh_types locks what it looks at. */
#ifndef TIDEPOOL_WEIGH_H
#define TIDEPOOL_WEIGH_H

#include <stddef.h>
#include <stdint.h>

#include "keyspace.h"

#define WEIGH_SAMPLES 5 /* elements of a value, unless the client says otherwise */
#define WEIGH_TYPES   5

/* The bytes of the key's objects; of the elements only so many are weighed, 0 for all. */
size_t weigh(const struct entry *entry, size_t samples);

struct weight {
    const char *type;
    uint64_t keys, bytes;
};

/* All keys, by type. Goes through the whole keyspace. */
void weigh_types(struct weight weights[WEIGH_TYPES]);

#endif
