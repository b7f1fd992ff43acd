/* SPDX-License-Identifier: MIT
 *
 * tidepool: event loops (see loop.h). */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "graveyard.h"

#define BACKLOG     1024
#define TICK_MS     100
#define EXPIRE_MOST 10000 /* entries that one tick removes */

struct server server;

/* ---- the port ---- */

/* A socket bound to the server's address; -1 and errno. */
static int bind_socket(const struct sockaddr_storage *address, int reuse)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (!reuse || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
        bind(fd, (const struct sockaddr *)address, size) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void set_port(struct sockaddr_storage *address, unsigned port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

static bool parse_address(struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    const char *bind_to = server.settings.bind;
    if (uv_ip4_addr(bind_to, 0, (struct sockaddr_in *)address) == 0 ||
        uv_ip6_addr(bind_to, 0, (struct sockaddr_in6 *)address) == 0) {
        set_port(address, server.settings.port);
        return true;
    }
    fprintf(stderr, "tidepool: --bind takes an IPv4 or IPv6 address, not \"%s\"\n", bind_to);
    return false;
}

static bool bind_failed(int error)
{
    if (error == EADDRINUSE)
        fprintf(stderr, "tidepool: port %u on %s is in use by another program\n",
                server.settings.port, server.settings.bind);
    else
        fprintf(stderr, "tidepool: cannot listen on %s port %u: %s\n", server.settings.bind,
                server.settings.port, strerror(error));
    return false;
}

/* Binds without SO_REUSEPORT first: with it, the port of another tidepool would be shared in
 * silence. */
static bool port_is_free(const struct sockaddr_storage *address)
{
    int fd = bind_socket(address, 0);
    if (fd < 0)
        return bind_failed(errno);
    close(fd);
    return true;
}

/* Opens the loop's listening socket; the first one settles a port of 0. */
static bool listen_on(struct loop *loop, struct sockaddr_storage *address)
{
    int fd = bind_socket(address, 1);
    if (fd < 0)
        return bind_failed(errno);
    if (loop->index == 0) {
        struct sockaddr_storage bound;
        socklen_t size = sizeof bound;
        getsockname(fd, (struct sockaddr *)&bound, &size);
        server.port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                        : ((struct sockaddr_in *)&bound)->sin_port);
        set_port(address, server.port);
    }
    uv_tcp_init(&loop->uv, &loop->listener);
    int status = uv_tcp_open(&loop->listener, fd);
    if (status != 0) {
        close(fd);
        return bind_failed(-status);
    }
    loop->listener.data = loop;
    status = uv_listen((uv_stream_t *)&loop->listener, BACKLOG, client_accept);
    return status == 0 || bind_failed(-status);
}

static bool local_failed(int error)
{
    fprintf(stderr, "tidepool: cannot listen on %s: %s\n", server.settings.socket_path,
            strerror(error));
    return false;
}

/* Is somebody answering there? Then the path is not ours to take. */
static bool is_answered(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0)
        close(fd);
    return answered;
}

/* The one unix socket; a path that a dead server has left is taken over. */
static bool open_local(int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(server.settings.socket_path);
    if (length >= sizeof address.sun_path)
        return local_failed(ENAMETOOLONG);
    memcpy(address.sun_path, server.settings.socket_path, length + 1);
    if (is_answered(&address))
        return local_failed(EADDRINUSE);
    struct stat found;
    if (stat(server.settings.socket_path, &found) == 0 && S_ISSOCK(found.st_mode))
        unlink(server.settings.socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return local_failed(error);
    }
    *ret_fd = fd;
    return true;
}

/* Every loop accepts from the same socket, by a descriptor of its own. */
static bool listen_locally(struct loop *loop, int fd)
{
    int own = loop->index == 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    uv_pipe_init(&loop->uv, &loop->local_listener, 0);
    loop->local_listener.data = loop;
    int status = own < 0 ? -errno : uv_pipe_open(&loop->local_listener, own);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&loop->local_listener, BACKLOG, client_accept);
    return status == 0 || local_failed(-status);
}

/* ---- the loop's own handles ---- */

static void before_wait(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    loop_count(&loop->counters.turns, 1);
    neap_safepoint();
    neap_blocking_enter();
    loop->waiting = true;
}

