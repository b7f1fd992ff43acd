/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands on strings. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "loop.h"

/* The key's entry if it is of the string family, NULL if it is missing; false after an error reply.
 */
static bool find_text(struct call *call, size_t index, struct entry **ret_entry)
{
    struct entry *entry = keyspace_find(call_key(call, index));
    if (entry != NULL && !value_is_text(entry->value)) {
        call_wrong_type(call);
        return false;
    }
    *ret_entry = entry;
    return true;
}

/* Stores value (stolen, or NULL out of memory) with the time that the entry has, if there is an
 * entry; false after an error reply. */
static bool store_over(struct call *call, struct entry *entry, struct value *value)
{
    if (value == NULL || entry == NULL)
        return call_store(call, 1, value);
    keyspace_replace(call_key(call, 1), entry, value, call->dead);
    return true;
}

static void reply_entry(struct call *call, const struct entry *entry)
{
    if (entry == NULL)
        reply_null(call->reply);
    else
        value_reply(call->reply, entry->value);
}

void command_get(struct call *call)
{
    struct entry *entry;
    if (find_text(call, 1, &entry))
        reply_entry(call, entry);
}

/* ---- SET and its options ---- */

enum set_option {
    SET_NX = 1,
    SET_XX = 2,
    SET_GET = 4,
    SET_KEEPTTL = 8,
    SET_PERSIST = 16,
    SET_TIME = 32, /* one of EX, PX, EXAT, PXAT */
};

struct set_options {
    unsigned set;
    size_t time_index; /* of the argument, when SET_TIME */
    bool seconds, absolute;
};

/* One option; how many arguments it took, 0 for none that is known or allowed here. */
static size_t set_option(const struct call *call, size_t index, unsigned allowed,
                         struct set_options *options)
{
    static const struct {
        const char *name;
        unsigned option, excluded;
        bool seconds, absolute;
    } rows[] = {
        {"nx", SET_NX, SET_XX, false, false},
        {"xx", SET_XX, SET_NX, false, false},
        {"get", SET_GET, 0, false, false},
        {"keepttl", SET_KEEPTTL, SET_TIME | SET_PERSIST, false, false},
        {"persist", SET_PERSIST, SET_TIME | SET_KEEPTTL, false, false},
        {"ex", SET_TIME, SET_TIME | SET_KEEPTTL | SET_PERSIST, true, false},
        {"px", SET_TIME, SET_TIME | SET_KEEPTTL | SET_PERSIST, false, false},
        {"exat", SET_TIME, SET_TIME | SET_KEEPTTL | SET_PERSIST, true, true},
        {"pxat", SET_TIME, SET_TIME | SET_KEEPTTL | SET_PERSIST, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!text_is(call->argument[index], rows[i].name))
            continue;
        bool timed = rows[i].option == SET_TIME;
        if ((rows[i].option & allowed) == 0 || (options->set & rows[i].excluded) != 0 ||
            (timed && index + 1 == call->count))
            return 0;
        options->set |= rows[i].option;
        if (!timed)
            return 1;
        options->time_index = index + 1;
        options->seconds = rows[i].seconds;
        options->absolute = rows[i].absolute;
        return 2;
    }
    return 0;
}

/* The options from argument index on; false after an error reply. */
static bool set_options(struct call *call, size_t index, unsigned allowed,
                        struct set_options *options)
{
    *options = (struct set_options){.set = 0};
    while (index < call->count) {
        size_t taken = set_option(call, index, allowed, options);
        if (taken == 0) {
            call_syntax_error(call);
            return false;
        }
        index += taken;
    }
    return true;
}

/* A time argument of this unit as milliseconds since 1970; false after an error reply. */
static bool time_argument(struct call *call, size_t index, bool seconds, bool absolute,
                          int64_t *ret_at_ms)
{
    int64_t at;
    if (!call_integer(call, index, &at))
        return false;
    if (at <= 0 || (seconds && at > INT64_MAX / 1000)) {
        call_invalid_expire_time(call);
        return false;
    }
    if (seconds)
        at *= 1000;
    if (!absolute && at > INT64_MAX - keyspace_now_ms) {
        call_invalid_expire_time(call);
        return false;
    }
    *ret_at_ms = absolute ? at : at + keyspace_now_ms;
    return true;
}

