/* SPDX-License-Identifier: MIT
 *
 * tidepool: replies, written into a buffer in RESP2 or RESP3. Commands write what they mean (a map,
 * a set, a null) and the protocol that the client chose says how it looks.
 *
 * A reply that would make the buffer longer than its limit, or for which there is no memory, marks
 * the buffer failed: it takes nothing more, and the connection is closed in place of being sent
 * half a reply.
 *
 * Concurrency: a buffer belongs to one thread. */
#ifndef TIDEPOOL_REPLY_H
#define TIDEPOOL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct reply {
    char *bytes;
    size_t length, capacity;
    size_t limit;
    uint64_t errors; /* error replies written, ever */
    int protocol;    /* 2 or 3 */
    bool failed;
};

void reply_init(struct reply *reply, size_t limit);
void reply_fini(struct reply *reply);

/* Empties the buffer and gives back the memory of an unusually large one. */
void reply_reset(struct reply *reply);

/* Appends bytes as they are. */
void reply_bytes(struct reply *reply, const char *bytes, size_t length);

/* +OK */
void reply_status(struct reply *reply, const char *status);

/* -CODE message: what the format says, a line end within it replaced by a blank. */
void reply_error(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void reply_integer(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct slice text);
void reply_bulk_integer(struct reply *reply, int64_t value);
void reply_double(struct reply *reply, double value);
void reply_null(struct reply *reply);
void reply_null_array(struct reply *reply);

/* Announce count elements, which the caller writes next; a map's are count pairs. */
void reply_array(struct reply *reply, size_t count);
void reply_map(struct reply *reply, size_t count);
void reply_set(struct reply *reply, size_t count);
void reply_push(struct reply *reply, size_t count);

/* A text to be read by people: bulk in RESP2, verbatim in RESP3. */
void reply_verbatim(struct reply *reply, struct slice text);

#endif
