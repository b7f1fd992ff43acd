/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands about the server. */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "info.h"
#include "memory.h"
#include "slowlog.h"

void command_dbsize(struct call *call)
{
    reply_integer(call->reply, (int64_t)keyspace_count());
}

/* What a flushed table held is a ring, which counting does not see: the collector's work, which is
 * done beside the loops, SYNC or ASYNC: nobody waits for it. */
void command_flushall(struct call *call)
{
    if (call->count > 2 || (call->count == 2 && !text_is(call->argument[1], "async") &&
                            !text_is(call->argument[1], "sync"))) {
        call_syntax_error(call);
        return;
    }
    keyspace_flush(call->dead);
    call->collect = true;
    reply_status(call->reply, "OK");
}

void command_info(struct call *call)
{
    struct reply text;
    reply_init(&text, 1024 * 1024);
    info_write(&text, call->argument + 1, call->count - 1);
    if (text.failed)
        call_out_of_memory(call);
    else
        reply_verbatim(call->reply, (struct slice){text.bytes, text.length});
    reply_fini(&text);
}

void command_shutdown(struct call *call)
{
    for (size_t i = 1; i < call->count; i++) {
        struct slice option = call->argument[i];
        if (text_is(option, "save")) {
            reply_error(call->reply, "ERR tidepool keeps nothing on disk: it cannot save");
            return;
        }
        if (!text_is(option, "nosave") && !text_is(option, "now") && !text_is(option, "force")) {
            call_syntax_error(call);
            return;
        }
    }
    server_stop(); /* no reply: the connection ends */
}

/* ---- CONFIG ---- */

#define CONFIG_VALUE_BYTES 64

struct config {
    const char *name;
    const char *fixed; /* the value, or NULL when number has it */
    uint64_t (*number)(void);
};

static uint64_t config_port(void)
{
    return server.port;
}

static uint64_t config_threads(void)
{
    return server.settings.threads;
}

static uint64_t config_clients(void)
{
    return server.settings.clients_most;
}

static uint64_t config_bulk(void)
{
    return server.settings.limits.bulk_bytes;
}

static uint64_t config_request(void)
{
    return server.settings.limits.request_bytes;
}

static uint64_t config_slow(void)
{
    return (uint64_t)slowlog_threshold();
}

static const struct config configs[] = {
    {"appendonly", "no", NULL},
    {"client-query-buffer-limit", NULL, config_request},
    {"databases", "1", NULL},
    {"io-threads", NULL, config_threads},
    {"maxclients", NULL, config_clients},
    {"maxmemory", NULL, memory_limit},
    {"maxmemory-policy", "allkeys-lru", NULL},
    {"port", NULL, config_port},
    {"proto-max-bulk-len", NULL, config_bulk},
    {"save", "", NULL},
    {"slowlog-log-slower-than", NULL, config_slow},
    {"tcp-keepalive", "0", NULL},
    {"timeout", "0", NULL},
};

#define CONFIG_COUNT (sizeof configs / sizeof configs[0])

static bool config_wanted(const struct call *call, const struct config *config)
{
    for (size_t i = 2; i < call->count; i++)
        if (text_matches(call->argument[i], text_from(config->name), true))
            return true;
    return false;
}

static void config_get(struct call *call)
{
    size_t found = 0;
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        found += config_wanted(call, &configs[i]);
    reply_map(call->reply, found);
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        if (!config_wanted(call, &configs[i]))
            continue;
        char number[CONFIG_VALUE_BYTES];
        const char *value = configs[i].fixed;
        if (value == NULL) {
            snprintf(number, sizeof number, "%lld", (long long)configs[i].number());
            value = number;
        }
        reply_bulk(call->reply, text_from(configs[i].name));
        reply_bulk(call->reply, text_from(value));
    }
}

