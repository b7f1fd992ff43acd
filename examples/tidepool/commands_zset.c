/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on sorted sets, one member at a time; ranges are in commands_range.c. */
#include <math.h>

#include "commands.h"
#include "zset.h"

/* The key's sorted set, borrowed, or NULL when the key is missing; false after an error reply. */
static bool find_zset(struct call *call, struct zset **ret_zset)
{
    struct value *value;
    if (!call_find(call, 1, &neap_typeof_zset, &value))
        return false;
    *ret_zset = (struct zset *)value;
    return true;
}

static struct scored *find_member(struct zset *zset, struct slice name)
{
    return zset == NULL ? NULL : zset_find(zset, name);
}

static void reply_score(struct call *call, const struct scored *scored)
{
    if (scored == NULL)
        reply_null(call->reply);
    else
        reply_double(call->reply, scored->score);
}

/* ---- ZADD ---- */

enum add_option { ADD_NX = 1, ADD_XX = 2, ADD_GT = 4, ADD_LT = 8, ADD_CH = 16, ADD_INCR = 32 };

struct adding {
    unsigned options;
    size_t first; /* argument: the first score */
    struct zset *zset;
    int64_t added, changed;
    bool skipped, failed; /* the last member was left alone; after an error reply */
    double score;         /* of the last member */
};

/* The options before the scores; false after an error reply. */
static bool add_options(struct call *call, struct adding *adding)
{
    static const char *const names[] = {"nx", "xx", "gt", "lt", "ch", "incr"};
    adding->first = 2;
    for (; adding->first < call->count; adding->first++) {
        unsigned known = 0;
        while (known < 6 && !text_is(call->argument[adding->first], names[known]))
            known++;
        if (known == 6)
            break;
        adding->options |= 1u << known;
    }
    size_t left = call->count - adding->first;
    unsigned options = adding->options;
    if (left == 0 || left % 2 != 0) {
        call_syntax_error(call);
        return false;
    }
    if ((options & ADD_NX) && (options & ADD_XX)) {
        reply_error(call->reply, "ERR XX and NX options at the same time are not compatible");
        return false;
    }
    if (((options & ADD_GT) && (options & (ADD_NX | ADD_LT))) ||
        ((options & ADD_LT) && (options & (ADD_NX | ADD_GT)))) {
        reply_error(call->reply,
                    "ERR GT, LT, and/or NX options at the same time are not compatible");
        return false;
    }
    if ((options & ADD_INCR) && left > 2) {
        reply_error(call->reply, "ERR INCR option supports a single increment-element pair");
        return false;
    }
    return true;
}

/* Adds or changes one member. */
static void add_member(struct call *call, struct adding *adding, struct slice name, double score)
{
    struct scored *scored = zset_find(adding->zset, name);
    unsigned options = adding->options;
    adding->skipped = scored == NULL ? (options & ADD_XX) != 0 : (options & ADD_NX) != 0;
    adding->score = score;
    if (adding->skipped)
        return;
    if (scored == NULL) {
        if (zset_add(adding->zset, name, score)) {
            adding->added++;
        } else {
            call_out_of_memory(call);
            adding->failed = true;
        }
        return;
    }
    if (options & ADD_INCR) {
        score += scored->score;
        if (isnan(score)) {
            reply_error(call->reply, "ERR resulting score is not a number (NaN)");
            adding->failed = true;
            return;
        }
    }
    adding->skipped = ((options & ADD_GT) && score <= scored->score) ||
                      ((options & ADD_LT) && score >= scored->score);
    adding->score = score;
    if (adding->skipped || score == scored->score)
        return;
    zset_move(adding->zset, scored, score);
    adding->changed++;
}

/* Are all scores numbers? False after an error reply. Redis looks at them all before it changes
 * anything. */
static bool check_scores(struct call *call, size_t first)
{
    double score;
    for (size_t i = first; i < call->count; i += 2)
        if (!call_double(call, i, &score))
            return false;
    return true;
}

static void add(struct call *call, struct adding *adding)
{
    if (!check_scores(call, adding->first) || !find_zset(call, &adding->zset))
        return;
    bool increment = (adding->options & ADD_INCR) != 0;
    if (adding->zset == NULL && (adding->options & ADD_XX)) {
        if (increment)
            reply_null(call->reply);
        else
            reply_integer(call->reply, 0);
        return;
    }
    if (adding->zset == NULL) {
        adding->zset = zset_new();
        if (!call_store(call, 1, (struct value *)adding->zset))
            return;
    }
    for (size_t i = adding->first; i < call->count && !adding->failed; i += 2) {
        double score = 0;
        call_double(call, i, &score);
        add_member(call, adding, call->argument[i + 1], score);
    }
    if (adding->added + adding->changed > 0 || adding->zset->dict.count == 0)
        call_changed(call, 1, adding->zset->dict.count);
    if (adding->failed)
        return;
    if (increment && adding->skipped)
        reply_null(call->reply);
    else if (increment)
        reply_double(call->reply, adding->score);
    else
        reply_integer(call->reply,
                      adding->added + (adding->options & ADD_CH ? adding->changed : 0));
}

