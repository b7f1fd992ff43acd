/* SPDX-License-Identifier: MIT
 *
 * tidepool: lists (see list.h). */
#include "list.h"

/* A chunk's block is at most 512 bytes with its header, the largest that neap keeps in pools. A
 * list's only chunk starts small and is replaced by larger ones as the list grows. */
#define CHUNK_MOST  ((512 - 16 - sizeof(struct chunk)) / sizeof(struct string *))
#define CHUNK_FIRST 4

NEAP_DEFINE_TYPE(chunk, (next, NEAP_TRAILING(item)));
NEAP_DEFINE_TYPE(list, (head, tail));

struct list *list_new(void)
{
    return neap_new(list);
}

static struct chunk *chunk_new(uint32_t capacity)
{
    struct chunk *chunk = neap_new_extra(chunk, capacity * sizeof(struct string *));
    if (chunk != NULL)
        chunk->capacity = capacity;
    return chunk;
}

static bool has_room(const struct chunk *chunk, enum list_end end)
{
    return end == LIST_HEAD ? chunk->first > 0 : chunk->first + chunk->count < chunk->capacity;
}

/* Links a new, empty chunk to the list's end; steals it. */
static void add_chunk(struct list *list, enum list_end end, struct chunk *chunk)
{
    chunk->first = end == LIST_HEAD ? chunk->capacity : 0;
    if (list->head == NULL) {
        neap_set(&list->tail, chunk);
        neap_give(&list->head, chunk);
    } else if (end == LIST_HEAD) {
        list->head->previous = chunk;
        neap_give(&chunk->next, neap_take(&list->head));
        neap_give(&list->head, chunk);
    } else {
        chunk->previous = list->tail;
        neap_set(&list->tail->next, chunk);
        neap_give(&list->tail, chunk);
    }
}

/* Puts a larger chunk in place of the list's only one, with the free room at the end that asks. */
static bool enlarge(struct list *list, enum list_end end)
{
    struct chunk *old = list->head;
    uint32_t capacity = old->capacity * 4 < CHUNK_MOST ? old->capacity * 4 : (uint32_t)CHUNK_MOST;
    struct chunk *chunk = chunk_new(capacity);
    if (chunk == NULL)
        return false;
    chunk->count = old->count;
    chunk->first = end == LIST_HEAD ? capacity - old->count : 0;
    for (uint32_t i = 0; i < old->count; i++)
        neap_give(&chunk->item[chunk->first + i], neap_take(&old->item[old->first + i]));
    neap_set(&list->tail, chunk);
    neap_give(&list->head, chunk);
    return true;
}

/* Makes room for one element at the end. */
static bool make_room(struct list *list, enum list_end end)
{
    struct chunk *chunk = end == LIST_HEAD ? list->head : list->tail;
    if (chunk != NULL && has_room(chunk, end))
        return true;
    if (chunk != NULL && list->head == list->tail && chunk->capacity < CHUNK_MOST)
        return enlarge(list, end);
    chunk = chunk_new(chunk == NULL ? CHUNK_FIRST : (uint32_t)CHUNK_MOST);
    if (chunk == NULL)
        return false;
    add_chunk(list, end, chunk);
    return true;
}

bool list_push(struct list *list, enum list_end end, struct string *string)
{
    if (!make_room(list, end)) {
        neap_release(string);
        return false;
    }
    struct chunk *chunk = end == LIST_HEAD ? list->head : list->tail;
    uint32_t index = end == LIST_HEAD ? --chunk->first : chunk->first + chunk->count;
    neap_give(&chunk->item[index], string);
    chunk->count++;
    list->length++;
    return true;
}

/* Unlinks the empty chunk at the list's end. */
static void remove_chunk(struct list *list, enum list_end end)
{
    if (list->head == list->tail) {
        neap_clear(&list->tail);
        neap_clear(&list->head);
    } else if (end == LIST_HEAD) {
        struct chunk *next = neap_take(&list->head->next);
        next->previous = NULL;
        neap_give(&list->head, next);
    } else {
        struct chunk *previous = list->tail->previous;
        neap_clear(&previous->next);
        neap_set(&list->tail, previous);
    }
}

struct string *list_pop(struct list *list, enum list_end end)
{
    struct chunk *chunk = end == LIST_HEAD ? list->head : list->tail;
    if (chunk == NULL)
        return NULL;
    uint32_t index = end == LIST_HEAD ? chunk->first : chunk->first + chunk->count - 1;
    struct string *string = neap_take(&chunk->item[index]);
    chunk->count--;
    if (end == LIST_HEAD)
        chunk->first++;
    list->length--;
    if (chunk->count == 0)
        remove_chunk(list, end);
    return string;
}

struct list_place list_seek(const struct list *list, size_t index)
{
    if (index >= list->length)
        return (struct list_place){NULL, 0};
    if (index < list->length / 2) {
        struct chunk *chunk = list->head;
        while (index >= chunk->count) {
            index -= chunk->count;
            chunk = chunk->next;
        }
        return (struct list_place){chunk, chunk->first + (uint32_t)index};
    }
    size_t behind = list->length - index; /* the element and those after it */
    struct chunk *chunk = list->tail;
    while (behind > chunk->count) {
        behind -= chunk->count;
        chunk = chunk->previous;
    }
    return (struct list_place){chunk, chunk->first + chunk->count - (uint32_t)behind};
}

