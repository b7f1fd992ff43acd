/* SPDX-License-Identifier: MIT
 *
 * tidepool: lists. A list is a chain of chunks, each an object with up to 59 references to strings,
 * so that both ends are quick, a middle is found by chunks, and nothing larger than a chunk ever
 * moves.
 *
 *     list -head-> chunk -next-> chunk -next-> chunk
 *       \__________________tail________________/^
 *
 * The links forward are references; those backward are plain pointers, borrowed: a chunk is held by
 * the one before it for as long as its list has it. So a dropped list dies by counting alone.
 *
 * Invariants: no chunk of a list is empty; length is the sum of the chunks' counts; a chunk's
 * elements are item[first .. first + count), its other slots are NULL.
 * Concurrency: a list belongs to the lock of its key. */
#ifndef TIDEPOOL_LIST_H
#define TIDEPOOL_LIST_H

#include "value.h"

struct chunk {
    struct chunk *next;     /* slot */
    struct chunk *previous; /* borrowed */
    uint32_t first, count;
    uint32_t capacity;
    struct string *item[]; /* slots */
};
NEAP_DECLARE_TYPE(chunk);

struct list {
    struct chunk *head, *tail; /* slots */
    size_t length;
    _Atomic uint16_t pins; /* feeds that read the list (feed.h) */
};
NEAP_DECLARE_TYPE(list);

enum list_end { LIST_HEAD, LIST_TAIL };

/* A new reference to an empty list; NULL out of memory. */
struct list *list_new(void);

/* Takes over the caller's reference to string; false out of memory (and the reference is released).
 */
bool list_push(struct list *list, enum list_end end, struct string *string);

/* The element's reference becomes the caller's; NULL when the list is empty. */
struct string *list_pop(struct list *list, enum list_end end);

/* A place in a list, to walk from. Ends when chunk is NULL. Valid until the list changes. */
struct list_place {
    struct chunk *chunk;
    uint32_t index; /* of item[] */
};

/* The place of the index-th element from the head; index < length, or the end. */
struct list_place list_seek(const struct list *list, size_t index);
struct list_place list_next(struct list_place place);
struct list_place list_previous(struct list_place place);

static inline struct string *list_at(struct list_place place)
{
    return place.chunk->item[place.index];
}

/* Puts string (stolen) in place of the element there. */
void list_replace(struct list_place place, struct string *string);

/* Puts string (stolen) before or behind the element there; false out of memory (released). */
bool list_insert(struct list *list, struct list_place place, bool behind, struct string *string);

/* Drops what fits chooses, the first `most` that it chooses from that end on; returns how many. */
typedef bool list_fits(struct string *string, void *arg);
size_t list_remove(struct list *list, enum list_end from, size_t most, list_fits *fits, void *arg);

#endif