/* SET and SETNX, SETEX, PSETEX, GETSET, which are SET with options: stores argument value_index. */
static void set(struct call *call, size_t value_index, const struct set_options *options)
{
    int64_t at_ms = EXPIRY_NONE;
    if ((options->set & SET_TIME) &&
        !time_argument(call, options->time_index, options->seconds, options->absolute, &at_ms))
        return;
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_find(key);
    bool get = (options->set & SET_GET) != 0;
    if (get) {
        if (!find_text(call, 1, &entry))
            return;
        reply_entry(call, entry);
    }
    if (((options->set & SET_NX) && entry != NULL) || ((options->set & SET_XX) && entry == NULL)) {
        if (!get)
            reply_null(call->reply);
        return;
    }
    if ((options->set & SET_KEEPTTL) && entry != NULL)
        at_ms = keyspace_expiry(key, entry);
    struct value *value = value_from_text(call->argument[value_index]);
    if (value == NULL || !keyspace_put(key, value, call->dead) ||
        (at_ms != EXPIRY_NONE && !keyspace_set_expiry(key, keyspace_find(key), at_ms))) {
        if (!get)
            call_out_of_memory(call);
        return;
    }
    if (!get)
        reply_status(call->reply, "OK");
}

void command_set(struct call *call)
{
    struct set_options options;
    if (set_options(call, 3, SET_NX | SET_XX | SET_GET | SET_KEEPTTL | SET_TIME, &options))
        set(call, 2, &options);
}

void command_setex(struct call *call)
{
    set(call, 3, &(struct set_options){.set = SET_TIME, .time_index = 2, .seconds = true});
}

void command_psetex(struct call *call)
{
    set(call, 3, &(struct set_options){.set = SET_TIME, .time_index = 2});
}

void command_getset(struct call *call)
{
    set(call, 2, &(struct set_options){.set = SET_GET});
}

void command_setnx(struct call *call)
{
    bool missing = keyspace_find(call_key(call, 1)) == NULL;
    if (!missing || call_store(call, 1, value_from_text(call->argument[2])))
        reply_integer(call->reply, missing);
}

void command_getdel(struct call *call)
{
    struct entry *entry;
    if (!find_text(call, 1, &entry))
        return;
    reply_entry(call, entry);
    if (entry != NULL)
        keyspace_remove(call_key(call, 1), call->dead);
}

void command_getex(struct call *call)
{
    struct set_options options;
    struct entry *entry;
    int64_t at_ms = EXPIRY_NONE;
    if (!set_options(call, 2, SET_TIME | SET_PERSIST, &options) || !find_text(call, 1, &entry))
        return;
    if (entry == NULL) {
        reply_null(call->reply);
        return;
    }
    if ((options.set & SET_TIME) &&
        !time_argument(call, options.time_index, options.seconds, options.absolute, &at_ms))
        return;
    reply_entry(call, entry);
    if (options.set & (SET_TIME | SET_PERSIST))
        keyspace_set_expiry(call_key(call, 1), entry, at_ms);
}

/* ---- several keys ---- */

void command_mget(struct call *call)
{
    reply_array(call->reply, call->count - 1);
    for (size_t i = 1; i < call->count; i++) {
        struct entry *entry = keyspace_find(call_key(call, i));
        reply_entry(call, entry != NULL && value_is_text(entry->value) ? entry : NULL);
    }
}

/* Stores pairs from argument 1 on; false after an error reply. */
static bool store_pairs(struct call *call)
{
    for (size_t i = 1; i < call->count; i += 2)
        if (!call_store(call, i, value_from_text(call->argument[i + 1])))
            return false;
    return true;
}

void command_mset(struct call *call)
{
    if (call->count % 2 == 0)
        call_wrong_arity(call, NULL);
    else if (store_pairs(call))
        reply_status(call->reply, "OK");
}

void command_msetnx(struct call *call)
{
    if (call->count % 2 == 0) {
        call_wrong_arity(call, NULL);
        return;
    }
    for (size_t i = 1; i < call->count; i += 2) {
        if (keyspace_find(call_key(call, i)) != NULL) {
            reply_integer(call->reply, 0);
            return;
        }
    }
    if (store_pairs(call))
        reply_integer(call->reply, 1);
}

/* ---- parts of strings ---- */

void command_strlen(struct call *call)
{
    struct entry *entry;
    char buffer[TEXT_INTEGER_BYTES];
    if (find_text(call, 1, &entry))
        reply_integer(call->reply,
                      entry == NULL ? 0 : (int64_t)value_text(entry->value, buffer).length);
}

/* The text at the entry, or an empty one. */
static struct slice text_at(const struct entry *entry, char buffer[TEXT_INTEGER_BYTES])
{
    return entry == NULL ? (struct slice){"", 0} : value_text(entry->value, buffer);
}

