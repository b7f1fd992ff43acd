/* SPDX-License-Identifier: MIT
 *
 * tidepool: event loops, one per thread, and the server that they are together. Every loop listens
 * on the same port (SO_REUSEPORT: the kernel spreads the connections) and serves its connections
 * alone; loops share the keyspace and nothing else.
 *
 * How a libuv loop lives with neap: the loop's thread is attached, and it waits in a blocking
 * region, so that an idle loop delays no collection. libuv waits and calls back in one step, so
 *
 *     prepare handle (before the wait)     neap_safepoint, then neap_blocking_enter
 *     callback out of the wait             loop_awake first: neap_blocking_leave, once
 *     check handle (after the wait)        loop_awake, for a wait that nobody was called from
 *
 * Concurrency: a loop belongs to its thread, but for the fields marked (o>) and loop_wake. */
#ifndef TIDEPOOL_LOOP_H
#define TIDEPOOL_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "command.h"
#include "pubsub.h"
#include "reply.h"
#include "settings.h"

#define LOOP_READ_BYTES 65536

/* What a loop counts; written by it alone, read by any thread as a sum of moments. */
struct loop_counters {
    _Atomic uint64_t accepted, refused, clients; /* (o>) connections: ever, turned away, now */
    _Atomic uint64_t protocol_errors;            /* (o>) */
    _Atomic uint64_t cut_off;                    /* (o>) clients closed for what they took */
    _Atomic uint64_t bytes_in, bytes_out;        /* (o>) */
    _Atomic uint64_t turns;                      /* (o>) of the loop */
};

struct loop {
    unsigned index;   /* (c) */
    pthread_t thread; /* (c) of all but the first loop, which the main thread runs */
    uv_loop_t uv;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    uv_timer_t tick;
    uv_idle_t feeder;                    /* runs while there is somebody to feed */
    struct client *fed_first, *fed_last; /* borrowed, a queue: clients to feed a slice each */
    uv_async_t wake;                     /* any thread may send */
    struct mailbox mailbox;              /* messages for the loop's clients, from any thread */
    uv_tcp_t listener;
    uv_pipe_t local_listener; /* the unix socket, of which every loop has a descriptor */
    bool waiting;             /* in the blocking region */
    bool stopping;            /* closing everything */
    unsigned draining;        /* clients that have had their last reply */
    char *read_buffer;        /* LOOP_READ_BYTES; between callbacks nothing is in it */
    struct reply reply;       /* of the client being served; empty between callbacks */
    uint64_t sent_since_look; /* bytes of requests since memory_make_room looked */
    struct loop_counters counters;
    struct command_counters *commands; /* a row per command */
};

struct server {
    struct settings settings;        /* (c) */
    struct loop *loops;              /* (c) settings.threads of them */
    unsigned port;                   /* (c) the one in use */
    char monitor[160];               /* (c) where the monitor serves, or "" */
    uint64_t started_ns;             /* (c) uv_hrtime at the start */
    _Atomic uint64_t next_client_id; /* relaxed: only to be unique */
    _Atomic uint64_t clients;  /* relaxed: of all loops; a limit that may be met late by a few */
    _Atomic unsigned settling; /* relaxed: of server_settle, under way */
    _Atomic bool stopping;     /* relaxed: the wake that follows it synchronizes */
};

extern struct server server;

/* Binds the port and makes the loops; false after a message on standard error. */
bool server_open(void);

/* Serves until server_stop, the first loop on the calling thread; calls started_all when the other
 * threads have been started. False after a message when threads could not be started. */
bool server_run(void (*started_all)(void));

/* Asks all loops to close their connections and end. Any thread, and a signal's handler on the
 * thread that calls server_close: only the first call does anything. */
void server_stop(void);

/* Drops the mail that no loop will deliver, then, when neap has ended, the loops. All have ended.
 */
void server_drop_mail(void);
void server_close(void);

/* Releases the dead, which hold cycles, and has those collected, beside the loops, soon. dead is
 * empty then. On the loop's thread. */
void server_settle(struct loop *loop, struct graveyard *dead);

/* There is a client to feed: the loop calls client_feed_all between its waits, which are then none.
 */
void loop_feed(struct loop *loop);

/* Sum of one counter over the loops: server_sum(offsetof(struct loop_counters, clients)). */
uint64_t server_sum(size_t counter_offset);

/* First in every callback that libuv makes out of its wait. */
static inline void loop_awake(struct loop *loop)
{
    if (loop->waiting) {
        loop->waiting = false;
        neap_blocking_leave();
    }
}

/* Adds to a counter of the calling thread's own loop. */
static inline void loop_count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

#endif
