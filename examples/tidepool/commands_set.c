/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on sets. */
#include "commands.h"
#include "feed.h"
#include "set.h"

/* The key's set, borrowed, or NULL when the key is missing; false after an error reply. */
static bool find_set(struct call *call, size_t index, struct set **ret_set)
{
    struct value *value;
    if (!call_find(call, index, &neap_typeof_set, &value))
        return false;
    *ret_set = (struct set *)value;
    return true;
}

static size_t count_of(const struct set *set)
{
    return set == NULL ? 0 : set->dict.count;
}

static bool has(struct set *set, struct slice name)
{
    return set != NULL && dict_find(&set->dict, name) != NULL;
}

/* Takes the name out; was it there? */
static bool take(struct set *set, struct slice name)
{
    struct node *node = dict_take(&set->dict, name);
    neap_release(node);
    return node != NULL;
}

/* The key's set, made when it is missing; NULL after an error reply. */
static struct set *find_or_make(struct call *call, size_t index)
{
    struct set *set;
    if (!find_set(call, index, &set))
        return NULL;
    if (set == NULL) {
        set = set_new();
        if (!call_store(call, index, (struct value *)set))
            return NULL;
    }
    return set;
}

void command_sadd(struct call *call)
{
    struct set *set = find_or_make(call, 1);
    if (set == NULL)
        return;
    int64_t added = 0;
    enum set_result result = SET_ADDED;
    for (size_t i = 2; i < call->count && result != SET_NO_MEMORY; i++) {
        result = set_add(set, call->argument[i]);
        added += result == SET_ADDED;
    }
    if (added > 0 || set->dict.count == 0)
        call_changed(call, 1, set->dict.count);
    if (result == SET_NO_MEMORY)
        call_out_of_memory(call);
    else
        reply_integer(call->reply, added);
}

void command_srem(struct call *call)
{
    struct set *set;
    if (!find_set(call, 1, &set))
        return;
    int64_t removed = 0;
    for (size_t i = 2; i < call->count && set != NULL; i++)
        removed += take(set, call->argument[i]);
    if (removed > 0)
        call_changed(call, 1, set->dict.count);
    reply_integer(call->reply, removed);
}

void command_scard(struct call *call)
{
    struct set *set;
    if (find_set(call, 1, &set))
        reply_integer(call->reply, (int64_t)count_of(set));
}

void command_sismember(struct call *call)
{
    struct set *set;
    if (find_set(call, 1, &set))
        reply_integer(call->reply, has(set, call->argument[2]));
}

void command_smismember(struct call *call)
{
    struct set *set;
    if (!find_set(call, 1, &set))
        return;
    reply_array(call->reply, call->count - 2);
    for (size_t i = 2; i < call->count; i++)
        reply_integer(call->reply, has(set, call->argument[i]));
}

void command_smove(struct call *call)
{
    struct set *from, *to;
    if (!find_set(call, 1, &from))
        return;
    if (from == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!find_set(call, 2, &to))
        return;
    struct slice name = call->argument[3];
    if (from == to || !has(from, name)) {
        reply_integer(call->reply, has(from, name));
        return;
    }
    to = find_or_make(call, 2);
    if (to == NULL)
        return;
    if (set_add(to, name) == SET_NO_MEMORY) {
        call_changed(call, 2, to->dict.count);
        call_out_of_memory(call);
        return;
    }
    take(from, name);
    call_changed(call, 1, from->dict.count);
    keyspace_touch(call_key(call, 2));
    reply_integer(call->reply, 1);
}

/* ---- all members ---- */

struct listing {
    struct dict *dict;
    struct reply *reply;
    size_t count;
    const struct slice *pattern; /* NULL: any */
};

static void list_node(struct node *node, void *arg)
{
    struct listing *listing = arg;
    struct slice name = dict_name(listing->dict, node);
    if (listing->pattern != NULL && !text_matches(*listing->pattern, name, false))
        return;
    reply_bulk(listing->reply, name);
    listing->count++;
}