void command_zadd(struct call *call)
{
    struct adding adding = {.options = 0};
    if (add_options(call, &adding))
        add(call, &adding);
}

void command_zincrby(struct call *call)
{
    struct adding adding = {.options = ADD_INCR, .first = 2};
    add(call, &adding);
}

/* ---- one member ---- */

void command_zrem(struct call *call)
{
    struct zset *zset;
    if (!find_zset(call, &zset))
        return;
    int64_t removed = 0;
    for (size_t i = 2; i < call->count && zset != NULL; i++) {
        struct scored *scored = zset_find(zset, call->argument[i]);
        if (scored == NULL)
            continue;
        neap_release(zset_take(zset, scored));
        removed++;
    }
    if (removed > 0)
        call_changed(call, 1, zset->dict.count);
    reply_integer(call->reply, removed);
}

void command_zcard(struct call *call)
{
    struct zset *zset;
    if (find_zset(call, &zset))
        reply_integer(call->reply, zset == NULL ? 0 : (int64_t)zset->dict.count);
}

void command_zscore(struct call *call)
{
    struct zset *zset;
    if (find_zset(call, &zset))
        reply_score(call, find_member(zset, call->argument[2]));
}

void command_zmscore(struct call *call)
{
    struct zset *zset;
    if (!find_zset(call, &zset))
        return;
    reply_array(call->reply, call->count - 2);
    for (size_t i = 2; i < call->count; i++)
        reply_score(call, find_member(zset, call->argument[i]));
}

static void rank(struct call *call, bool reverse)
{
    struct zset *zset;
    if (!find_zset(call, &zset))
        return;
    struct scored *scored = find_member(zset, call->argument[2]);
    if (scored == NULL) {
        reply_null(call->reply);
        return;
    }
    size_t before = zset_rank(scored);
    reply_integer(call->reply, (int64_t)(reverse ? zset->dict.count - 1 - before : before));
}

void command_zrank(struct call *call)
{
    rank(call, false);
}

void command_zrevrank(struct call *call)
{
    rank(call, true);
}

/* ---- ZPOPMIN, ZPOPMAX ---- */

static void pop(struct call *call, bool greatest)
{
    struct zset *zset;
    int64_t most = 1;
    bool counted = call->count >= 3;
    if (call->count > 3) {
        call_syntax_error(call);
        return;
    }
    if (counted && !call_not_negative(call, 2, "value is out of range, must be positive", &most))
        return;
    if (!find_zset(call, &zset))
        return;
    size_t size = zset == NULL ? 0 : zset->dict.count;
    size_t count = (uint64_t)most < size ? (size_t)most : size;
    bool nested = counted && call->reply->protocol == 3;
    reply_array(call->reply, nested ? count : 2 * count);
    for (size_t i = 0; i < count; i++) {
        struct scored *scored = zset_take(zset, zset_at(zset, greatest ? zset->dict.count - 1 : 0));
        if (nested)
            reply_array(call->reply, 2);
        reply_bulk(call->reply, scored_name(scored));
        reply_double(call->reply, scored->score);
        neap_release(scored);
    }
    if (count > 0)
        call_changed(call, 1, zset->dict.count);
}

void command_zpopmin(struct call *call)
{
    pop(call, false);
}

void command_zpopmax(struct call *call)
{
    pop(call, true);
}

/* ---- ZSCAN ---- */

struct listing {
    struct dict *dict;
    struct reply *reply;
    const struct slice *pattern; /* NULL: any */
    size_t count;
};

static void list_node(struct node *node, void *arg)
{
    struct listing *listing = arg;
    struct slice name = dict_name(listing->dict, node);
    if (listing->pattern != NULL && !text_matches(*listing->pattern, name, false))
        return;
    char score[TEXT_DOUBLE_BYTES];
    reply_bulk(listing->reply, name);
    size_t length = text_from_double(((struct scored *)node)->score, score);
    reply_bulk(listing->reply, (struct slice){score, length});
    listing->count += 2;
}

void command_zscan(struct call *call)
{
    uint64_t cursor;
    struct zset *zset;
    struct scan_options options;
    if (!call_cursor(call, 2, &cursor) || !find_zset(call, &zset))
        return;
    if (zset == NULL) {
        call_empty_scan(call);
        return;
    }
    if (!call_scan_options(call, 3, false, &options))
        return;
    struct reply found;
    reply_init(&found, call->reply->limit);
    struct listing listing = {&zset->dict, &found, options.pattern, 0};
    do {
        cursor = dict_scan(&zset->dict, cursor, list_node, &listing);
    } while (cursor != 0 && --options.count > 0);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, (int64_t)cursor);
    call_reply_parts(call, &found, listing.count);
}
