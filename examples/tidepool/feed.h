/* SPDX-License-Identifier: MIT
 *
 * tidepool: replies too long to be written at once. A command with many elements to tell announces
 * them and leaves the rest to a feed, which the client's loop asks for a slice at a time, between
 * the requests of its other clients:
 *
 *     command --feed_start--> client->feed --feed_step, again and again--> done, released
 *
 * The reply is what it would have been at once: a feed pins the value it reads, and whoever wants
 * to change a pinned value gives the key a copy first (call_find), so that the feed goes on reading
 * what was there when the command ran, without a lock. Its price is paid by a writer that meets a
 * reader of a large value, once per reader at most.
 *
 * Concurrency: a feed belongs to its client's loop. Pins are counted up under the key's lock, down
 * by any thread. */
#ifndef TIDEPOOL_FEED_H
#define TIDEPOOL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "set.h"
#include "zset.h"

#define FEED_LEAST  ((size_t)2000) /* elements from which a reply is fed */
#define FEED_BYTES  ((size_t)32 * 1024)
#define FEED_WRITES 1000 /* calls of write: a slice takes a millisecond at most, or about so */

struct call;
struct feed;

/* Writes the elements next in order; false when those were the last. */
typedef bool feed_write(struct feed *feed, struct reply *reply);

struct feed {
    struct value *value; /* slot: pinned; NULL where the command reads something else */
    feed_write *write;
    size_t left;               /* elements, where they are counted */
    struct list_place place;   /* of a list: the next, borrowed from value */
    const struct scored *next; /* of a sorted set, borrowed from value */
    uint64_t cursor;           /* of a dict; 0 again at its end */
    bool reverse;              /* of a sorted set */
    bool names, values;        /* of a dict: what is written of a node; of a sorted set: scores */
    void *own;                 /* what the command keeps, and who frees it; NULL */
    void (*free_own)(void *own);
};
NEAP_DECLARE_TYPE(feed);

/* A feed of value (its key's stripe locked; NULL: of what the caller has) for the call's client,
 * which the caller fills in, or NULL: the reply is short, has to be whole (EXEC), or there is no
 * memory, so that the caller writes it at once. */
struct feed *feed_start(struct call *call, void *value, size_t elements, feed_write *write);

/* Writes a slice of about FEED_BYTES; false when that was the last. */
bool feed_step(struct feed *feed, struct reply *reply);

/* Does a feed read this value? Its key's stripe is locked. */
bool feed_reads(struct value *value);

/* The elements of a dict, once each, the dict's own order. */
bool feed_dict(struct feed *feed, struct reply *reply);

#endif