static bool fits_a_string(struct call *call, uint64_t length)
{
    if (length <= server.settings.limits.bulk_bytes)
        return true;
    reply_error(call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

/* Replies the length of the string that is old with part written over it at offset, and stores it.
 */
static void overwrite(struct call *call, struct entry *entry, struct slice old, uint64_t offset,
                      struct slice part)
{
    uint64_t end = offset + part.length;
    uint64_t length = end > old.length ? end : old.length;
    if (!fits_a_string(call, length))
        return;
    struct string *string = string_new_blank(length);
    if (string != NULL) {
        memcpy(string->bytes, old.bytes, old.length);
        if (part.length > 0)
            memcpy(string->bytes + offset, part.bytes, part.length);
    }
    if (store_over(call, entry, (struct value *)string))
        reply_integer(call->reply, (int64_t)length);
}

void command_append(struct call *call)
{
    struct entry *entry;
    char buffer[TEXT_INTEGER_BYTES];
    if (!find_text(call, 1, &entry))
        return;
    struct slice old = text_at(entry, buffer);
    overwrite(call, entry, old, old.length, call->argument[2]);
}

void command_setrange(struct call *call)
{
    int64_t offset;
    struct entry *entry;
    char buffer[TEXT_INTEGER_BYTES];
    if (!call_integer(call, 2, &offset))
        return;
    if (offset < 0) {
        reply_error(call->reply, "ERR offset is out of range");
        return;
    }
    if (!find_text(call, 1, &entry))
        return;
    struct slice old = text_at(entry, buffer);
    struct slice part = call->argument[3];
    if (part.length == 0)
        reply_integer(call->reply, (int64_t)old.length);
    else if ((uint64_t)offset > server.settings.limits.bulk_bytes)
        fits_a_string(call, (uint64_t)offset);
    else
        overwrite(call, entry, old, (uint64_t)offset, part);
}

void command_getrange(struct call *call)
{
    int64_t first, last;
    struct entry *entry;
    char buffer[TEXT_INTEGER_BYTES];
    if (!call_integer(call, 2, &first) || !call_integer(call, 3, &last) ||
        !find_text(call, 1, &entry))
        return;
    struct slice text = text_at(entry, buffer);
    int64_t length = (int64_t)text.length;
    if (first < 0 && last < 0 && first > last)
        first = length; /* as Redis: empty, though both may be clipped to 0 */
    if (first < 0)
        first = first + length < 0 ? 0 : first + length;
    if (last < 0)
        last = last + length < 0 ? 0 : last + length;
    if (last >= length)
        last = length - 1;
    if (first > last || length == 0)
        reply_bulk(call->reply, (struct slice){"", 0});
    else
        reply_bulk(call->reply, (struct slice){text.bytes + first, (size_t)(last - first) + 1});
}

/* ---- numbers ---- */

/* Adds delta to the integer at the key, 0 when it is missing. */
static void add_to(struct call *call, int64_t delta)
{
    struct entry *entry;
    if (!find_text(call, 1, &entry))
        return;
    int64_t sum = 0;
    if (entry != NULL && !value_integer(entry->value, &sum)) {
        call_not_an_integer(call);
        return;
    }
    if (__builtin_add_overflow(sum, delta, &sum)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (entry != NULL && neap_is(entry->value, number)) {
        ((struct number *)entry->value)->value = sum;
        keyspace_touch(call_key(call, 1));
    } else if (!store_over(call, entry, (struct value *)number_new(sum))) {
        return;
    }
    reply_integer(call->reply, sum);
}

void command_incr(struct call *call)
{
    add_to(call, 1);
}

void command_decr(struct call *call)
{
    add_to(call, -1);
}

void command_incrby(struct call *call)
{
    int64_t delta;
    if (call_integer(call, 2, &delta))
        add_to(call, delta);
}

void command_decrby(struct call *call)
{
    int64_t delta;
    if (!call_integer(call, 2, &delta))
        return;
    if (delta == INT64_MIN)
        reply_error(call->reply, "ERR decrement would overflow");
    else
        add_to(call, -delta);
}

void command_incrbyfloat(struct call *call)
{
    struct entry *entry;
    char buffer[TEXT_INTEGER_BYTES];
    long double sum = 0, delta;
    if (!find_text(call, 1, &entry))
        return;
    if ((entry != NULL && !text_to_real(value_text(entry->value, buffer), &sum)) ||
        !text_to_real(call->argument[2], &delta)) {
        call_not_a_float(call);
        return;
    }
    sum += delta;
    if (isnan(sum) || isinf(sum)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[TEXT_REAL_BYTES];
    struct slice written = {text, text_from_real(sum, text)};
    if (store_over(call, entry, (struct value *)string_new(written)))
        reply_bulk(call->reply, written);
}