struct list_place list_next(struct list_place place)
{
    if (++place.index == place.chunk->first + place.chunk->count) {
        place.chunk = place.chunk->next;
        place.index = place.chunk == NULL ? 0 : place.chunk->first;
    }
    return place;
}

struct list_place list_previous(struct list_place place)
{
    if (place.index == place.chunk->first) {
        place.chunk = place.chunk->previous;
        place.index = place.chunk == NULL ? 0 : place.chunk->first + place.chunk->count;
    }
    place.index--;
    return place;
}

/* ---- changes within ---- */

void list_replace(struct list_place place, struct string *string)
{
    neap_give(&place.chunk->item[place.index], string);
}

/* Moves elements [from, to) of the chunk one slot up or down, into an empty one. */
static void shift(struct chunk *chunk, uint32_t from, uint32_t to, bool up)
{
    if (up) {
        for (uint32_t i = to; i > from; i--)
            neap_give(&chunk->item[i], neap_take(&chunk->item[i - 1]));
    } else {
        for (uint32_t i = from; i < to; i++)
            neap_give(&chunk->item[i - 1], neap_take(&chunk->item[i]));
    }
}

/* Moves the upper half of a full chunk to a new one behind it; false out of memory. */
static bool split(struct list *list, struct chunk *chunk)
{
    struct chunk *upper = chunk_new(chunk->capacity);
    if (upper == NULL)
        return false;
    uint32_t kept = chunk->count / 2, moved = chunk->count - kept;
    for (uint32_t i = 0; i < moved; i++)
        neap_give(&upper->item[i], neap_take(&chunk->item[chunk->first + kept + i]));
    upper->count = moved;
    chunk->count = kept;
    upper->previous = chunk;
    if (chunk->next == NULL)
        neap_set(&list->tail, upper);
    else
        chunk->next->previous = upper;
    neap_give(&upper->next, neap_take(&chunk->next));
    neap_give(&chunk->next, upper);
    return true;
}

/* A free slot in the middle needs a chunk with room; *place follows its element to where that is
 * made. */
static bool make_room_at(struct list *list, struct list_place *place)
{
    struct chunk *chunk = place->chunk;
    uint32_t offset = place->index - chunk->first;
    if (chunk->count < chunk->capacity)
        return true;
    if (list->head == list->tail && chunk->capacity < CHUNK_MOST) {
        if (!enlarge(list, LIST_TAIL))
            return false;
        *place = (struct list_place){list->head, list->head->first + offset};
        return true;
    }
    if (!split(list, chunk))
        return false;
    if (offset >= chunk->count)
        *place = (struct list_place){chunk->next, offset - chunk->count};
    return true;
}

bool list_insert(struct list *list, struct list_place place, bool behind, struct string *string)
{
    if (!make_room_at(list, &place)) {
        neap_release(string);
        return false;
    }
    struct chunk *chunk = place.chunk;
    uint32_t at = place.index + behind, end = chunk->first + chunk->count;
    if (end < chunk->capacity) {
        shift(chunk, at, end, true);
    } else {
        shift(chunk, chunk->first, at, false);
        chunk->first--;
        at--;
    }
    neap_give(&chunk->item[at], string);
    chunk->count++;
    list->length++;
    return true;
}

/* Drops the chosen elements of one chunk and closes the gaps. */
static size_t remove_from_chunk(struct chunk *chunk, enum list_end from, size_t most,
                                list_fits *fits, void *arg)
{
    uint32_t count = chunk->count, removed = 0;
    for (uint32_t i = 0; i < count && removed < most; i++) {
        uint32_t at = from == LIST_HEAD ? chunk->first + i : chunk->first + count - 1 - i;
        if (fits(chunk->item[at], arg)) {
            neap_clear(&chunk->item[at]);
            removed++;
        }
    }
    uint32_t to = chunk->first;
    for (uint32_t at = chunk->first; at < chunk->first + count && removed > 0; at++) {
        if (chunk->item[at] == NULL)
            continue;
        if (at != to)
            neap_give(&chunk->item[to], neap_take(&chunk->item[at]));
        to++;
    }
    chunk->count -= removed;
    return removed;
}

/* Takes an empty chunk out of the list. */
static void unlink_chunk(struct list *list, struct chunk *chunk)
{
    struct chunk *previous = chunk->previous, *next = neap_take(&chunk->next);
    if (next != NULL)
        next->previous = previous;
    else
        neap_set(&list->tail, previous);
    neap_give(previous == NULL ? &list->head : &previous->next, next);
}

size_t list_remove(struct list *list, enum list_end from, size_t most, list_fits *fits, void *arg)
{
    size_t removed = 0;
    struct chunk *chunk = from == LIST_HEAD ? list->head : list->tail;
    while (chunk != NULL && removed < most) {
        struct chunk *then = from == LIST_HEAD ? chunk->next : chunk->previous;
        removed += remove_from_chunk(chunk, from, most - removed, fits, arg);
        if (chunk->count == 0)
            unlink_chunk(list, chunk);
        chunk = then;
    }
    list->length -= removed;
    return removed;
}
