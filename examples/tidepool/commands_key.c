/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on keys of any type. */
#include <string.h>

#include "commands.h"
#include "feed.h"
#include "list.h"
#include "set.h"
#include "zset.h"

void command_del(struct call *call)
{
    int64_t removed = 0;
    for (size_t i = 1; i < call->count; i++)
        removed += keyspace_remove(call_key(call, i), call->dead);
    reply_integer(call->reply, removed);
}

void command_exists(struct call *call)
{
    int64_t found = 0;
    for (size_t i = 1; i < call->count; i++)
        found += keyspace_find(call_key(call, i)) != NULL;
    reply_integer(call->reply, found);
}

void command_type(struct call *call)
{
    struct entry *entry = keyspace_find(call_key(call, 1));
    reply_status(call->reply, value_type_name(entry == NULL ? NULL : entry->value));
}

/* ---- RENAME ---- */

/* Moves the value and its time; false after an error reply. The source is there. */
static bool rename_key(struct call *call)
{
    struct key from = call_key(call, 1), to = call_key(call, 2);
    if (text_same(from.text, to.text))
        return true;
    struct entry *source = keyspace_find(from);
    int64_t at_ms = keyspace_expiry(from, source);
    if (!keyspace_put(to, neap_get(&source->value), call->dead) ||
        !keyspace_set_expiry(to, keyspace_find(to), at_ms)) {
        call_out_of_memory(call);
        return false;
    }
    keyspace_remove(from, call->dead);
    return true;
}

static bool source_is_there(struct call *call)
{
    if (keyspace_find(call_key(call, 1)) != NULL)
        return true;
    reply_error(call->reply, "ERR no such key");
    return false;
}

void command_rename(struct call *call)
{
    if (source_is_there(call) && rename_key(call))
        reply_status(call->reply, "OK");
}

void command_renamenx(struct call *call)
{
    if (!source_is_there(call))
        return;
    if (keyspace_find(call_key(call, 2)) != NULL)
        reply_integer(call->reply, 0);
    else if (rename_key(call))
        reply_integer(call->reply, 1);
}

/* ---- COPY ---- */

