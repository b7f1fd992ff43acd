/* SPDX-License-Identifier: MIT
 *
 * tidepool: one execution of a command (see call.h). */
#include "call.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "command.h"
#include "feed.h"

#define SCAN_MOST  10000 /* buckets that one call of a scan goes through */
#define SHOWN_MOST 128   /* bytes of a text that an error reply shows */

static const char *name_of(const struct call *call)
{
    return call->command->name;
}

/* ---- what many commands do ---- */

bool call_find(struct call *call, size_t index, const struct neap_type *type,
               struct value **ret_value)
{
    struct entry *entry = keyspace_find(call_key(call, index));
    if (entry != NULL && neap_type_of(entry->value) != type) {
        call_wrong_type(call);
        return false;
    }
    if (entry != NULL && (call->command->flags & COMMAND_WRITE) && feed_reads(entry->value)) {
        struct value *copy = value_copy(entry->value);
        if (copy == NULL) {
            call_out_of_memory(call);
            return false;
        }
        graveyard_add(call->dead, neap_take(&entry->value));
        neap_give(&entry->value, copy);
    }
    *ret_value = entry == NULL ? NULL : entry->value;
    return true;
}

bool call_store(struct call *call, size_t index, struct value *value)
{
    if (value != NULL && keyspace_put(call_key(call, index), value, call->dead))
        return true;
    call_out_of_memory(call);
    return false;
}

void call_changed(struct call *call, size_t index, size_t count)
{
    if (count == 0)
        keyspace_remove(call_key(call, index), call->dead);
    else
        keyspace_touch(call_key(call, index));
}

void call_reply_parts(struct call *call, struct reply *parts, size_t count)
{
    reply_array(call->reply, count);
    reply_bytes(call->reply, parts->bytes, parts->length);
    call->reply->failed |= parts->failed;
    reply_fini(parts);
}

bool call_scan_options(struct call *call, size_t index, bool typed, struct scan_options *options)
{
    *options = (struct scan_options){.count = 10};
    for (size_t i = index; i < call->count; i += 2) {
        bool last = i + 1 == call->count;
        if (!last && text_is(call->argument[i], "count")) {
            if (!call_integer(call, i + 1, &options->count))
                return false;
            if (options->count > SCAN_MOST)
                options->count = SCAN_MOST; /* a wish, and others wait meanwhile */
            if (options->count >= 1)
                continue;
        } else if (!last && text_is(call->argument[i], "match")) {
            options->pattern = &call->argument[i + 1];
            continue;
        } else if (!last && typed && text_is(call->argument[i], "type")) {
            options->type = &call->argument[i + 1];
            continue;
        }
        call_syntax_error(call);
        return false;
    }
    return true;
}

/* ---- replies that many commands give ---- */

void call_wrong_type(struct call *call)
{
    reply_error(call->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_syntax_error(struct call *call)
{
    reply_error(call->reply, "ERR syntax error");
}

void call_not_an_integer(struct call *call)
{
    reply_error(call->reply, "ERR value is not an integer or out of range");
}

void call_out_of_memory(struct call *call)
{
    reply_error(call->reply, "OOM out of memory");
}

void call_wrong_arity(struct call *call, const char *subcommand)
{
    reply_error(call->reply, "ERR wrong number of arguments for '%s%s%s' command", name_of(call),
                subcommand == NULL ? "" : "|", subcommand == NULL ? "" : subcommand);
}

static void unknown_subcommand(struct call *call)
{
    struct slice name = call->argument[1];
    char command[32];
    size_t length = 0;
    for (const char *c = name_of(call); *c != '\0' && length + 1 < sizeof command; c++)
        command[length++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    command[length] = '\0';
    reply_error(call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", call_shown_length(name),
                name.bytes, command);
}

void call_subcommand(struct call *call, const struct subcommand *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!text_is(call->argument[1], table[i].name))
            continue;
        int arity = table[i].arity;
        if (arity >= 0 ? call->count == (size_t)arity : call->count >= (size_t)-arity)
            table[i].run(call);
        else
            call_wrong_arity(call, table[i].name);
        return;
    }
    unknown_subcommand(call);
}

void call_help(struct call *call, const char *const *lines, size_t count)
{
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        reply_status(call->reply, lines[i]);
}

void call_invalid_expire_time(struct call *call)
{
    reply_error(call->reply, "ERR invalid expire time in '%s' command", name_of(call));
}

void call_not_a_float(struct call *call)
{
    reply_error(call->reply, "ERR value is not a valid float");
}

int call_shown_length(struct slice text)
{
    return (int)strnlen(text.bytes, text.length < SHOWN_MOST ? text.length : SHOWN_MOST);
}

bool call_cursor(struct call *call, size_t index, uint64_t *ret_cursor)
{
    struct slice text = call->argument[index];
    uint64_t cursor = 0;
    bool right = text.length > 0;
    for (size_t i = 0; i < text.length && right; i++) {
        unsigned digit = (unsigned)(unsigned char)text.bytes[i] - '0';
        right = digit <= 9 && cursor <= (UINT64_MAX - digit) / 10;
        cursor = cursor * 10 + digit;
    }
    if (!right) {
        reply_error(call->reply, "ERR invalid cursor");
        return false;
    }
    *ret_cursor = cursor;
    return true;
}

uint64_t call_random(void)
{
    static __thread uint64_t state;
    if (state == 0 && getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state)
        state = (uint64_t)(uintptr_t)&state;
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

bool call_integer(struct call *call, size_t index, int64_t *ret_value)
{
    if (text_to_integer(call->argument[index], ret_value))
        return true;
    call_not_an_integer(call);
    return false;
}

bool call_not_negative(struct call *call, size_t index, const char *refusal, int64_t *ret_value)
{
    if (!text_to_integer(call->argument[index], ret_value) || *ret_value < 0) {
        reply_error(call->reply, "ERR %s", refusal);
        return false;
    }
    return true;
}

bool call_integer_within(struct call *call, size_t index, int64_t least, int64_t most,
                         int64_t *ret_value)
{
    if (!call_integer(call, index, ret_value))
        return false;
    if (*ret_value >= least && *ret_value <= most)
        return true;
    reply_error(call->reply,
                "ERR value is out of range, value must between %" PRId64 " and %" PRId64, least,
                most);
    return false;
}

void call_empty_scan(struct call *call)
{
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, 0);
    reply_array(call->reply, 0);
}

bool call_double(struct call *call, size_t index, double *ret_value)
{
    if (text_to_double(call->argument[index], ret_value))
        return true;
    call_not_a_float(call);
    return false;
}
