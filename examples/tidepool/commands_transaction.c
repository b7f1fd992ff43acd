/* SPDX-License-Identifier: MIT
 *
 * tidepool: MULTI, EXEC, DISCARD, WATCH, UNWATCH (see transaction.h and watch.h). */
#include <string.h>

#include "client.h"
#include "commands.h"
#include "transaction.h"
#include "watch.h"

NEAP_DEFINE_TYPE(queued, (next));
NEAP_DEFINE_TYPE(transaction, (first, last));

struct transaction *transaction_new(void)
{
    return neap_new(transaction);
}

/* A copy of the request; NULL out of memory. */
static struct queued *copy(const struct call *call, size_t bytes)
{
    struct queued *queued = neap_new_extra(queued, call->count * sizeof(struct slice) + bytes);
    if (queued == NULL)
        return NULL;
    queued->command = call->command;
    queued->count = call->count;
    char *to = (char *)(queued->argument + call->count);
    for (size_t i = 0; i < call->count; i++) {
        struct slice from = call->argument[i];
        if (from.length > 0)
            memcpy(to, from.bytes, from.length);
        queued->argument[i] = (struct slice){to, from.length};
        to += from.length;
    }
    return queued;
}

void transaction_add(struct transaction *transaction, struct call *call)
{
    size_t bytes = 0;
    for (size_t i = 0; i < call->count; i++)
        bytes += call->argument[i].length;
    size_t most = server.settings.limits.request_bytes;
    struct queued *queued = bytes > most - transaction->bytes ? NULL : copy(call, bytes);
    if (queued == NULL) {
        transaction->failed = true;
        call_out_of_memory(call);
        return;
    }
    if (transaction->last == NULL)
        neap_set(&transaction->first, queued);
    else
        neap_set(&transaction->last->next, queued);
    neap_give(&transaction->last, queued);
    transaction->count++;
    transaction->bytes += bytes;
    reply_status(call->reply, "QUEUED");
}

/* ---- WATCH ---- */

static void unwatch(struct client *client)
{
    neap_clear(&client->watch);
    client->watched = 0;
}

void command_watch(struct call *call)
{
    struct client *client = call->client;
    if (client->transaction != NULL) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (client->watch == NULL)
        neap_give(&client->watch, watch_new());
    for (size_t i = 1; i < call->count; i++) {
        struct key key = call_key(call, i);
        client->watched |= keyspace_lock_of(key);
        if (client->watch == NULL || !watch_add(client->watch, key)) {
            call_out_of_memory(call);
            return;
        }
    }
    reply_status(call->reply, "OK");
}

void command_unwatch(struct call *call)
{
    unwatch(call->client);
    reply_status(call->reply, "OK");
}

/* ---- MULTI, EXEC, DISCARD ---- */

void command_multi(struct call *call)
{
    if (call->client->transaction != NULL) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    neap_give(&call->client->transaction, transaction_new());
    if (call->client->transaction == NULL)
        call_out_of_memory(call);
    else
        reply_status(call->reply, "OK");
}

void command_discard(struct call *call)
{
    if (call->client->transaction == NULL) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    neap_clear(&call->client->transaction);
    unwatch(call->client);
    reply_status(call->reply, "OK");
}

void transaction_refuse(struct call *call)
{
    neap_clear(&call->client->transaction);
    unwatch(call->client);
    reply_error(call->reply, "EXECABORT Transaction discarded because of: wrong number of "
                             "arguments for 'exec' command");
}

static struct call call_of(const struct queued *queued, struct call *exec)
{
    return (struct call){
        .reply = exec->reply,
        .argument = queued->argument,
        .count = queued->count,
        .client = exec->client,
        .command = queued->command,
        .dead = exec->dead,
    };
}

/* All locks that the transaction needs: those of its keys and of the keys watched. */
static keyspace_locks locks_of(const struct transaction *transaction, struct call *exec)
{
    keyspace_locks locks = exec->client->watched;
    for (struct queued *queued = transaction->first; queued != NULL; queued = queued->next) {
        struct call call = call_of(queued, exec);
        locks |= command_locks(&call);
        if (queued->command->flags & COMMAND_SCANS)
            locks = KEYSPACE_LOCKS_ALL;
    }
    return locks;
}

static void run_all(const struct transaction *transaction, struct call *exec, bool all_locked)
{
    reply_array(exec->reply, transaction->count);
    for (struct queued *queued = transaction->first; queued != NULL; queued = queued->next) {
        struct call call = call_of(queued, exec);
        call.all_locked = all_locked;
        command_locks(&call);
        command_run_locked(&call, exec->client->loop->commands);
        exec->collect |= call.collect;
    }
}

void command_exec(struct call *call)
{
    struct client *client = call->client;
    struct transaction *transaction = neap_take(&client->transaction);
    if (transaction == NULL) {
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    if (transaction->failed) {
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
    } else {
        keyspace_locks locks = locks_of(transaction, call);
        keyspace_lock(locks);
        keyspace_expire_locked(client->watched, call->dead);
        if (client->watch != NULL &&
            atomic_load_explicit(&client->watch->marked, memory_order_relaxed))
            reply_null_array(call->reply);
        else
            run_all(transaction, call, locks == KEYSPACE_LOCKS_ALL);
        keyspace_unlock(locks);
    }
    unwatch(client);
    neap_release(transaction);
}
