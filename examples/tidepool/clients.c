/* SPDX-License-Identifier: MIT
 *
 * tidepool: all clients of all loops (see clients.h). */
#include "clients.h"

#include <inttypes.h>
#include <stdio.h>

#include "client.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct client *first; /* (L lock) a reference; linked by client->next, back by previous */

void clients_add(struct client *client)
{
    neap_mutex_lock(&lock);
    if (first != NULL)
        first->previous = client;
    neap_give(&client->next, first); /* the head's reference moves on */
    first = neap_retain(client);
    client->listed = true;
    pthread_mutex_unlock(&lock);
}

void clients_remove(struct client *client)
{
    if (!client->listed)
        return;
    client->listed = false;
    neap_mutex_lock(&lock);
    struct client *next = neap_take(&client->next), *previous = client->previous;
    if (next != NULL)
        next->previous = previous;
    if (previous != NULL) {
        neap_give(&previous->next, next); /* releases the list's reference to client */
    } else {
        first = next;
        neap_release(client);
    }
    client->previous = NULL;
    pthread_mutex_unlock(&lock);
}

void clients_set_name(struct client *client, char *name)
{
    neap_mutex_lock(&lock);
    char *old = client->name;
    client->name = name;
    pthread_mutex_unlock(&lock);
    neap_free(old);
}

static void describe(struct client *client, struct reply *text)
{
    char line[512];
    uint64_t now_ms = uv_hrtime() / 1000000;
    /* relaxed: moments */
    uint64_t heard_ms = atomic_load_explicit(&client->heard_ms, memory_order_relaxed);
    const struct command *command = atomic_load_explicit(&client->command, memory_order_relaxed);
    int length =
        snprintf(line, sizeof line,
                 "id=%" PRIu64 " addr=%s laddr=%s:%u name=%s age=%" PRIu64 " idle=%" PRIu64
                 " db=0 cmd=%s user=default loop=%u\n",
                 client->id, client->address, server.settings.bind, server.port,
                 client->name == NULL ? "" : client->name, (now_ms - client->since_ms) / 1000,
                 now_ms > heard_ms ? (now_ms - heard_ms) / 1000 : 0,
                 command == NULL ? "NULL" : command->name, client->loop->index);
    if (length > 0)
        reply_bytes(text, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

void clients_describe(struct client *client, struct reply *text)
{
    neap_mutex_lock(&lock);
    describe(client, text);
    pthread_mutex_unlock(&lock);
}

void clients_list(struct reply *text)
{
    neap_mutex_lock(&lock);
    for (struct client *client = first; client != NULL; client = client->next)
        describe(client, text);
    pthread_mutex_unlock(&lock);
}

size_t clients_kill(const struct client_filter *filter)
{
    size_t killed = 0;
    neap_mutex_lock(&lock);
    for (struct client *client = first; client != NULL; client = client->next) {
        if ((filter->id != 0 && client->id != (uint64_t)filter->id) || client == filter->spared ||
            (filter->address != NULL && !text_same(*filter->address, text_from(client->address))))
            continue;
        killed += mail_end(client);
    }
    pthread_mutex_unlock(&lock);
    return killed;
}
