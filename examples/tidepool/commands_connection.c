/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands about the connection itself. */
#include "client.h"
#include "clients.h"
#include "commands.h"

void command_ping(struct call *call)
{
    if (call->count > 2)
        call_wrong_arity(call, NULL);
    else if (call->reply->protocol == 2 && pubsub_count(call->client) > 0) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, text_from("pong"));
        reply_bulk(call->reply, call->count == 2 ? call->argument[1] : text_from(""));
    } else if (call->count == 2)
        reply_bulk(call->reply, call->argument[1]);
    else
        reply_status(call->reply, "PONG");
}

void command_echo(struct call *call)
{
    reply_bulk(call->reply, call->argument[1]);
}

void command_select_database(struct call *call)
{
    int64_t database;
    if (!call_integer(call, 1, &database))
        return;
    if (database != 0)
        reply_error(call->reply, "ERR DB index is out of range");
    else
        reply_status(call->reply, "OK");
}

void command_quit(struct call *call)
{
    call->client->last_reply = true;
    reply_status(call->reply, "OK");
}

void command_reset(struct call *call)
{
    struct client *client = call->client;
    neap_clear(&client->transaction);
    neap_clear(&client->watch);
    client->watched = 0;
    pubsub_leave(client);
    client_set_name(client, text_from(""));
    client->protocol = call->reply->protocol = 2;
    client->stranger = server.settings.password != NULL;
    reply_status(call->reply, "RESET");
}

/* ---- AUTH ---- */

/* Compares in a time that does not tell how much was right. */
static bool is_password(struct slice given)
{
    struct slice wanted = text_from(server.settings.password);
    unsigned different = given.length != wanted.length;
    for (size_t i = 0; i < given.length; i++)
        different |=
            (unsigned char)given.bytes[i] ^
            (unsigned)(unsigned char)(wanted.length == 0 ? 0 : wanted.bytes[i % wanted.length]);
    return different == 0;
}