/* One parameter; false after an error reply. */
static bool config_set_one(struct call *call, struct slice name, struct slice value)
{
    uint64_t bytes;
    int64_t number;
    if (text_is(name, "maxmemory")) {
        if (text_to_bytes(value, &bytes)) {
            memory_set_limit(bytes);
            return true;
        }
        reply_error(call->reply, "ERR CONFIG SET failed (possibly related to argument "
                                 "'maxmemory') - argument must be a memory value");
    } else if (text_is(name, "slowlog-log-slower-than")) {
        if (text_to_integer(value, &number)) {
            slowlog_set_threshold(number);
            return true;
        }
        reply_error(call->reply,
                    "ERR CONFIG SET failed (possibly related to argument "
                    "'slowlog-log-slower-than') - argument couldn't be parsed into an integer");
    } else {
        reply_error(call->reply,
                    "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                    call_shown_length(name), name.bytes);
    }
    return false;
}

static void config_set(struct call *call)
{
    if (call->count % 2 != 0) {
        call_wrong_arity(call, "set");
        return;
    }
    for (size_t i = 2; i < call->count; i += 2)
        if (!config_set_one(call, call->argument[i], call->argument[i + 1]))
            return;
    reply_status(call->reply, "OK");
}

static void config_rewrite(struct call *call)
{
    reply_error(call->reply, "ERR The server is running without a config file");
}

void command_config(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"get", -3, config_get},
        {"rewrite", 2, config_rewrite},
        {"set", -4, config_set},
    };
    CALL_SUBCOMMAND(call, subcommands);
}

/* ---- COMMAND ---- */

static const struct {
    unsigned flag;
    const char *name;
} flag_names[] = {
    {COMMAND_WRITE, "write"}, {COMMAND_READONLY, "readonly"}, {COMMAND_ADMIN, "admin"},
    {COMMAND_FAST, "fast"},   {COMMAND_LOADING, "loading"},
};

#define FLAG_COUNT (sizeof flag_names / sizeof flag_names[0])

/* A row as Redis 7 describes it; categories, tips, key specifications and subcommands are empty. */
static void describe(struct call *call, const struct command *command)
{
    size_t flags = 0;
    for (size_t i = 0; i < FLAG_COUNT; i++)
        flags += (command->flags & flag_names[i].flag) != 0;
    reply_array(call->reply, 10);
    reply_bulk(call->reply, text_from(command->name));
    reply_integer(call->reply, command->arity);
    reply_set(call->reply, flags);
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if (command->flags & flag_names[i].flag)
            reply_status(call->reply, flag_names[i].name);
    reply_integer(call->reply, command->first_key);
    reply_integer(call->reply, command->last_key);
    reply_integer(call->reply, command->step);
    reply_set(call->reply, 0);
    reply_set(call->reply, 0);
    reply_set(call->reply, 0);
    reply_array(call->reply, 0);
}

static void command_list(struct call *call)
{
    reply_array(call->reply, command_count());
    for (size_t i = 0; i < command_count(); i++)
        reply_bulk(call->reply, text_from(command_at(i)->name));
}

static void command_count_all(struct call *call)
{
    reply_integer(call->reply, (int64_t)command_count());
}

/* No documents: redis-cli then gives no hints. */
static void command_docs(struct call *call)
{
    reply_map(call->reply, 0);
}

static void command_info_of(struct call *call)
{
    reply_array(call->reply, call->count - 2);
    for (size_t i = 2; i < call->count; i++) {
        const struct command *command = command_find(call->argument[i]);
        if (command == NULL)
            reply_null_array(call->reply);
        else
            describe(call, command);
    }
}

void command_command(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"count", 2, command_count_all},
        {"docs", -2, command_docs},
        {"info", -3, command_info_of},
        {"list", 2, command_list},
    };
    if (call->count > 1) {
        CALL_SUBCOMMAND(call, subcommands);
        return;
    }
    reply_array(call->reply, command_count());
    for (size_t i = 0; i < command_count(); i++)
        describe(call, command_at(i));
}