/* The options DB 0 and REPLACE; false after an error reply. */
static bool copy_options(struct call *call, bool *ret_replace)
{
    *ret_replace = false;
    for (size_t i = 3; i < call->count; i++) {
        int64_t database;
        if (text_is(call->argument[i], "replace")) {
            *ret_replace = true;
        } else if (text_is(call->argument[i], "db") && i + 1 < call->count) {
            if (!call_integer(call, ++i, &database))
                return false;
            if (database != 0) {
                reply_error(call->reply, "ERR DB index is out of range");
                return false;
            }
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

void command_copy(struct call *call)
{
    bool replace;
    if (!copy_options(call, &replace))
        return;
    struct key from = call_key(call, 1), to = call_key(call, 2);
    if (text_same(from.text, to.text)) {
        reply_error(call->reply, "ERR source and destination objects are the same");
        return;
    }
    struct entry *source = keyspace_find(from);
    if (source == NULL || (!replace && keyspace_find(to) != NULL)) {
        reply_integer(call->reply, 0);
        return;
    }
    int64_t at_ms = keyspace_expiry(from, source);
    if (!call_store(call, 2, value_copy(source->value)))
        return;
    if (keyspace_set_expiry(to, keyspace_find(to), at_ms))
        reply_integer(call->reply, 1);
    else
        call_out_of_memory(call);
}

/* ---- time to live ---- */

enum expire_option { EXPIRE_NX = 1, EXPIRE_XX = 2, EXPIRE_GT = 4, EXPIRE_LT = 8 };

/* The options behind the time; false after an error reply. */
static bool expire_options(struct call *call, unsigned *ret_options)
{
    static const char *const names[] = {"nx", "xx", "gt", "lt"};
    *ret_options = 0;
    for (size_t i = 3; i < call->count; i++) {
        unsigned known = 0;
        while (known < 4 && !text_is(call->argument[i], names[known]))
            known++;
        if (known == 4) {
            reply_error(call->reply, "ERR Unsupported option %.*s",
                        call_shown_length(call->argument[i]), call->argument[i].bytes);
            return false;
        }
        *ret_options |= 1u << known;
    }
    if ((*ret_options & EXPIRE_NX) && *ret_options != EXPIRE_NX) {
        reply_error(call->reply,
                    "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((*ret_options & EXPIRE_GT) && (*ret_options & EXPIRE_LT)) {
        reply_error(call->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* May at_ms take the place of the time the entry has? */
static bool expire_allowed(unsigned options, int64_t now_ms, int64_t at_ms)
{
    if ((options & EXPIRE_NX) && now_ms != EXPIRY_NONE)
        return false;
    if ((options & EXPIRE_XX) && now_ms == EXPIRY_NONE)
        return false;
    if ((options & EXPIRE_GT) && (now_ms == EXPIRY_NONE || at_ms <= now_ms))
        return false; /* never is later than any time */
    return !(options & EXPIRE_LT) || now_ms == EXPIRY_NONE || at_ms < now_ms;
}

static void expire(struct call *call, bool seconds, bool absolute)
{
    unsigned options;
    int64_t at_ms;
    if (!expire_options(call, &options) || !call_integer(call, 2, &at_ms))
        return;
    if ((seconds && (at_ms > INT64_MAX / 1000 || at_ms < INT64_MIN / 1000)) ||
        (!absolute && (seconds ? at_ms * 1000 : at_ms) > INT64_MAX - keyspace_now_ms)) {
        call_invalid_expire_time(call);
        return;
    }
    at_ms = (seconds ? at_ms * 1000 : at_ms) + (absolute ? 0 : keyspace_now_ms);
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_find(key);
    if (entry == NULL || !expire_allowed(options, keyspace_expiry(key, entry), at_ms)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (at_ms <= keyspace_now_ms)
        keyspace_remove(key, call->dead);
    else if (!keyspace_set_expiry(key, entry, at_ms)) {
        call_out_of_memory(call);
        return;
    }
    reply_integer(call->reply, 1);
}

void command_expire(struct call *call)
{
    expire(call, true, false);
}

void command_pexpire(struct call *call)
{
    expire(call, false, false);
}

void command_expireat(struct call *call)
{
    expire(call, true, true);
}

void command_pexpireat(struct call *call)
{
    expire(call, false, true);
}

/* -2 for no key, -1 for no time, else the time or what remains of it, in seconds rounded or
 * milliseconds. */
static void time_left(struct call *call, bool seconds, bool absolute)
{
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_find(key);
    int64_t at_ms = entry == NULL ? -2 : keyspace_expiry(key, entry);
    if (entry != NULL && at_ms == EXPIRY_NONE)
        at_ms = -1;
    if (at_ms < 0) {
        reply_integer(call->reply, at_ms);
        return;
    }
    int64_t left = absolute ? at_ms : at_ms - keyspace_now_ms;
    reply_integer(call->reply, seconds ? (left + 500) / 1000 : left);
}

void command_ttl(struct call *call)
{
    time_left(call, true, false);
}

void command_pttl(struct call *call)
{
    time_left(call, false, false);
}

void command_expiretime(struct call *call)
{
    time_left(call, true, true);
}

void command_pexpiretime(struct call *call)
{
    time_left(call, false, true);
}

void command_persist(struct call *call)
{
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_find(key);
    bool timed = entry != NULL && keyspace_expiry(key, entry) != EXPIRY_NONE;
    if (timed)
        keyspace_set_expiry(key, entry, EXPIRY_NONE);
    reply_integer(call->reply, timed);
}

/* ---- walks over all keys ---- */

struct walk {
    struct reply found; /* the replies of what fits */
    size_t count;
    const struct slice *pattern, *type; /* NULL: any */
    /* of a feed: */
    uint64_t cursor;
    bool walked; /* and how many there are has been told */
    size_t told; /* bytes of found */
    struct slice own_pattern;
    char bytes[]; /* own_pattern's */
};

static void walk_entry(struct entry *entry, void *arg)
{
    struct walk *walk = arg;
    if (walk->pattern != NULL && !text_matches(*walk->pattern, entry_key(entry), false))
        return;
    if (walk->type != NULL && !text_is(*walk->type, value_type_name(entry->value)))
        return;
    reply_bulk(&walk->found, entry_key(entry));
    walk->count++;
}

static void free_walk(void *arg)
{
    struct walk *walk = arg;
    reply_fini(&walk->found);
    neap_free(walk);
}

/* Looks at some more keys; when that were all, tells how many there are, and then which. */
static bool feed_keys(struct feed *feed, struct reply *reply)
{
    struct walk *walk = feed->own;
    if (!walk->walked) {
        walk->cursor = keyspace_scan(walk->cursor, walk_entry, walk, false);
        walk->walked = walk->cursor == 0;
        if (walk->walked)
            reply_array(reply, walk->count);
        reply->failed |= walk->found.failed;
        return true;
    }
    size_t part = walk->found.length - walk->told;
    part = part < FEED_BYTES ? part : FEED_BYTES;
    reply_bytes(reply, walk->found.bytes + walk->told, part);
    walk->told += part;
    return walk->told < walk->found.length;
}

/* False where the reply has to be whole, or there is no memory. */
static bool keys_in_slices(struct call *call)
{
    struct slice pattern = call->argument[1];
    if (call->feed == NULL || keyspace_count() < FEED_LEAST)
        return false;
    struct walk *walk = neap_alloc(sizeof *walk + pattern.length);
    if (walk == NULL)
        return false;
    memset(walk, 0, sizeof *walk);
    reply_init(&walk->found, call->reply->limit);
    if (pattern.length > 0)
        memcpy(walk->bytes, pattern.bytes, pattern.length);
    walk->own_pattern = (struct slice){walk->bytes, pattern.length};
    walk->pattern = &walk->own_pattern;
    struct feed *feed = feed_start(call, NULL, FEED_LEAST, feed_keys);
    if (feed == NULL) {
        free_walk(walk);
        return false;
    }
    feed->own = walk;
    feed->free_own = free_walk;
    return true;
}

void command_keys(struct call *call)
{
    if (keys_in_slices(call))
        return;
    struct walk walk = {.pattern = &call->argument[1]};
    reply_init(&walk.found, call->reply->limit);
    uint64_t cursor = 0;
    do {
        cursor = keyspace_scan(cursor, walk_entry, &walk, call->all_locked);
        neap_safepoint();
    } while (cursor != 0 && !walk.found.failed);
    call_reply_parts(call, &walk.found, walk.count);
}

void command_scan(struct call *call)
{
    uint64_t cursor;
    struct scan_options options;
    if (!call_cursor(call, 1, &cursor) || !call_scan_options(call, 2, true, &options))
        return;
    struct walk walk = {.pattern = options.pattern, .type = options.type};
    reply_init(&walk.found, call->reply->limit);
    /* A bucket holds about one key: count buckets, and those of empty stripes are not gone through.
     */
    do {
        cursor = keyspace_scan(cursor, walk_entry, &walk, call->all_locked);
    } while (cursor != 0 && --options.count > 0);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, (int64_t)cursor);
    call_reply_parts(call, &walk.found, walk.count);
}

static void reply_key(struct entry *entry, void *arg)
{
    reply_bulk(arg, entry_key(entry));
}

void command_randomkey(struct call *call)
{
    if (!keyspace_random(call_random(), reply_key, call->reply, call->all_locked))
        reply_null(call->reply);
}
