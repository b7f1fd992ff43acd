/* SPDX-License-Identifier: MIT
 *
 * tidepool: one connection (see client.h). */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <neap/neap.h>

#include "clients.h"

#define REPLY_BATCH \
    ((size_t)64 * 1024) /* replies are sent at the latest when they are this long \
                         */
#define MESSAGES_MOST  ((size_t)32 * 1024 * 1024) /* waiting for a client that does not read */
#define READ_LEAST     ((size_t)16 * 1024)
#define DRAIN_MS       1000
#define DRAIN_BYTES    ((size_t)4 * 1024 * 1024)
#define SAFEPOINT_EACH 64 /* requests of one batch between two polls */

static void client_dispose(void *self)
{
    struct client *client = self;
    resp_fini(&client->parser);
    neap_free(client->in);
    neap_free(client->out);
    neap_free(client->name);
    reply_fini(&client->messages);
}

NEAP_DEFINE_TYPE(client, (next, transaction, watch, feed, subscribed), .dispose = client_dispose);

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    loop_awake(client->loop);
    loop_count(&client->loop->counters.clients, UINT64_MAX);
    atomic_fetch_sub_explicit(&server.clients, 1, memory_order_relaxed);
    clients_remove(client);
    neap_release(client);
}

/* Takes the client out of its loop's queue of those to feed, if it is there. */
static void unqueue(struct client *client)
{
    struct loop *loop = client->loop;
    struct client *before = NULL;
    for (struct client *c = loop->fed_first; c != NULL; before = c, c = c->fed_next) {
        if (c != client)
            continue;
        if (before == NULL)
            loop->fed_first = c->fed_next;
        else
            before->fed_next = c->fed_next;
        if (loop->fed_last == c)
            loop->fed_last = before;
        c->fed_next = NULL;
        return;
    }
}

void client_close(struct client *client)
{
    if (client->state == CLIENT_CLOSING)
        return;
    if (client->state == CLIENT_DRAINING)
        client->loop->draining--;
    client->state = CLIENT_CLOSING;
    pubsub_leave(client);
    neap_clear(&client->transaction);
    neap_clear(&client->watch);
    if (client->feed != NULL)
        unqueue(client);
    neap_clear(&client->feed);
    uv_close(&client->handle, on_closed);
}

/* Closes a client that broke a limit. */
static void cut_off(struct client *client)
{
    loop_count(&client->loop->counters.cut_off, 1);
    client_close(client);
}

static void on_ended(uv_shutdown_t *request, int status)
{
    struct client *client = request->data;
    loop_awake(client->loop);
    if (status != 0)
        client_close(client);
}

/* The last reply is on its way: ends our side of the stream and drops what still comes. */
static void drain(struct client *client)
{
    client->state = CLIENT_DRAINING;
    client->loop->draining++;
    client->drain_until_ms = uv_now(&client->loop->uv) + DRAIN_MS;
    client->in_length = 0;
    client->end.data = client;
    if (uv_shutdown(&client->end, &client->stream, on_ended) != 0)
        client_close(client);
}

void client_end_if_drained(struct client *client)
{
    if (client->state == CLIENT_DRAINING && uv_now(&client->loop->uv) >= client->drain_until_ms)
        client_close(client);
}

/* ---- replies ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
static void serve_waiting(struct client *client);

/* Queues an open client whose reply is not all written. */
static void queue(struct client *client)
{
    struct loop *loop = client->loop;
    client->fed_next = NULL;
    if (loop->fed_first == NULL)
        loop->fed_first = client;
    else
        loop->fed_last->fed_next = client;
    loop->fed_last = client;
    loop_feed(loop);
}

/* An open client that has been sent what there was: more of its reply, or its next requests. */
static void go_on(struct client *client)
{
    if (client->feed != NULL) {
        queue(client);
        return;
    }
    if (client->last_reply) {
        drain(client);
    } else {
        struct reply *reply = &client->loop->reply;
        reply_bytes(reply, client->messages.bytes, client->messages.length);
        reply_reset(&client->messages);
        serve_waiting(client);
    }
    if ((client->state == CLIENT_OPEN && client->feed == NULL) || client->state == CLIENT_DRAINING)
        uv_read_start(&client->stream, on_alloc, on_read);
}

