/* SPDX-License-Identifier: MIT
 *
 * tidepool: SUBSCRIBE and PUBLISH. A channel knows its subscribers by weak references: a client
 * that is gone is not kept by the channels it listened to, and a publisher that finds one alive
 * holds a reference while it posts the message. A message to a client goes through the mailbox of
 * the client's loop, because only the loop may write to the connection:
 *
 *     PUBLISH -> channel -> weak -> client -> mail into its loop's mailbox -> loop wakes ->
 * connection
 *
 * Concurrency: one lock guards all channels, below it each mailbox has one. */
#ifndef TIDEPOOL_PUBSUB_H
#define TIDEPOOL_PUBSUB_H

#include <pthread.h>

#include "reply.h"
#include "value.h"

struct client;
struct call;
struct loop;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN };

/* One message on its way to one client. */
struct mail {
    struct mail *next;     /* slot */
    struct client *client; /* slot */
    struct string *pattern, *channel,
        *message; /* slots; pattern is NULL for a channel's subscriber */
};
NEAP_DECLARE_TYPE(mail);

/* Where other threads leave mail for a loop. */
struct mailbox {
    pthread_mutex_t mutex;
    struct mail *first, *last; /* (L mutex) a reference; borrowed */
};

/* 0 or an errno value. */
int mailbox_init(struct mailbox *mailbox);
void mailbox_fini(struct mailbox *mailbox);

/* All the mail, in order, a reference; NULL when there is none. */
struct mail *mailbox_take(struct mailbox *mailbox);

/* Writes the message as the client's protocol has it. */
void mail_write(const struct mail *mail, struct reply *reply);

/* Asks the client's loop to end the connection; false out of memory. */
bool mail_end(struct client *client);

/* How many channels and patterns the client has subscribed to. */
size_t pubsub_count(const struct client *client);

/* Ends all the client's subscriptions, without a word. */
void pubsub_leave(struct client *client);

/* Frees the channels. Every other thread is gone. */
void pubsub_fini(void);

#endif