static void after_wait(uv_check_t *handle)
{
    loop_awake(handle->data);
}

static void close_any(uv_handle_t *handle, void *arg)
{
    struct loop *loop = arg;
    bool around_waits =
        handle == (uv_handle_t *)&loop->before_wait || handle == (uv_handle_t *)&loop->after_wait;
    if (uv_is_closing(handle) || around_waits)
        return; /* the loop waits once more, for what the pool has under way, and as ever */
    if (client_of(loop, handle) != NULL)
        client_close(client_of(loop, handle));
    else
        uv_close(handle, NULL);
}

static void on_wake(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    loop_awake(loop);
    client_deliver(loop, mailbox_take(&loop->mailbox));
    if (atomic_load_explicit(&server.stopping, memory_order_relaxed) && !loop->stopping) {
        loop->stopping = true;
        uv_walk(&loop->uv, close_any, loop);
    }
}

/* ---- what FLUSHALL leaves ---- */

struct settling {
    uv_work_t work; /* data: the loop */
    struct graveyard dead;
};

/* On a thread of libuv's pool, which is attached only meanwhile: while more of this waits, the last
 * one collects for all. */
static void settle(uv_work_t *work)
{
    struct settling *settling = (struct settling *)work;
    while (neap_thread_attach("settler") != NEAP_OK)
        usleep(10000); /* out of memory: what is to be released here may help */
    graveyard_release(&settling->dead);
    /* relaxed: a hint */
    if (atomic_fetch_sub_explicit(&server.settling, 1, memory_order_relaxed) == 1)
        graveyard_settle();
    neap_thread_detach();
}

static void on_settled(uv_work_t *work, int status)
{
    (void)status;
    loop_awake(work->data);
    neap_free(work);
}

/* The pool's threads begin with the first work, and must leave SIGTERM to the main thread. */
static bool start_settling(struct loop *loop, struct settling *settling)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    settling->work.data = loop;
    int status = uv_queue_work(&loop->uv, &settling->work, settle, on_settled);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status == 0;
}

void server_settle(struct loop *loop, struct graveyard *dead)
{
    struct settling *settling = neap_calloc(1, sizeof *settling);
    if (settling != NULL)
        settling->dead = *dead;
    atomic_fetch_add_explicit(&server.settling, 1, memory_order_relaxed);
    if (settling == NULL || !start_settling(loop, settling)) {
        atomic_fetch_sub_explicit(&server.settling, 1, memory_order_relaxed);
        neap_free(settling);
        graveyard_release(dead);
        graveyard_settle();
    }
    *dead = (struct graveyard){.count = 0};
}

/* ---- replies in slices ---- */

static void on_idle(uv_idle_t *handle)
{
    struct loop *loop = handle->data;
    loop_awake(loop);
    client_feed_all(loop);
    if (loop->fed_first == NULL)
        uv_idle_stop(handle);
}

void loop_feed(struct loop *loop)
{
    uv_idle_start(&loop->feeder, on_idle);
}

static void end_if_drained(uv_handle_t *handle, void *arg)
{
    struct client *client = client_of(arg, handle);
    if (client != NULL)
        client_end_if_drained(client);
}

static void on_tick(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    keyspace_set_clock();
    keyspace_expire_due(loop->index, server.settings.threads, EXPIRE_MOST);
    if (loop->draining != 0)
        uv_walk(&loop->uv, end_if_drained, loop);
}

