/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on lists. */
#include "commands.h"
#include "feed.h"
#include "list.h"

#define SAFEPOINT_EACH 4096 /* elements of a reply between two polls */

/* The key's list, borrowed, or NULL when the key is missing; false after an error reply. */
static bool find_list_at(struct call *call, size_t index, struct list **ret_list)
{
    struct value *value;
    if (!call_find(call, index, &neap_typeof_list, &value))
        return false;
    *ret_list = (struct list *)value;
    return true;
}

static bool find_list(struct call *call, struct list **ret_list)
{
    return find_list_at(call, 1, ret_list);
}

/* A new list at the key, borrowed; NULL after an error reply. */
static struct list *make_list(struct call *call, size_t index)
{
    struct list *list = list_new();
    return call_store(call, index, (struct value *)list) ? list : NULL;
}

static void push(struct call *call, enum list_end end, bool only_existing)
{
    struct list *list;
    if (!find_list(call, &list))
        return;
    if (list == NULL && only_existing) {
        reply_integer(call->reply, 0);
        return;
    }
    if (list == NULL && (list = make_list(call, 1)) == NULL)
        return;
    for (size_t i = 2; i < call->count; i++) {
        struct string *string = string_new(call->argument[i]);
        if (string == NULL || !list_push(list, end, string)) {
            call_changed(call, 1, list->length);
            call_out_of_memory(call);
            return;
        }
    }
    keyspace_touch(call_key(call, 1));
    reply_integer(call->reply, (int64_t)list->length);
}

void command_lpush(struct call *call)
{
    push(call, LIST_HEAD, false);
}

void command_lpushx(struct call *call)
{
    push(call, LIST_HEAD, true);
}

void command_rpush(struct call *call)
{
    push(call, LIST_TAIL, false);
}

void command_rpushx(struct call *call)
{
    push(call, LIST_TAIL, true);
}

static void pop_one(struct call *call, struct list *list, enum list_end end)
{
    struct string *string = list_pop(list, end);
    reply_bulk(call->reply, string_text(string));
    neap_release(string);
}

