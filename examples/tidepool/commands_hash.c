/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on hashes. */
#include <math.h>

#include "commands.h"
#include "feed.h"
#include "set.h"

/* The key's hash, borrowed, or NULL when the key is missing; false after an error reply. */
static bool find_hash(struct call *call, struct hash **ret_hash)
{
    struct value *value;
    if (!call_find(call, 1, &neap_typeof_hash, &value))
        return false;
    *ret_hash = (struct hash *)value;
    return true;
}

/* The key's hash, made when it is missing; NULL after an error reply. */
static struct hash *find_or_make(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return NULL;
    if (hash == NULL) {
        hash = hash_new();
        if (!call_store(call, 1, (struct value *)hash))
            return NULL;
    }
    return hash;
}

static struct field *find_field(struct hash *hash, struct slice name)
{
    return hash == NULL ? NULL : hash_find(hash, name);
}

static size_t count_of(const struct hash *hash)
{
    return hash == NULL ? 0 : hash->dict.count;
}

static void reply_field(struct call *call, const struct field *field)
{
    if (field == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, string_text(field->value));
}

/* ---- writing ---- */

/* Stores the pairs from argument 2 on; false after an error reply. *ret_added counts the new
 * fields. */
static bool put_pairs(struct call *call, int64_t *ret_added)
{
    *ret_added = 0;
    if (call->count % 2 != 0) {
        call_wrong_arity(call, NULL);
        return false;
    }
    struct hash *hash = find_or_make(call);
    if (hash == NULL)
        return false;
    enum set_result result = SET_ADDED;
    for (size_t i = 2; i < call->count && result != SET_NO_MEMORY; i += 2) {
        result = hash_put(hash, call->argument[i], call->argument[i + 1]);
        *ret_added += result == SET_ADDED;
    }
    call_changed(call, 1, hash->dict.count);
    if (result == SET_NO_MEMORY)
        call_out_of_memory(call);
    return result != SET_NO_MEMORY;
}

void command_hset(struct call *call)
{
    int64_t added;
    if (put_pairs(call, &added))
        reply_integer(call->reply, added);
}

void command_hmset(struct call *call)
{
    int64_t added;
    if (put_pairs(call, &added))
        reply_status(call->reply, "OK");
}

/* Gives argument 2 this value; false after an error reply. */
static bool put(struct call *call, struct hash *hash, struct slice value)
{
    bool stored = hash_put(hash, call->argument[2], value) != SET_NO_MEMORY;
    call_changed(call, 1, hash->dict.count);
    if (!stored)
        call_out_of_memory(call);
    return stored;
}

void command_hsetnx(struct call *call)
{
    struct hash *hash = find_or_make(call);
    if (hash == NULL)
        return;
    if (hash_find(hash, call->argument[2]) != NULL)
        reply_integer(call->reply, 0);
    else if (put(call, hash, call->argument[3]))
        reply_integer(call->reply, 1);
}

void command_hdel(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return;
    int64_t removed = 0;
    for (size_t i = 2; i < call->count && hash != NULL; i++) {
        struct node *node = dict_take(&hash->dict, call->argument[i]);
        removed += node != NULL;
        neap_release(node);
    }
    if (removed > 0)
        call_changed(call, 1, hash->dict.count);
    reply_integer(call->reply, removed);
}

void command_hincrby(struct call *call)
{
    int64_t delta, sum = 0;
    if (!call_integer(call, 3, &delta))
        return;
    struct hash *hash = find_or_make(call);
    if (hash == NULL)
        return;
    struct field *field = hash_find(hash, call->argument[2]);
    char text[TEXT_INTEGER_BYTES];
    if (field != NULL && !text_to_integer(string_text(field->value), &sum)) {
        reply_error(call->reply, "ERR hash value is not an integer");
    } else if (__builtin_add_overflow(sum, delta, &sum)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
    } else {
        struct slice written = {text, text_from_integer(sum, text)};
        if (put(call, hash, written))
            reply_integer(call->reply, sum);
    }
}