/* False after an error reply. Without a password, the default user may use any. */
static bool authenticate(struct call *call, struct slice user, struct slice password)
{
    if (text_same(user, text_from("default")) &&
        (server.settings.password == NULL || is_password(password))) {
        client_welcome(call->client);
        return true;
    }
    reply_error(call->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void command_auth(struct call *call)
{
    if (call->count > 3) {
        call_syntax_error(call);
        return;
    }
    if (call->count == 2 && server.settings.password == NULL) {
        reply_error(call->reply,
                    "ERR AUTH <password> called without any password configured for the default "
                    "user. Are you sure your configuration is correct?");
        return;
    }
    struct slice user = call->count == 2 ? text_from("default") : call->argument[1];
    if (authenticate(call, user, call->argument[call->count - 1]))
        reply_status(call->reply, "OK");
}

/* ---- HELLO ---- */

static bool bad_name(struct call *call)
{
    reply_error(call->reply,
                "ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
}

/* The options behind HELLO's version; false after an error reply. */
static bool hello_options(struct call *call)
{
    for (size_t i = 2; i < call->count; i++) {
        if (text_is(call->argument[i], "setname") && i + 1 < call->count) {
            if (!client_set_name(call->client, call->argument[++i]))
                return bad_name(call);
        } else if (text_is(call->argument[i], "auth") && i + 2 < call->count) {
            if (!authenticate(call, call->argument[i + 1], call->argument[i + 2]))
                return false;
            i += 2;
        } else {
            struct slice option = call->argument[i];
            reply_error(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                        (int)(option.length < 128 ? option.length : 128), option.bytes);
            return false;
        }
    }
    return true;
}

static void hello_pair(struct call *call, const char *name, const char *text)
{
    reply_bulk(call->reply, text_from(name));
    reply_bulk(call->reply, text_from(text));
}

void command_hello(struct call *call)
{
    int64_t protocol = call->client->protocol;
    if (call->count > 1) {
        if (!text_to_integer(call->argument[1], &protocol)) {
            reply_error(call->reply, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (protocol != 2 && protocol != 3) {
            reply_error(call->reply, "NOPROTO unsupported protocol version");
            return;
        }
    }
    if (!hello_options(call))
        return;
    if (call->client->stranger) {
        reply_error(call->reply,
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                    "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                    "client and select the RESP protocol version at the same time");
        return;
    }
    call->client->protocol = (int)protocol;
    call->reply->protocol = (int)protocol;
    reply_map(call->reply, 7);
    hello_pair(call, "server", "redis");
    hello_pair(call, "version", REDIS_VERSION);
    reply_bulk(call->reply, text_from("proto"));
    reply_integer(call->reply, protocol);
    reply_bulk(call->reply, text_from("id"));
    reply_integer(call->reply, (int64_t)call->client->id);
    hello_pair(call, "mode", "standalone");
    hello_pair(call, "role", "master");
    reply_bulk(call->reply, text_from("modules"));
    reply_array(call->reply, 0);
}

/* ---- CLIENT ---- */

static void client_getname(struct call *call)
{
    if (call->client->name == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, text_from(call->client->name));
}

static void client_setname(struct call *call)
{
    if (client_set_name(call->client, call->argument[2]))
        reply_status(call->reply, "OK");
    else
        bad_name(call);
}

static void client_id(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->client->id);
}

static void client_info(struct call *call)
{
    struct reply text;
    reply_init(&text, call->reply->limit);
    clients_describe(call->client, &text);
    reply_verbatim(call->reply, (struct slice){text.bytes, text.length});
    reply_fini(&text);
}

static void client_list(struct call *call)
{
    struct reply text;
    reply_init(&text, call->reply->limit);
    clients_list(&text);
    reply_verbatim(call->reply, (struct slice){text.bytes, text.length});
    reply_fini(&text);
}

/* CLIENT KILL addr, or CLIENT KILL [ID id] [ADDR addr] [SKIPME yes|no]. */
static void client_kill(struct call *call)
{
    struct client_filter filter = {.spared = call->client};
    if (call->count == 3) {
        filter = (struct client_filter){.address = &call->argument[2]};
        if (clients_kill(&filter) == 0)
            reply_error(call->reply, "ERR No such client");
        else
            reply_status(call->reply, "OK");
        return;
    }
    for (size_t i = 2; i < call->count; i += 2) {
        struct slice option = call->argument[i];
        bool last = i + 1 == call->count;
        if (!last && text_is(option, "id")) {
            if (!text_to_integer(call->argument[i + 1], &filter.id) || filter.id <= 0) {
                reply_error(call->reply, "ERR client-id should be greater than 0");
                return;
            }
        } else if (!last && text_is(option, "addr")) {
            filter.address = &call->argument[i + 1];
        } else if (!last && text_is(option, "skipme") && text_is(call->argument[i + 1], "no")) {
            filter.spared = NULL;
        } else if (last || !text_is(option, "skipme") || !text_is(call->argument[i + 1], "yes")) {
            call_syntax_error(call);
            return;
        }
    }
    reply_integer(call->reply, (int64_t)clients_kill(&filter));
}

static void client_no_evict(struct call *call)
{
    if (text_is(call->argument[2], "on") || text_is(call->argument[2], "off"))
        reply_status(call->reply, "OK"); /* connections are never dropped for memory */
    else
        call_syntax_error(call);
}

static void client_help(struct call *call)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return a line about the current connection.",
        "KILL <ip:port>",
        "    Kill the connection from <ip:port>.",
        "KILL <option> <value> [...]",
        "    Kill connections. Options are: ADDR <ip:port>, ID <id>, SKIPME (YES|NO).",
        "LIST",
        "    Return a line about each connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "HELP",
        "    Print this help.",
    };
    CALL_HELP(call, lines);
}

void command_client(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"getname", 2, client_getname},   {"help", 2, client_help},       {"id", 2, client_id},
        {"info", 2, client_info},         {"kill", -3, client_kill},      {"list", 2, client_list},
        {"no-evict", 3, client_no_evict}, {"setname", 3, client_setname},
    };
    CALL_SUBCOMMAND(call, subcommands);
}
