/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on ranges of sorted sets. Whatever a range is given by (ranks, scores, names),
 * it becomes a span of ranks [from, to), which is then replied, counted or removed. */
#include <math.h>
#include <string.h>

#include "commands.h"
#include "feed.h"
#include "zset.h"

enum range_kind { RANGE_RANK, RANGE_SCORE, RANGE_NAME };

struct bound {
    double score;
    struct slice name;
    int beyond;     /* -1: before all names, 1: behind them all, 0: name */
    bool exclusive; /* the bound itself is outside */
};

struct range {
    enum range_kind kind;
    bool reverse, scores;
    int64_t offset, limit; /* limit -1: all */
    int64_t first, last;   /* RANGE_RANK */
    struct bound least, most;
    size_t from, to; /* the span */
};

static bool score_below(const struct scored *scored, const void *arg)
{
    const struct bound *bound = arg;
    return scored->score < bound->score || (bound->exclusive && scored->score == bound->score);
}

static bool score_not_above(const struct scored *scored, const void *arg)
{
    const struct bound *bound = arg;
    return scored->score < bound->score || (!bound->exclusive && scored->score == bound->score);
}

static int compare_names(struct slice a, struct slice b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool name_below(const struct scored *scored, const void *arg)
{
    const struct bound *bound = arg;
    if (bound->beyond != 0)
        return bound->beyond > 0;
    int order = compare_names(scored_name(scored), bound->name);
    return order < 0 || (bound->exclusive && order == 0);
}

static bool name_not_above(const struct scored *scored, const void *arg)
{
    const struct bound *bound = arg;
    if (bound->beyond != 0)
        return bound->beyond > 0;
    int order = compare_names(scored_name(scored), bound->name);
    return order < 0 || (!bound->exclusive && order == 0);
}

/* ---- parsing ---- */

static bool parse_score(struct slice text, struct bound *bound)
{
    bound->exclusive = text.length > 0 && text.bytes[0] == '(';
    if (bound->exclusive) {
        text.bytes++;
        text.length--;
    }
    return text_to_double(text, &bound->score);
}

static bool parse_name(struct slice text, struct bound *bound)
{
    if (text_same(text, text_from("-")) || text_same(text, text_from("+"))) {
        bound->beyond = text.bytes[0] == '-' ? -1 : 1;
        return true;
    }
    if (text.length == 0 || (text.bytes[0] != '(' && text.bytes[0] != '['))
        return false;
    bound->exclusive = text.bytes[0] == '(';
    bound->name = (struct slice){text.bytes + 1, text.length - 1};
    return true;
}

/* The two bounds in arguments 2 and 3, in the order of the kind; false after an error reply. */
static bool parse_bounds(struct call *call, struct range *range)
{
    if (range->kind == RANGE_RANK)
        return call_integer(call, 2, &range->first) && call_integer(call, 3, &range->last);
    struct slice least = call->argument[range->reverse ? 3 : 2];
    struct slice most = call->argument[range->reverse ? 2 : 3];
    if (range->kind == RANGE_SCORE) {
        if (parse_score(least, &range->least) && parse_score(most, &range->most))
            return true;
        reply_error(call->reply, "ERR min or max is not a float");
        return false;
    }
    if (parse_name(least, &range->least) && parse_name(most, &range->most))
        return true;
    reply_error(call->reply, "ERR min or max not valid string range item");
    return false;
}

/* The options from argument 4 on; `any` allows those that choose the kind, as ZRANGE has them.
 * False after an error reply. */
static bool parse_options(struct call *call, bool any, struct range *range)
{
    bool limited = false;
    for (size_t i = 4; i < call->count; i++) {
        struct slice option = call->argument[i];
        if (text_is(option, "withscores")) {
            range->scores = true;
        } else if (text_is(option, "limit") && i + 2 < call->count) {
            if (!call_integer(call, i + 1, &range->offset) ||
                !call_integer(call, i + 2, &range->limit))
                return false;
            limited = true;
            i += 2;
        } else if (any && text_is(option, "rev")) {
            range->reverse = true;
        } else if (any && range->kind == RANGE_RANK && text_is(option, "byscore")) {
            range->kind = RANGE_SCORE;
        } else if (any && range->kind == RANGE_RANK && text_is(option, "bylex")) {
            range->kind = RANGE_NAME;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (limited && range->limit != -1 && range->kind == RANGE_RANK) {
        reply_error(call->reply, "ERR syntax error, LIMIT is only supported in combination with "
                                 "either BYSCORE or BYLEX");
        return false;
    }
    if (range->scores && range->kind == RANGE_NAME) {
        reply_error(call->reply, "ERR syntax error, WITHSCORES not supported in combination with "
                                 "BYLEX");
        return false;
    }
    return true;
}

/* ---- spans ---- */

static void span_of_ranks(const struct zset *zset, struct range *range)
{
    int64_t count = (int64_t)zset->dict.count, first = range->first, last = range->last;
    if (first < 0)
        first = first + count < 0 ? 0 : first + count;
    if (last < 0)
        last += count;
    if (last >= count)
        last = count - 1;
    if (first > last)
        return;
    range->from = (size_t)(range->reverse ? count - 1 - last : first);
    range->to = (size_t)(range->reverse ? count - 1 - first : last) + 1;
}

static void span_of_bounds(const struct zset *zset, struct range *range)
{
    bool score = range->kind == RANGE_SCORE;
    range->from = zset_count_below(zset, score ? score_below : name_below, &range->least);
    range->to = zset_count_below(zset, score ? score_not_above : name_not_above, &range->most);
    size_t count = range->to > range->from ? range->to - range->from : 0;
    if (range->offset < 0 || (uint64_t)range->offset >= count)
        count = 0;
    if (count == 0) {
        range->to = range->from;
        return;
    }
    size_t skipped = (size_t)range->offset, kept = count - skipped;
    if (range->limit >= 0 && (uint64_t)range->limit < kept)
        kept = (size_t)range->limit;
    if (range->reverse)
        range->from = range->to - skipped - kept;
    else
        range->from += skipped;
    range->to = range->from + kept;
}

/* The zset of argument 1 and the span in it; NULL after a reply of an error or of `nothing` for a
 * missing key. */
static struct zset *find_span(struct call *call, struct range *range,
                              void (*nothing)(struct call *))
{
    struct value *value;
    if (!call_find(call, 1, &neap_typeof_zset, &value))
        return NULL;
    struct zset *zset = (struct zset *)value;
    if (zset == NULL)
        nothing(call);
    else if (range->kind == RANGE_RANK)
        span_of_ranks(zset, range);
    else
        span_of_bounds(zset, range);
    return zset;
}

static void reply_nothing(struct call *call)
{
    reply_array(call->reply, 0);
}

static void reply_zero(struct call *call)
{
    reply_integer(call->reply, 0);
}

/* ---- replying ---- */

static void reply_scored(struct reply *reply, const struct scored *scored, bool with_score)
{
    if (with_score && reply->protocol == 3)
        reply_array(reply, 2);
    reply_bulk(reply, scored_name(scored));
    if (with_score)
        reply_double(reply, scored->score);
}

static bool feed_range(struct feed *feed, struct reply *reply)
{
    reply_scored(reply, feed->next, feed->values);
    if (--feed->left == 0)
        return false;
    feed->next = feed->reverse ? zset_previous(feed->next) : zset_next(feed->next);
    return true;
}

static void reply_range(struct call *call, struct range *range)
{
    struct zset *zset = find_span(call, range, reply_nothing);
    if (zset == NULL)
        return;
    size_t count = range->to - range->from;
    bool nested = range->scores && call->reply->protocol == 3;
    reply_array(call->reply, range->scores && !nested ? 2 * count : count);
    struct scored *scored =
        count == 0 ? NULL : zset_at(zset, range->reverse ? range->to - 1 : range->from);
    struct feed *feed = feed_start(call, zset, count, feed_range);
    if (feed != NULL) {
        feed->next = scored;
        feed->reverse = range->reverse;
        feed->values = range->scores;
        return;
    }
    for (size_t i = 0; i < count && !call->reply->failed; i++) {
        reply_scored(call->reply, scored, range->scores);
        scored = range->reverse ? zset_previous(scored) : zset_next(scored);
    }
}

static void range_command(struct call *call, enum range_kind kind, bool reverse, bool any)
{
    struct range range = {.kind = kind, .reverse = reverse, .limit = -1};
    if (parse_options(call, any, &range) && parse_bounds(call, &range))
        reply_range(call, &range);
}

void command_zrange(struct call *call)
{
    range_command(call, RANGE_RANK, false, true);
}

void command_zrevrange(struct call *call)
{
    range_command(call, RANGE_RANK, true, false);
}

void command_zrangebyscore(struct call *call)
{
    range_command(call, RANGE_SCORE, false, false);
}

void command_zrevrangebyscore(struct call *call)
{
    range_command(call, RANGE_SCORE, true, false);
}

void command_zrangebylex(struct call *call)
{
    range_command(call, RANGE_NAME, false, false);
}

void command_zrevrangebylex(struct call *call)
{
    range_command(call, RANGE_NAME, true, false);
}

/* ---- counting and removing ---- */

static void count_range(struct call *call, enum range_kind kind)
{
    struct range range = {.kind = kind, .limit = -1};
    if (parse_bounds(call, &range) && find_span(call, &range, reply_zero) != NULL)
        reply_integer(call->reply, (int64_t)(range.to - range.from));
}

void command_zcount(struct call *call)
{
    count_range(call, RANGE_SCORE);
}

void command_zlexcount(struct call *call)
{
    count_range(call, RANGE_NAME);
}

static void remove_range(struct call *call, enum range_kind kind)
{
    struct range range = {.kind = kind, .limit = -1};
    if (!parse_bounds(call, &range))
        return;
    struct zset *zset = find_span(call, &range, reply_zero);
    if (zset == NULL)
        return;
    size_t count = range.to - range.from;
    for (size_t i = 0; i < count; i++)
        neap_release(zset_take(zset, zset_at(zset, range.from)));
    if (count > 0)
        call_changed(call, 1, zset->dict.count);
    reply_integer(call->reply, (int64_t)count);
}

void command_zremrangebyrank(struct call *call)
{
    remove_range(call, RANGE_RANK);
}

void command_zremrangebyscore(struct call *call)
{
    remove_range(call, RANGE_SCORE);
}

void command_zremrangebylex(struct call *call)
{
    remove_range(call, RANGE_NAME);
}