static void on_written(uv_write_t *request, int status)
{
    struct client *client = request->data;
    loop_awake(client->loop);
    neap_free(client->out);
    client->out = NULL;
    client->out_length = 0;
    if (client->state == CLIENT_CLOSING)
        return;
    if (status != 0) {
        client_close(client);
        return;
    }
    client->state = CLIENT_OPEN;
    go_on(client);
}

/* The socket is full: the client keeps the rest of the replies and waits until they are written. */
static void wait_for_socket(struct client *client, struct reply *reply, size_t sent)
{
    client->out = reply->bytes;
    client->out_length = reply->length - sent;
    reply->bytes = NULL;
    reply->length = reply->capacity = 0;
    client->state = CLIENT_PAUSED;
    uv_read_stop(&client->stream);
    uv_buf_t buffer = {.base = client->out + sent, .len = client->out_length};
    client->write.data = client;
    if (uv_write(&client->write, &client->stream, &buffer, 1, on_written) != 0)
        client_close(client);
}

/* Sends what has been replied. The client may be paused, draining or closing afterwards. */
static void flush(struct client *client)
{
    struct reply *reply = &client->loop->reply;
    if (reply->failed) {
        cut_off(client);
    } else if (reply->length > 0 && client->state == CLIENT_OPEN) {
        size_t sent = 0;
        uv_buf_t buffer = {.base = reply->bytes, .len = reply->length};
        loop_count(&client->loop->counters.bytes_out, reply->length);
        int status = uv_try_write(&client->stream, &buffer, 1);
        if (status >= 0)
            sent = (size_t)status;
        if (status < 0 && status != UV_EAGAIN)
            client_close(client);
        else if (sent < reply->length)
            wait_for_socket(client, reply, sent);
    }
    reply_reset(reply);
    if (client->last_reply && client->state == CLIENT_OPEN)
        drain(client);
}

/* ---- requests ---- */

static void run(struct client *client)
{
    struct loop *loop = client->loop;
    struct call call = {
        .reply = &loop->reply,
        .argument = client->parser.argument,
        .count = client->parser.count,
        .client = client,
        .feed = &client->feed,
    };
    command_run(&call, loop->commands);
}

static bool may_serve(const struct client *client)
{
    return client->state == CLIENT_OPEN && !client->last_reply && client->feed == NULL;
}

/* Runs the complete requests at the beginning of bytes while the client is open; returns how many
 * bytes they took. */
static size_t serve(struct client *client, const char *bytes, size_t length)
{
    struct reply *reply = &client->loop->reply;
    reply->protocol = client->protocol;
    keyspace_set_clock();
    /* relaxed: for CLIENT LIST */
    atomic_store_explicit(&client->heard_ms, uv_now(&client->loop->uv), memory_order_relaxed);
    size_t at = 0;
    for (unsigned served = 1; may_serve(client); served++) {
        enum resp_result result = resp_parse(&client->parser, bytes + at, length - at);
        if (result == RESP_MORE)
            break;
        if (result == RESP_ERROR) {
            loop_count(&client->loop->counters.protocol_errors, 1);
            reply_error(reply, "ERR Protocol error: %s", client->parser.error);
            client->last_reply = true;
            break;
        }
        if (client->parser.count > 0)
            run(client);
        at += client->parser.consumed;
        if (reply->length >= REPLY_BATCH || reply->failed)
            flush(client);
        if (served % SAFEPOINT_EACH == 0)
            neap_safepoint();
    }
    flush(client);
    if (client->feed != NULL && client->state == CLIENT_OPEN) {
        uv_read_stop(&client->stream);
        queue(client);
    }
    return at;
}

/* One more slice of the client's reply. */
static void feed_client(struct client *client)
{
    struct reply *reply = &client->loop->reply;
    reply->protocol = client->protocol;
    if (!feed_step(client->feed, reply))
        neap_clear(&client->feed);
    flush(client);
    if (client->state == CLIENT_OPEN)
        go_on(client);
}

