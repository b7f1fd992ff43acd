/* SPDX-License-Identifier: MIT
 *
 * The server: one thread that listens, one per connection, both libmicrohttpd's. Bounded are the
 * number of connections, the memory of a request (its line and headers), the time a client may be
 * silent; a request with a body is refused. The child of a fork serves nothing and may start a
 * server of its own. */
#include "neap/monitor.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/access.h"
#include "monitor/listener.h"
#include "monitor/pages.h"
#include "neap/thread.h"

enum { CONNECTIONS_MOST = 16, REQUEST_BYTES = 16384, SILENCE_SECONDS = 10, WHY_BYTES = 256 };
enum { TOO_LARGE = 413 }; /* its name differs between versions of libmicrohttpd */

static struct {
    pthread_mutex_t lock;       /* starting and stopping */
    struct MHD_Daemon *daemon;  /* (L) NULL: nothing is served */
    struct np_listener address; /* (L) written; threads of connections read what is constant */
    char *token;                /* (L) as address; NULL: none */
    bool watches_fork;          /* (L) */
    bool is_ending;             /* (L) */
} monitor = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread char why[WHY_BYTES];

/* ---- a request ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static struct np_page decide(struct MHD_Connection *connection, const char *path,
                             const char *method)
{
    if (monitor.token != NULL &&
        !np_access_token_is(header(connection, MHD_HTTP_HEADER_AUTHORIZATION), monitor.token)) {
        struct np_page page = np_page_text(MHD_HTTP_UNAUTHORIZED, "a bearer token is needed\n");
        if (page.response != NULL)
            MHD_add_response_header(page.response, "WWW-Authenticate", "Bearer realm=\"neap\"");
        return page;
    }
    if (monitor.token == NULL && !np_access_host_is_local(header(connection, MHD_HTTP_HEADER_HOST)))
        return np_page_text(MHD_HTTP_FORBIDDEN, "asked for by another host's name\n");
    return np_pages_answer(connection, path, method);
}

/* Called first with the headers, then once more when the request is whole. */
static enum MHD_Result answer(void *unused, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_bytes, void **state)
{
    static char seen;
    struct np_page page;
    (void)unused, (void)version, (void)body, (void)body_bytes;
    if (*state == NULL) {
        *state = &seen;
        if (!has_body(connection))
            return MHD_YES;
        page = np_page_text(TOO_LARGE, "no request has a body here\n");
    } else {
        page = decide(connection, path, method);
    }
    if (page.response == NULL)
        return MHD_NO; /* out of memory: the connection ends */
    MHD_add_response_header(page.response, "Cache-Control", "no-store");
    MHD_add_response_header(page.response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result queued = MHD_queue_response(connection, page.status, page.response);
    MHD_destroy_response(page.response);
    return queued;
}

/* ---- fork ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&monitor.lock);
    np_pages_before_fork();
}

static void after_fork_parent(void)
{
    np_pages_after_fork();
    pthread_mutex_unlock(&monitor.lock);
}

/* The server's threads are the parent's. Its memory is left behind. */
static void after_fork_child(void)
{
    if (monitor.daemon != NULL) {
        close(monitor.address.fd);
        monitor.daemon = NULL;
        monitor.token = NULL;
        monitor.is_ending = false;
    }
    after_fork_parent();
}

/* ---- starting and stopping ---- */

/* Signals are for the program's threads. */
static struct MHD_Daemon *start_daemon(int fd)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC,
        0, NULL, NULL, answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MOST, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_SECONDS, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static int fail(int status, const char *text)
{
    snprintf(why, sizeof why, "%s", text);
    return status;
}

static int start_locked(const char *address, const char *token)
{
    if (monitor.daemon != NULL)
        return fail(NEAP_ESTATE, "it serves already");
    if (token != NULL && *token == '\0')
        return fail(NEAP_EINVAL, "an empty token is none");
    if (!monitor.watches_fork &&
        pthread_atfork(before_fork, after_fork_parent, after_fork_child) != 0)
        return fail(NEAP_ENOMEM, "out of memory");
    monitor.watches_fork = true;
    int status = np_listener_open(&monitor.address, address, token != NULL, why, sizeof why);
    if (status != NEAP_OK)
        return status;
    monitor.token = token != NULL ? strdup(token) : NULL;
    np_pages_begin();
    if (token == NULL || monitor.token != NULL)
        monitor.daemon = start_daemon(monitor.address.fd);
    if (monitor.daemon != NULL)
        return NEAP_OK;
    np_listener_close(&monitor.address, true);
    free(monitor.token);
    monitor.token = NULL;
    return fail(NEAP_ENOMEM, "out of memory or threads");
}

int neap_monitor_start_with_token(const char *address, const char *token)
{
    int saved = errno;
    why[0] = '\0';
    pthread_mutex_lock(&monitor.lock);
    int status = start_locked(address, token);
    pthread_mutex_unlock(&monitor.lock);
    errno = saved;
    return status;
}

int neap_monitor_start(const char *address)
{
    return neap_monitor_start_with_token(address, secure_getenv("NEAP_MONITOR_TOKEN"));
}

static void stop(void)
{
    pthread_mutex_lock(&monitor.lock);
    struct MHD_Daemon *daemon = monitor.is_ending ? NULL : monitor.daemon;
    monitor.is_ending = daemon != NULL;
    pthread_mutex_unlock(&monitor.lock);
    if (daemon == NULL)
        return;
    np_pages_end();
    MHD_stop_daemon(daemon); /* without the lock: a page's finalizers may fork */
    pthread_mutex_lock(&monitor.lock);
    np_listener_close(&monitor.address, false);
    free(monitor.token);
    monitor.token = NULL;
    monitor.daemon = NULL;
    monitor.is_ending = false;
    pthread_mutex_unlock(&monitor.lock);
}

/* A request's thread may need the world stopped: an attached caller must not be in its way. */
void neap_monitor_stop(void)
{
    int saved = errno;
    if (neap_thread_local.attached > 0)
        NEAP_BLOCKED(stop());
    else
        stop();
    errno = saved;
}

size_t neap_monitor_address(char *ret_address, size_t bytes)
{
    pthread_mutex_lock(&monitor.lock);
    const char *address = monitor.daemon != NULL ? monitor.address.address : "";
    size_t length = strlen(address);
    if (bytes > 0)
        snprintf(ret_address, bytes, "%s", address);
    pthread_mutex_unlock(&monitor.lock);
    return length;
}

const char *neap_monitor_error(void)
{
    return why;
}
