/* SPDX-License-Identifier: MIT
 *
 * tidepool: all clients of all loops, for CLIENT LIST and KILL. A client is in the list from its
 * beginning to its end; the list holds it, so that whoever goes through the list may retain what it
 * finds.
 *
 * Concurrency: one lock. What the list shows of a client of another loop is constant (address, id),
 * or is written under the lock (the name), or atomically (when it was last heard, its last
 * command). */
#ifndef TIDEPOOL_CLIENTS_H
#define TIDEPOOL_CLIENTS_H

#include "reply.h"
#include "text.h"

struct client;

void clients_add(struct client *client);
void clients_remove(struct client *client);

/* Gives the client a name of its own, NULL for none (stolen, neap_alloc). */
void clients_set_name(struct client *client, char *name);

/* One line about the client, or about each. */
void clients_describe(struct client *client, struct reply *text);
void clients_list(struct reply *text);

/* Asks the loops of the clients that fit to close them; returns how many. */
struct client_filter {
    int64_t id;                  /* 0: any */
    const struct slice *address; /* NULL: any */
    const struct client *spared; /* NULL: none */
};
size_t clients_kill(const struct client_filter *filter);

#endif