void command_hincrbyfloat(struct call *call)
{
    long double delta, sum = 0;
    if (!text_to_real(call->argument[3], &delta)) {
        call_not_a_float(call);
        return;
    }
    if (isinf(delta)) {
        reply_error(call->reply, "ERR value is NaN or Infinity");
        return;
    }
    struct hash *hash = find_or_make(call);
    if (hash == NULL)
        return;
    struct field *field = hash_find(hash, call->argument[2]);
    char text[TEXT_REAL_BYTES];
    if (field != NULL && !text_to_real(string_text(field->value), &sum)) {
        reply_error(call->reply, "ERR hash value is not a float");
        return;
    }
    sum += delta;
    if (isnan(sum) || isinf(sum)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct slice written = {text, text_from_real(sum, text)};
    if (put(call, hash, written))
        reply_bulk(call->reply, written);
}

/* ---- reading ---- */

void command_hget(struct call *call)
{
    struct hash *hash;
    if (find_hash(call, &hash))
        reply_field(call, find_field(hash, call->argument[2]));
}

void command_hmget(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return;
    reply_array(call->reply, call->count - 2);
    for (size_t i = 2; i < call->count; i++)
        reply_field(call, find_field(hash, call->argument[i]));
}

void command_hexists(struct call *call)
{
    struct hash *hash;
    if (find_hash(call, &hash))
        reply_integer(call->reply, find_field(hash, call->argument[2]) != NULL);
}

void command_hlen(struct call *call)
{
    struct hash *hash;
    if (find_hash(call, &hash))
        reply_integer(call->reply, (int64_t)count_of(hash));
}

void command_hstrlen(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return;
    struct field *field = find_field(hash, call->argument[2]);
    reply_integer(call->reply, field == NULL ? 0 : (int64_t)field->value->length);
}

struct listing {
    struct dict *dict;
    struct reply *reply;
    bool names, values;
    const struct slice *pattern; /* NULL: any */
    size_t count;                /* replies written */
};

static void list_node(struct node *node, void *arg)
{
    struct listing *listing = arg;
    struct slice name = dict_name(listing->dict, node);
    if (listing->pattern != NULL && !text_matches(*listing->pattern, name, false))
        return;
    if (listing->names)
        reply_bulk(listing->reply, name);
    if (listing->values)
        reply_bulk(listing->reply, string_text(((struct field *)node)->value));
    listing->count += listing->names + listing->values;
}

static void list_all(struct call *call, struct hash *hash, bool names, bool values)
{
    if (hash == NULL)
        return;
    struct feed *feed = feed_start(call, hash, hash->dict.count, feed_dict);
    if (feed != NULL) {
        feed->names = names;
        feed->values = values;
        return;
    }
    struct listing listing = {&hash->dict, call->reply, names, values, NULL, 0};
    dict_each(&hash->dict, list_node, &listing);
}

void command_hgetall(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return;
    reply_map(call->reply, count_of(hash));
    list_all(call, hash, true, true);
}

void command_hkeys(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return;
    reply_array(call->reply, count_of(hash));
    list_all(call, hash, true, false);
}

void command_hvals(struct call *call)
{
    struct hash *hash;
    if (!find_hash(call, &hash))
        return;
    reply_array(call->reply, count_of(hash));
    list_all(call, hash, false, true);
}

void command_hscan(struct call *call)
{
    uint64_t cursor;
    struct hash *hash;
    struct scan_options options;
    if (!call_cursor(call, 2, &cursor) || !find_hash(call, &hash))
        return;
    if (hash == NULL) {
        call_empty_scan(call);
        return;
    }
    if (!call_scan_options(call, 3, false, &options))
        return;
    struct reply found;
    reply_init(&found, call->reply->limit);
    struct listing listing = {&hash->dict, &found, true, true, options.pattern, 0};
    do {
        cursor = dict_scan(&hash->dict, cursor, list_node, &listing);
    } while (cursor != 0 && --options.count > 0);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, (int64_t)cursor);
    call_reply_parts(call, &found, listing.count);
}