static bool loop_open(struct loop *loop, unsigned index)
{
    loop->index = index;
    loop->read_buffer = neap_alloc(LOOP_READ_BYTES);
    loop->commands = neap_calloc(command_count(), sizeof *loop->commands);
    reply_init(&loop->reply, server.settings.reply_bytes);
    if (loop->read_buffer == NULL || loop->commands == NULL || mailbox_init(&loop->mailbox) != 0 ||
        uv_loop_init(&loop->uv) != 0) {
        fprintf(stderr, "tidepool: cannot make event loop %u: out of memory or files\n", index);
        return false;
    }
    loop->before_wait.data = loop->after_wait.data = loop;
    loop->tick.data = loop->wake.data = loop->feeder.data = loop;
    uv_idle_init(&loop->uv, &loop->feeder);
    uv_prepare_init(&loop->uv, &loop->before_wait);
    uv_prepare_start(&loop->before_wait, before_wait);
    uv_check_init(&loop->uv, &loop->after_wait);
    uv_check_start(&loop->after_wait, after_wait);
    uv_unref((uv_handle_t *)&loop->before_wait); /* they go on until nothing else does */
    uv_unref((uv_handle_t *)&loop->after_wait);
    uv_timer_init(&loop->uv, &loop->tick);
    uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
    int status = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (status != 0) {
        fprintf(stderr, "tidepool: cannot make event loop %u: %s\n", index, uv_strerror(status));
        return false;
    }
    return true;
}

/* ---- the server ---- */

bool server_open(void)
{
    struct sockaddr_storage address;
    if (!parse_address(&address) || !port_is_free(&address))
        return false;
    server.loops = neap_calloc(server.settings.threads, sizeof *server.loops);
    if (server.loops == NULL) {
        fprintf(stderr, "tidepool: out of memory\n");
        return false;
    }
    server.started_ns = uv_hrtime();
    atomic_store_explicit(&server.next_client_id, 1, memory_order_relaxed);
    for (unsigned i = 0; i < server.settings.threads; i++)
        if (!loop_open(&server.loops[i], i) || !listen_on(&server.loops[i], &address))
            return false;
    int local = -1;
    if (server.settings.socket_path == NULL)
        return true;
    if (!open_local(&local))
        return false;
    for (unsigned i = 0; i < server.settings.threads; i++)
        if (!listen_locally(&server.loops[i], local))
            return false;
    return true;
}

static void *loop_run(void *arg)
{
    struct loop *loop = arg;
    keyspace_set_clock();
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop_awake(loop);
    uv_close((uv_handle_t *)&loop->before_wait, NULL);
    uv_close((uv_handle_t *)&loop->after_wait, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

bool server_run(void (*started_all)(void))
{
    unsigned started = 1;
    for (; started < server.settings.threads; started++) {
        struct loop *loop = &server.loops[started];
        char name[32];
        snprintf(name, sizeof name, "loop %u", started);
        int status = neap_thread_create(&loop->thread, name, loop_run, loop);
        if (status != NEAP_OK) {
            fprintf(stderr, "tidepool: cannot start thread %u of %u: %s\n", started + 1,
                    server.settings.threads, neap_strerror(status));
            server_stop();
            break;
        }
    }
    bool all = started == server.settings.threads;
    started_all();
    if (all) {
        printf("tidepool: listening on %s:%u\n", server.settings.bind, server.port);
        if (server.monitor[0] != '\0')
            printf("tidepool: monitor on %s\n", server.monitor);
        fflush(stdout);
    }
    loop_run(&server.loops[0]);
    for (unsigned i = 1; i < started; i++)
        neap_thread_join(server.loops[i].thread, NULL);
    return all;
}

void server_stop(void)
{
    if (atomic_exchange_explicit(&server.stopping, true, memory_order_relaxed))
        return;
    for (unsigned i = 0; i < server.settings.threads; i++)
        uv_async_send(&server.loops[i].wake);
}

void server_drop_mail(void)
{
    for (unsigned i = 0; i < server.settings.threads; i++)
        mailbox_fini(&server.loops[i].mailbox);
}

void server_close(void)
{
    for (unsigned i = 0; server.loops != NULL && i < server.settings.threads; i++) {
        struct loop *loop = &server.loops[i];
        if (loop->wake.data != NULL)
            uv_loop_close(&loop->uv);
        reply_fini(&loop->reply);
        neap_free(loop->read_buffer);
        neap_free(loop->commands);
    }
    if (server.settings.socket_path != NULL)
        unlink(server.settings.socket_path);
    neap_free(server.loops);
    server.loops = NULL;
}

uint64_t server_sum(size_t counter_offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < server.settings.threads; i++) {
        char *counters = (char *)&server.loops[i].counters;
        sum += atomic_load_explicit((_Atomic uint64_t *)(void *)(counters + counter_offset),
                                    memory_order_relaxed);
    }
    return sum;
}
