/* SPDX-License-Identifier: MIT
 *
 * tidepool: one connection. Bytes come in, requests are run in order, replies go out, and no client
 * can make the server hold more for it than its limits:
 *
 *     OPEN --reply not taken by the socket--> PAUSED --written--> OPEN
 *     OPEN --a reply in slices (feed.h)--> OPEN with a feed --its last slice--> OPEN
 *     OPEN --QUIT or protocol error--> DRAINING --end of stream, one second or 4 MiB--> CLOSING
 *     any --error, end of stream, cut off--> CLOSING --on_closed--> released
 *
 * A paused client, or one with a feed, is not read from and its further requests wait in its own
 * buffer, so what waits to be sent is one batch of replies at most. A draining client has had its
 * last reply; what it still sends is read and dropped, because closing on unread bytes would take
 * the reply from it.
 *
 * A client is a neap object: the connection holds a reference until libuv has closed it, and a
 * command may hold one for longer.
 *
 * Concurrency: belongs to its loop's thread. Another thread may hold a reference and read loop:
 * (c). */
#ifndef TIDEPOOL_CLIENT_H
#define TIDEPOOL_CLIENT_H

#include "feed.h"
#include "loop.h"
#include "pubsub.h"
#include "resp.h"
#include "set.h"
#include "transaction.h"
#include "watch.h"

enum client_state { CLIENT_OPEN, CLIENT_PAUSED, CLIENT_DRAINING, CLIENT_CLOSING };

#define CLIENT_NAME_BYTES    64
#define CLIENT_ADDRESS_BYTES 64

struct client {
    union {
        uv_handle_t handle; /* data: the client */
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_write_t write;
    uv_shutdown_t end;
    struct loop *loop;                       /* (c) */
    uint64_t id;                             /* (c) */
    uint64_t since_ms;                       /* (c) of uv_hrtime */
    char address[CLIENT_ADDRESS_BYTES];      /* (c) "ip:port" or the socket's path */
    struct client *next;                     /* slot, (L) of the list of all clients */
    struct client *previous;                 /* (L) borrowed */
    _Atomic uint64_t heard_ms;               /* (o>) relaxed */
    _Atomic(const struct command *) command; /* (o>) relaxed: the last; NULL for none */
    enum client_state state;
    bool last_reply; /* close when the replies so far have been sent */
    bool stranger;   /* has not given the password */
    bool listed;     /* in the list of all clients */
    int protocol;    /* 2 or 3 */
    uint64_t drain_until_ms;
    size_t drained; /* bytes read and dropped */
    struct resp_parser parser;
    char *in; /* neap_alloc: bytes of requests not yet run; NULL while there are none */
    size_t in_length, in_capacity;
    char *out; /* neap_alloc: replies that the socket has not taken yet; NULL unless paused */
    size_t out_length;
    char *name;                      /* neap_alloc, CLIENT SETNAME; NULL for none */
    struct reply messages;           /* that came while paused */
    struct transaction *transaction; /* slot: between MULTI and EXEC */
    struct watch *watch;             /* slot: NULL unless keys are watched */
    keyspace_locks watched;          /* the locks of those keys */
    struct feed *feed;               /* slot: the reply under way; NULL */
    struct client *fed_next;         /* borrowed: in the loop's queue of those to feed */
    struct set *subscribed[2];       /* slots, by enum pubsub_kind: names */
};
NEAP_DECLARE_TYPE(client);

/* libuv's callback for a new connection. */
void client_accept(uv_stream_t *listener, int status);

/* The client that the handle of this loop belongs to; NULL for the loop's own handles. */
struct client *client_of(struct loop *loop, uv_handle_t *handle);

/* Closes the connection now; what it had waiting is dropped. */
void client_close(struct client *client);

/* Sends the messages of a mailbox to the loop's clients. */
void client_deliver(struct loop *loop, struct mail *first);

/* Writes a slice of the reply of every client in the loop's queue of those to feed. */
void client_feed_all(struct loop *loop);

/* Closes a draining client whose second is over. */
void client_end_if_drained(struct client *client);

/* The client has given the password. */
void client_welcome(struct client *client);

/* Gives the client a name of printable bytes, or none when empty. */
bool client_set_name(struct client *client, struct slice name);

#endif