static void pop(struct call *call, enum list_end end)
{
    if (call->count > 3) {
        call_wrong_arity(call, NULL);
        return;
    }
    int64_t most = 1;
    bool counted = call->count == 3;
    if (counted && (!text_to_integer(call->argument[2], &most) || most < 0)) {
        reply_error(call->reply, "ERR value is out of range, must be positive");
        return;
    }
    struct list *list;
    if (!find_list(call, &list))
        return;
    if (list == NULL) {
        if (counted)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    size_t count = (uint64_t)most < list->length ? (size_t)most : list->length;
    if (counted)
        reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        pop_one(call, list, end);
    call_changed(call, 1, list->length);
}

void command_lpop(struct call *call)
{
    pop(call, LIST_HEAD);
}

void command_rpop(struct call *call)
{
    pop(call, LIST_TAIL);
}

void command_llen(struct call *call)
{
    struct list *list;
    if (find_list(call, &list))
        reply_integer(call->reply, list == NULL ? 0 : (int64_t)list->length);
}

/* Redis's ranges: negative indexes count from the end, both ends are clipped. False when nothing is
 * in it. */
static bool clip_range(int64_t *first, int64_t *last, int64_t length)
{
    if (*first < 0)
        *first = *first + length < 0 ? 0 : *first + length;
    if (*last < 0)
        *last += length;
    if (*last >= length)
        *last = length - 1;
    return *first <= *last;
}

static bool feed_list(struct feed *feed, struct reply *reply)
{
    reply_bulk(reply, string_text(list_at(feed->place)));
    feed->place = list_next(feed->place);
    return --feed->left > 0;
}

void command_lrange(struct call *call)
{
    int64_t first, last;
    struct list *list;
    if (!call_integer(call, 2, &first) || !call_integer(call, 3, &last) || !find_list(call, &list))
        return;
    if (list == NULL || !clip_range(&first, &last, (int64_t)list->length)) {
        reply_array(call->reply, 0);
        return;
    }
    size_t count = (size_t)(last - first) + 1;
    reply_array(call->reply, count);
    struct list_place place = list_seek(list, (size_t)first);
    struct feed *feed = feed_start(call, list, count, feed_list);
    if (feed != NULL) {
        feed->place = place;
        return;
    }
    for (size_t i = 1; i <= count && !call->reply->failed; i++) {
        reply_bulk(call->reply, string_text(list_at(place)));
        place = list_next(place);
        if (i % SAFEPOINT_EACH == 0)
            neap_safepoint();
    }
}

/* The place of argument 2, an index; its chunk is NULL when it is outside. */
static struct list_place seek_index(const struct list *list, int64_t index)
{
    int64_t length = list == NULL ? 0 : (int64_t)list->length;
    if (index < 0)
        index += length;
    if (index < 0 || index >= length)
        return (struct list_place){NULL, 0};
    return list_seek(list, (size_t)index);
}

void command_lindex(struct call *call)
{
    int64_t index;
    struct list *list;
    if (!find_list(call, &list))
        return;
    if (list == NULL) {
        reply_null(call->reply);
        return;
    }
    if (!call_integer(call, 2, &index))
        return;
    struct list_place place = seek_index(list, index);
    if (place.chunk == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, string_text(list_at(place)));
}

void command_lset(struct call *call)
{
    int64_t index;
    struct list *list;
    if (!find_list(call, &list))
        return;
    if (list == NULL) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    if (!call_integer(call, 2, &index))
        return;
    struct list_place place = seek_index(list, index);
    if (place.chunk == NULL) {
        reply_error(call->reply, "ERR index out of range");
        return;
    }
    struct string *string = string_new(call->argument[3]);
    if (string == NULL) {
        call_out_of_memory(call);
        return;
    }
    list_replace(place, string);
    keyspace_touch(call_key(call, 1));
    reply_status(call->reply, "OK");
}

void command_linsert(struct call *call)
{
    bool behind = text_is(call->argument[2], "after");
    struct list *list;
    if (!behind && !text_is(call->argument[2], "before")) {
        call_syntax_error(call);
        return;
    }
    if (!find_list(call, &list))
        return;
    if (list == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    struct list_place place = list_seek(list, 0);
    while (place.chunk != NULL && !text_same(string_text(list_at(place)), call->argument[3]))
        place = list_next(place);
    if (place.chunk == NULL) {
        reply_integer(call->reply, -1);
        return;
    }
    struct string *string = string_new(call->argument[4]);
    if (string == NULL || !list_insert(list, place, behind, string)) {
        call_out_of_memory(call);
        return;
    }
    keyspace_touch(call_key(call, 1));
    reply_integer(call->reply, (int64_t)list->length);
}

static bool is_text(struct string *string, void *arg)
{
    return text_same(string_text(string), *(const struct slice *)arg);
}

void command_lrem(struct call *call)
{
    int64_t count;
    struct list *list;
    if (!call_integer(call, 2, &count) || !find_list(call, &list))
        return;
    if (list == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    uint64_t most = count == 0 ? UINT64_MAX : count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    struct slice text = call->argument[3];
    size_t removed = list_remove(list, count < 0 ? LIST_TAIL : LIST_HEAD, most, is_text, &text);
    if (removed > 0)
        call_changed(call, 1, list->length);
    reply_integer(call->reply, (int64_t)removed);
}

static void drop(struct list *list, enum list_end end, size_t count)
{
    for (size_t i = 0; i < count; i++)
        neap_release(list_pop(list, end));
}

void command_ltrim(struct call *call)
{
    int64_t first, last;
    struct list *list;
    if (!call_integer(call, 2, &first) || !call_integer(call, 3, &last) || !find_list(call, &list))
        return;
    if (list != NULL) {
        size_t length = list->length;
        if (clip_range(&first, &last, (int64_t)length)) {
            drop(list, LIST_HEAD, (size_t)first);
            drop(list, LIST_TAIL, length - 1 - (size_t)last);
            call_changed(call, 1, list->length);
        } else {
            keyspace_remove(call_key(call, 1), call->dead); /* dropped whole, outside the lock */
        }
    }
    reply_status(call->reply, "OK");
}

/* ---- LPOS ---- */

struct position_options {
    int64_t rank, count, most; /* count -1: the first only, as one integer */
};

static bool position_options(struct call *call, struct position_options *options)
{
    *options = (struct position_options){.rank = 1, .count = -1};
    for (size_t i = 3; i < call->count; i += 2) {
        bool last = i + 1 == call->count;
        if (!last && text_is(call->argument[i], "rank")) {
            if (!call_integer(call, i + 1, &options->rank))
                return false;
            if (options->rank == 0 || options->rank == INT64_MIN) {
                reply_error(call->reply, options->rank == 0
                                             ? "ERR RANK can't be zero: use 1 to start from the "
                                               "first match, 2 from the second ... or use negative "
                                               "to start from the end of the list"
                                             : "ERR value is out of range");
                return false;
            }
        } else if (!last && text_is(call->argument[i], "count")) {
            if (!call_not_negative(call, i + 1, "COUNT can't be negative", &options->count))
                return false;
        } else if (!last && text_is(call->argument[i], "maxlen")) {
            if (!call_not_negative(call, i + 1, "MAXLEN can't be negative", &options->most))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* Writes the positions to found, as integers; returns how many. */
static size_t find_positions(const struct call *call, const struct list *list,
                             const struct position_options *options, struct reply *found)
{
    bool forward = options->rank > 0;
    uint64_t skip = (uint64_t)(forward ? options->rank : -options->rank) - 1;
    uint64_t most = options->most == 0 ? UINT64_MAX : (uint64_t)options->most;
    uint64_t wanted = options->count == 0  ? UINT64_MAX
                      : options->count < 0 ? 1
                                           : (uint64_t)options->count;
    struct list_place place = list_seek(list, forward ? 0 : list->length - 1);
    size_t count = 0;
    for (size_t i = 0; place.chunk != NULL && i < most && count < wanted; i++) {
        if (text_same(string_text(list_at(place)), call->argument[2])) {
            if (skip == 0) {
                reply_integer(found, (int64_t)(forward ? i : list->length - 1 - i));
                count++;
            } else {
                skip--;
            }
        }
        place = forward ? list_next(place) : list_previous(place);
    }
    return count;
}

void command_lpos(struct call *call)
{
    struct position_options options;
    struct list *list;
    if (!position_options(call, &options) || !find_list(call, &list))
        return;
    struct reply found;
    reply_init(&found, call->reply->limit);
    size_t count = list == NULL ? 0 : find_positions(call, list, &options, &found);
    if (options.count >= 0)
        reply_array(call->reply, count);
    else if (count == 0)
        reply_null(call->reply);
    reply_bytes(call->reply, found.bytes, found.length);
    call->reply->failed |= found.failed;
    reply_fini(&found);
}

/* ---- LMOVE ---- */

static void move(struct call *call, enum list_end from, enum list_end to)
{
    struct list *source, *target;
    if (!find_list_at(call, 1, &source))
        return;
    if (source == NULL) {
        reply_null(call->reply);
        return;
    }
    if (!find_list_at(call, 2, &target) ||
        (target == NULL && (target = make_list(call, 2)) == NULL))
        return;
    struct string *string = list_pop(source, from);
    if (!list_push(target, to, neap_retain(string))) {
        neap_release(string);
        call_out_of_memory(call);
        return;
    }
    reply_bulk(call->reply, string_text(string));
    neap_release(string);
    call_changed(call, 1, source->length);
    keyspace_touch(call_key(call, 2));
}

/* LEFT or RIGHT; false after an error reply. */
static bool list_end(struct call *call, size_t index, enum list_end *ret_end)
{
    bool left = text_is(call->argument[index], "left");
    if (!left && !text_is(call->argument[index], "right")) {
        call_syntax_error(call);
        return false;
    }
    *ret_end = left ? LIST_HEAD : LIST_TAIL;
    return true;
}

void command_lmove(struct call *call)
{
    enum list_end from, to;
    if (list_end(call, 3, &from) && list_end(call, 4, &to))
        move(call, from, to);
}

void command_rpoplpush(struct call *call)
{
    move(call, LIST_TAIL, LIST_HEAD);
}