void client_feed_all(struct loop *loop)
{
    struct client *last = loop->fed_last, *client;
    do {
        client = loop->fed_first;
        if (client == NULL)
            return;
        loop->fed_first = client->fed_next;
        client->fed_next = NULL;
        if (loop->fed_first == NULL)
            loop->fed_last = NULL;
        feed_client(client);
        neap_safepoint();
    } while (client != last);
}

/* One message to one client. */
static void deliver(struct mail *mail)
{
    struct client *client = mail->client;
    if (mail->message == NULL) {
        client_close(client);
    } else if (may_serve(client)) {
        struct reply *reply = &client->loop->reply;
        reply->protocol = client->protocol;
        mail_write(mail, reply);
        flush(client);
    } else if (client->state == CLIENT_PAUSED || client->feed != NULL) {
        client->messages.protocol = client->protocol;
        mail_write(mail, &client->messages);
        if (client->messages.failed)
            cut_off(client);
    }
}

void client_deliver(struct loop *loop, struct mail *first)
{
    (void)loop;
    while (first != NULL) {
        deliver(first);
        struct mail *next = neap_take(&first->next);
        neap_release(first);
        first = next;
    }
}

/* Keeps the bytes from `at` on for later; false when there is no memory for them. */
static bool keep(struct client *client, const char *bytes, size_t length)
{
    if (length > client->in_capacity) {
        char *in = neap_realloc(client->in, length);
        if (in == NULL)
            return false;
        client->in = in;
        client->in_capacity = length;
    }
    if (length > 0)
        memmove(client->in, bytes, length);
    client->in_length = length;
    return true;
}

/* Runs the requests that are complete in the client's own buffer. */
static void serve_waiting(struct client *client)
{
    if (client->in_length == 0) {
        flush(client);
        return;
    }
    size_t served = serve(client, client->in, client->in_length);
    if (client->state == CLIENT_DRAINING || client->state == CLIENT_CLOSING)
        client->in_length = 0;
    else if (served > 0)
        keep(client, client->in + served, client->in_length - served);
    if (client->in_length == 0) {
        neap_free(client->in);
        client->in = NULL;
        client->in_capacity = 0;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    struct client *client = handle->data;
    loop_awake(client->loop);
    if (client->in_length == 0) {
        *ret_buffer = uv_buf_init(client->loop->read_buffer, LOOP_READ_BYTES);
        return;
    }
    /* As much as the argument under way lacks, but no more than has come already: an announced
     * length costs memory only as it is sent. */
    size_t more = resp_wanted(&client->parser, client->in_length);
    if (more > client->in_length)
        more = client->in_length;
    if (more < READ_LEAST)
        more = READ_LEAST;
    if (client->in_capacity - client->in_length < more) {
        char *in = neap_realloc(client->in, client->in_length + more);
        if (in != NULL) {
            client->in = in;
            client->in_capacity = client->in_length + more;
        }
    }
    *ret_buffer = uv_buf_init(client->in + client->in_length,
                              (unsigned)(client->in_capacity - client->in_length));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    loop_awake(client->loop);
    if (count == 0)
        return;
    if (count < 0) {
        if (count == UV_ENOBUFS)
            cut_off(client);
        else
            client_close(client);
        return;
    }
    loop_count(&client->loop->counters.bytes_in, (uint64_t)count);
    if (client->state != CLIENT_OPEN) {
        client->drained += (size_t)count; /* draining: nothing more is answered */
        if (client->drained > DRAIN_BYTES)
            client_close(client);
        return;
    }
    size_t length = (size_t)count;
    if (client->in_length > 0) {
        client->in_length += length;
        serve_waiting(client);
        return;
    }
    size_t served = serve(client, buffer->base, length);
    if (served < length && (client->state == CLIENT_OPEN || client->state == CLIENT_PAUSED) &&
        !keep(client, buffer->base + served, length - served))
        cut_off(client);
}

/* ---- connecting ---- */

static void refuse(struct client *client)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    uv_buf_t buffer = {.base = (char *)(uintptr_t)text, .len = sizeof text - 1};
    loop_count(&client->loop->counters.refused, 1);
    uv_try_write(&client->stream, &buffer, 1);
    client_close(client);
}