static void reply_members(struct call *call, struct set *set)
{
    reply_set(call->reply, count_of(set));
    if (set == NULL)
        return;
    struct feed *feed = feed_start(call, set, set->dict.count, feed_dict);
    if (feed != NULL) {
        feed->names = true;
        return;
    }
    struct listing listing = {.dict = &set->dict, .reply = call->reply};
    dict_each(&set->dict, list_node, &listing);
}

void command_smembers(struct call *call)
{
    struct set *set;
    if (find_set(call, 1, &set))
        reply_members(call, set);
}

void command_sscan(struct call *call)
{
    uint64_t cursor;
    struct set *set;
    struct scan_options options;
    if (!call_cursor(call, 2, &cursor) || !find_set(call, 1, &set))
        return;
    if (set == NULL) {
        call_empty_scan(call);
        return;
    }
    if (!call_scan_options(call, 3, false, &options))
        return;
    struct reply found;
    reply_init(&found, call->reply->limit);
    struct listing listing = {.dict = &set->dict, .reply = &found, .pattern = options.pattern};
    do {
        cursor = dict_scan(&set->dict, cursor, list_node, &listing);
    } while (cursor != 0 && --options.count > 0);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, (int64_t)cursor);
    call_reply_parts(call, &found, listing.count);
}

/* ---- random members ---- */

/* Replies a member chosen at random and takes it out. */
static void pop_one(struct call *call, struct set *set)
{
    struct node *node = dict_random(&set->dict, call_random());
    struct slice name = dict_name(&set->dict, node);
    reply_bulk(call->reply, name);
    take(set, name);
}

void command_spop(struct call *call)
{
    struct set *set;
    int64_t count = 1;
    bool counted = call->count >= 3;
    if (call->count > 3) {
        call_syntax_error(call);
        return;
    }
    if (counted && !call_not_negative(call, 2, "value is out of range, must be positive", &count))
        return;
    if (!find_set(call, 1, &set))
        return;
    if (set == NULL && !counted) {
        reply_null(call->reply);
        return;
    }
    size_t most = (uint64_t)count < count_of(set) ? (size_t)count : count_of(set);
    if (counted)
        reply_set(call->reply, most);
    for (size_t i = 0; i < most; i++)
        pop_one(call, set);
    if (most > 0)
        call_changed(call, 1, set->dict.count);
}

/* A sample without repetition: each node is taken with the chance that the rest of the sample
 * needs. */
struct sample {
    struct listing listing;
    size_t wanted, left; /* of the sample; of the nodes not yet seen */
};

static void sample_node(struct node *node, void *arg)
{
    struct sample *sample = arg;
    if (sample->wanted > 0 && call_random() % sample->left < sample->wanted) {
        list_node(node, &sample->listing);
        sample->wanted--;
    }
    sample->left--;
}

void command_srandmember(struct call *call)
{
    struct set *set;
    int64_t count;
    if (call->count > 3) {
        call_syntax_error(call);
        return;
    }
    if (call->count == 3 && !call_integer_within(call, 2, -INT64_MAX, INT64_MAX, &count))
        return;
    if (!find_set(call, 1, &set))
        return;
    if (call->count == 2) {
        if (set == NULL)
            reply_null(call->reply);
        else
            reply_bulk(call->reply, dict_name(&set->dict, dict_random(&set->dict, call_random())));
        return;
    }
    size_t size = count_of(set);
    size_t wanted = count < 0 ? (size_t)-count : (uint64_t)count < size ? (size_t)count : size;
    reply_array(call->reply, size == 0 ? 0 : wanted);
    if (size == 0)
        return;
    if (count >= 0) {
        struct sample sample = {{&set->dict, call->reply, 0, NULL}, wanted, size};
        dict_each(&set->dict, sample_node, &sample);
        return;
    }
    for (size_t i = 0; i < wanted && !call->reply->failed; i++)
        reply_bulk(call->reply, dict_name(&set->dict, dict_random(&set->dict, call_random())));
}

