/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands (see command.h). */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "call.h"
#include "client.h"
#include "commands.h"
#include "memory.h"
#include "pubsub.h"
#include "slowlog.h"
#include "transaction.h"

static const struct command commands[] = {
#define COMMANDS_ROW(name, function, ...) {name, command_##function, __VA_ARGS__},
    COMMANDS(COMMANDS_ROW)
#undef COMMANDS_ROW
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])
#define INDEX_SIZE    1024 /* a power of two, several times the commands: short probes */
#define NAME_MOST     24

_Static_assert(COMMAND_COUNT * 2 < INDEX_SIZE, "the index of names is too full");

static uint16_t name_index[INDEX_SIZE]; /* (c) after command_init: row + 1, or 0 */

size_t command_count(void)
{
    return COMMAND_COUNT;
}

const struct command *command_at(size_t index)
{
    return &commands[index];
}

/* Where to look for a name first; letters of both cases hash alike. */
static uint32_t name_hash(struct slice name)
{
    uint32_t hash = (uint32_t)name.length;
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ ((unsigned char)name.bytes[i] | 0x20u)) * 0x01000193u;
    return (hash ^ hash >> 15) & (INDEX_SIZE - 1);
}

void command_init(void)
{
    memset(name_index, 0, sizeof name_index);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        uint32_t at = name_hash(text_from(commands[i].name));
        while (name_index[at] != 0)
            at = (at + 1) % INDEX_SIZE;
        name_index[at] = (uint16_t)(i + 1);
    }
}

const struct command *command_find(struct slice name)
{
    if (name.length > NAME_MOST)
        return NULL;
    for (uint32_t at = name_hash(name); name_index[at] != 0; at = (at + 1) % INDEX_SIZE)
        if (text_is(name, commands[name_index[at] - 1].name))
            return &commands[name_index[at] - 1];
    return NULL;
}

/* ---- running ---- */

/* A browser that was talked into sending its request here: ends the connection before the request's
 * body can be taken for commands. */
static bool is_http(struct slice name)
{
    return text_is(name, "post") || text_is(name, "host:");
}

static void unknown_command(struct call *call)
{
    if (is_http(call->argument[0])) {
        call->client->last_reply = true;
        return;
    }
    /* Redis shows up to 128 bytes of the name and about as many of the arguments. */
    char shown[300];
    size_t length = 0;
    shown[0] = '\0';
    for (size_t i = 1; i < call->count && length < 128; i++) {
        size_t room = 128 - length;
        struct slice argument = call->argument[i];
        size_t part = strnlen(argument.bytes, argument.length < room ? argument.length : room);
        length += (size_t)snprintf(shown + length, sizeof shown - length, "'%.*s' ", (int)part,
                                   argument.bytes);
    }
    struct slice name = call->argument[0];
    reply_error(call->reply, "ERR unknown command '%.*s', with args beginning with: %s",
                call_shown_length(name), name.bytes, shown);
}

static bool arity_fits(const struct command *command, size_t count)
{
    return command->arity >= 0 ? count == (size_t)command->arity : count >= (size_t)-command->arity;
}

/* The argument after the last key; keys are first_key, first_key + step, ... before it. */
static size_t keys_end(const struct command *command, size_t count)
{
    if (command->last_key < 0)
        return count - (size_t)(-command->last_key - 1);
    return (size_t)command->last_key + 1;
}

keyspace_locks command_locks(struct call *call)
{
    const struct command *command = call->command;
    keyspace_locks locks = command->flags & COMMAND_ALL_KEYS ? KEYSPACE_LOCKS_ALL : 0;
    if (command->first_key == 0 || (size_t)command->first_key >= call->count)
        return locks; /* subcommands without a key, as MEMORY STATS */
    call->first_key = keyspace_key(call->argument[command->first_key]);
    size_t end = keys_end(command, call->count);
    for (size_t i = (size_t)command->first_key; i < end; i += (size_t)command->step)
        locks |= keyspace_lock_of(call_key(call, i));
    return locks;
}

static void count_up(_Atomic uint64_t *counter)
{
    /* relaxed: this loop alone writes it, others read a moment */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void command_run_locked(struct call *call, struct command_counters *counters)
{
    struct command_counters *counter = &counters[call->command - commands];
    uint64_t errors = call->reply->errors;
    call->command->run(call);
    count_up(&counter->calls);
    if (call->reply->errors != errors)
        count_up(&counter->errors);
}

static void run(struct call *call, struct command_counters *counters)
{
    struct graveyard dead = {.count = 0};
    call->dead = &dead;
    keyspace_locks locks = command_locks(call);
    int64_t started_us = slowlog_now_us();
    keyspace_lock(locks);
    command_run_locked(call, counters);
    keyspace_unlock(locks);
    slowlog_note(call, started_us);
    if (call->collect && dead.count != 0)
        server_settle(call->client->loop, &dead);
    if (dead.count != 0)
        graveyard_release(&dead);
}

/* In RESP2 a subscriber's connection carries messages, which could not be told from replies. */
static bool only_listens(const struct call *call)
{
    return call->client->protocol == 2 && pubsub_count(call->client) > 0 &&
           (call->command->flags & COMMAND_LISTENS) == 0;
}

static uint64_t bytes_of(const struct call *call)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < call->count; i++)
        bytes += call->argument[i].length;
    return bytes;
}

/* May the call run as it is? False after an error reply. */
static bool admit(struct call *call)
{
    call->command = command_find(call->argument[0]);
    /* relaxed: for CLIENT LIST */
    atomic_store_explicit(&call->client->command, call->command, memory_order_relaxed);
    if (call->command == NULL) {
        unknown_command(call);
        return false;
    }
    if (!arity_fits(call->command, call->count)) {
        if (call->command->run == command_exec)
            transaction_refuse(call);
        else
            call_wrong_arity(call, NULL);
        return false;
    }
    if (call->client->stranger && (call->command->flags & COMMAND_NO_AUTH) == 0) {
        reply_error(call->reply, "NOAUTH Authentication required.");
        return false;
    }
    if ((call->command->flags & COMMAND_GROWS) && memory_limit() != 0 &&
        !memory_make_room(call->client->loop, bytes_of(call))) {
        reply_error(call->reply, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    if (only_listens(call)) {
        reply_error(call->reply,
                    "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                    "/ RESET are allowed in this context",
                    call->command->name);
        return false;
    }
    return true;
}

void command_run(struct call *call, struct command_counters *counters)
{
    struct transaction *transaction = call->client->transaction;
    if (!admit(call)) {
        if (call->command != NULL) {
            count_up(&counters[call->command - commands].calls);
            count_up(&counters[call->command - commands].errors);
        }
        if (call->client->transaction != NULL)
            call->client->transaction->failed = true;
    } else if (transaction != NULL && (call->command->flags & COMMAND_AT_ONCE) == 0) {
        transaction_add(transaction, call);
    } else {
        run(call, counters);
    }
}