static struct client *client_new(struct loop *loop, bool local)
{
    struct client *client = neap_new(client);
    if (client == NULL)
        return NULL;
    client->loop = loop;
    client->protocol = 2;
    client->id = atomic_fetch_add_explicit(&server.next_client_id, 1, memory_order_relaxed);
    resp_init(&client->parser, server.settings.password == NULL ? &server.settings.limits
                                                                : &server.settings.stranger_limits);
    reply_init(&client->messages, MESSAGES_MOST);
    client->stranger = server.settings.password != NULL;
    if (local)
        uv_pipe_init(&loop->uv, &client->pipe, 0);
    else
        uv_tcp_init(&loop->uv, &client->tcp);
    client->handle.data = client;
    client->since_ms = uv_hrtime() / 1000000;
    loop_count(&loop->counters.clients, 1);
    return client;
}

/* From here on other threads may see it. */
static void introduce(struct client *client)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    if (client->handle.type == UV_NAMED_PIPE) {
        snprintf(client->address, sizeof client->address, "%s:0", server.settings.socket_path);
    } else if (uv_tcp_getpeername(&client->tcp, (struct sockaddr *)&address, &size) == 0) {
        bool six = address.ss_family == AF_INET6;
        unsigned port = ntohs(six ? ((struct sockaddr_in6 *)&address)->sin6_port
                                  : ((struct sockaddr_in *)&address)->sin_port);
        if (six)
            uv_ip6_name((struct sockaddr_in6 *)&address, text, sizeof text);
        else
            uv_ip4_name((struct sockaddr_in *)&address, text, sizeof text);
        snprintf(client->address, sizeof client->address, six ? "[%s]:%u" : "%s:%u", text, port);
    }
    clients_add(client);
}

void client_accept(uv_stream_t *listener, int status)
{
    struct loop *loop = listener->data;
    loop_awake(loop);
    if (status != 0) {
        fprintf(stderr, "tidepool: cannot accept a connection: %s%s\n", uv_strerror(status),
                status == UV_EMFILE ? " (raise ulimit -n or lower --maxclients)" : "");
        loop_count(&loop->counters.refused, 1);
        return;
    }
    struct client *client = client_new(loop, listener->type == UV_NAMED_PIPE);
    if (client == NULL) {
        fprintf(stderr, "tidepool: out of memory for a connection\n");
        return;
    }
    uint64_t others = atomic_fetch_add_explicit(&server.clients, 1, memory_order_relaxed);
    if (uv_accept(listener, &client->stream) != 0) {
        client_close(client);
        return;
    }
    loop_count(&loop->counters.accepted, 1);
    introduce(client);
    if (others >= server.settings.clients_most) {
        refuse(client);
        return;
    }
    if (client->handle.type == UV_TCP)
        uv_tcp_nodelay(&client->tcp, 1);
    uv_read_start(&client->stream, on_alloc, on_read);
}

struct client *client_of(struct loop *loop, uv_handle_t *handle)
{
    if ((handle->type != UV_TCP && handle->type != UV_NAMED_PIPE) ||
        handle == (uv_handle_t *)&loop->listener || handle == (uv_handle_t *)&loop->local_listener)
        return NULL;
    return handle->data;
}

void client_welcome(struct client *client)
{
    client->stranger = false;
    client->parser.limits = &server.settings.limits;
}

bool client_set_name(struct client *client, struct slice name)
{
    for (size_t i = 0; i < name.length; i++)
        if (name.bytes[i] < '!' || name.bytes[i] > '~')
            return false;
    char *copy = NULL;
    if (name.length > 0) {
        copy = neap_alloc(name.length + 1);
        if (copy == NULL)
            return false;
        memcpy(copy, name.bytes, name.length);
        copy[name.length] = '\0';
    }
    clients_set_name(client, copy);
    return true;
}