/* ---- several sets ---- */

enum operation { INTERSECTION, UNION, DIFFERENCE };

struct gathering {
    enum operation operation;
    struct set **sets; /* neap_alloc, borrowed members; NULL for missing keys */
    size_t count;
    struct set *base;   /* whose members are gone through */
    struct set *result; /* a reference */
    bool failed;
};

static void gather_node(struct node *node, void *arg)
{
    struct gathering *gathering = arg;
    struct slice name = dict_name(&gathering->base->dict, node);
    bool wanted = true;
    for (size_t i = 0; i < gathering->count && wanted; i++) {
        if (gathering->operation == INTERSECTION)
            wanted = has(gathering->sets[i], name);
        else if (gathering->operation == DIFFERENCE && i > 0)
            wanted = !has(gathering->sets[i], name);
    }
    if (wanted && set_add(gathering->result, name) == SET_NO_MEMORY)
        gathering->failed = true;
}

static void go_through(struct gathering *gathering, struct set *base)
{
    gathering->base = base;
    if (base != NULL)
        dict_each(&base->dict, gather_node, gathering);
}

/* The smallest set, or NULL when one is missing. */
static struct set *smallest(const struct gathering *gathering)
{
    struct set *least = gathering->sets[0];
    for (size_t i = 1; i < gathering->count && least != NULL; i++)
        if (count_of(gathering->sets[i]) < count_of(least))
            least = gathering->sets[i];
    return least;
}

/* A new set of what the operation makes of the sets at the keys in arguments [first, end); NULL
 * after an error reply. */
static struct set *gather(struct call *call, enum operation operation, size_t first, size_t end)
{
    struct gathering gathering = {.operation = operation, .count = end - first};
    gathering.sets = neap_alloc(gathering.count * sizeof(struct set *));
    gathering.result = set_new();
    gathering.failed = gathering.sets == NULL || gathering.result == NULL;
    bool fits = true;
    for (size_t i = 0; i < gathering.count && !gathering.failed && fits; i++)
        fits = find_set(call, first + i, &gathering.sets[i]);
    if (fits && !gathering.failed) {
        if (operation == UNION)
            for (size_t i = 0; i < gathering.count; i++)
                go_through(&gathering, gathering.sets[i]);
        else
            go_through(&gathering,
                       operation == INTERSECTION ? smallest(&gathering) : gathering.sets[0]);
    }
    neap_free(gathering.sets);
    if (fits && !gathering.failed)
        return gathering.result;
    neap_release(gathering.result);
    if (fits)
        call_out_of_memory(call);
    return NULL;
}

static void operate(struct call *call, enum operation operation)
{
    struct set *result = gather(call, operation, 1, call->count);
    if (result == NULL)
        return;
    reply_members(call, result);
    neap_release(result);
}

void command_sinter(struct call *call)
{
    operate(call, INTERSECTION);
}

void command_sunion(struct call *call)
{
    operate(call, UNION);
}

void command_sdiff(struct call *call)
{
    operate(call, DIFFERENCE);
}

/* Stores the result at the first key, or removes that when the result is empty. */
static void operate_and_store(struct call *call, enum operation operation)
{
    struct set *result = gather(call, operation, 2, call->count);
    if (result == NULL)
        return;
    size_t count = result->dict.count;
    if (count == 0) {
        neap_release(result);
        keyspace_remove(call_key(call, 1), call->dead);
    } else if (!call_store(call, 1, (struct value *)result)) {
        return;
    }
    reply_integer(call->reply, (int64_t)count);
}

void command_sinterstore(struct call *call)
{
    operate_and_store(call, INTERSECTION);
}

void command_sunionstore(struct call *call)
{
    operate_and_store(call, UNION);
}

void command_sdiffstore(struct call *call)
{
    operate_and_store(call, DIFFERENCE);
}
