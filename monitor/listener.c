/* SPDX-License-Identifier: MIT
 *
 * Numeric addresses only: to look up a name may take minutes, and may answer with an address that
 * nobody meant. A unix socket is its owner's alone from its first moment on: the mode is given to
 * the socket before it has a name. What a program that crashed left under that name is removed when
 * nobody answers there. */
#include "monitor/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "neap/status.h"

enum { BACKLOG = 16 };

struct wanted {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    };
    socklen_t length;
};

static bool parse_port(const char *text, in_port_t *ret_port)
{
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port > 65535)
        return false;
    *ret_port = htons((in_port_t)port);
    return true;
}

static bool parse_unix(const char *path, struct wanted *ret_wanted)
{
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof ret_wanted->un.sun_path)
        return false;
    ret_wanted->un.sun_family = AF_UNIX;
    memcpy(ret_wanted->un.sun_path, path, length + 1);
    ret_wanted->length = sizeof ret_wanted->un;
    return true;
}

static bool parse(const char *address, struct wanted *ret_wanted)
{
    char host[64];
    memset(ret_wanted, 0, sizeof *ret_wanted);
    if (strncmp(address, "unix:", 5) == 0)
        return parse_unix(address + 5, ret_wanted);
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return false;
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    size_t length = strlen(host);
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        ret_wanted->v6.sin6_family = AF_INET6;
        ret_wanted->length = sizeof ret_wanted->v6;
        return inet_pton(AF_INET6, host + 1, &ret_wanted->v6.sin6_addr) == 1 &&
               parse_port(colon + 1, &ret_wanted->v6.sin6_port);
    }
    ret_wanted->v4.sin_family = AF_INET;
    ret_wanted->length = sizeof ret_wanted->v4;
    const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return inet_pton(AF_INET, name, &ret_wanted->v4.sin_addr) == 1 &&
           parse_port(colon + 1, &ret_wanted->v4.sin_port);
}

static bool is_local(const struct wanted *wanted)
{
    if (wanted->any.sa_family == AF_INET)
        return ntohl(wanted->v4.sin_addr.s_addr) >> 24 == 127;
    return wanted->any.sa_family == AF_UNIX || IN6_IS_ADDR_LOOPBACK(&wanted->v6.sin6_addr);
}

static void write_address(struct np_listener *listener, const struct wanted *wanted)
{
    struct wanted bound;
    char host[INET6_ADDRSTRLEN] = "";
    socklen_t length = sizeof bound;
    memset(&bound, 0, sizeof bound);
    if (wanted->any.sa_family == AF_UNIX) {
        memcpy(listener->path, wanted->un.sun_path, sizeof listener->path);
        snprintf(listener->address, sizeof listener->address, "unix:%s", listener->path);
    } else if (getsockname(listener->fd, &bound.any, &length) == 0) {
        bool v6 = bound.any.sa_family == AF_INET6;
        inet_ntop(bound.any.sa_family,
                  v6 ? (const void *)&bound.v6.sin6_addr : (const void *)&bound.v4.sin_addr, host,
                  sizeof host);
        snprintf(listener->address, sizeof listener->address, v6 ? "[%s]:%u" : "%s:%u", host,
                 (unsigned)ntohs(v6 ? bound.v6.sin6_port : bound.v4.sin_port));
    }
}

/* Nobody listens at a path that refuses. */
static bool remove_left_over(const struct wanted *wanted)
{
    struct stat status;
    if (lstat(wanted->un.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &wanted->any, wanted->length) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused && unlink(wanted->un.sun_path) == 0;
}

static int take_name(int fd, const struct wanted *wanted)
{
    int one = 1;
    if (wanted->any.sa_family == AF_UNIX) {
        if (fchmod(fd, 0600) != 0)
            return -1;
    } else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) {
        return -1;
    }
    if (wanted->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0)
        return -1;
    if (bind(fd, &wanted->any, wanted->length) == 0)
        return 0;
    if (errno == EADDRINUSE && wanted->any.sa_family == AF_UNIX && remove_left_over(wanted))
        return bind(fd, &wanted->any, wanted->length);
    return -1;
}

static int explain(int status, char *ret_why, size_t bytes, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(ret_why, bytes, format, list);
    va_end(list);
    return status;
}

int np_listener_open(struct np_listener *ret_listener, const char *address, bool others_may,
                     char *ret_why, size_t bytes)
{
    struct wanted wanted;
    struct np_listener listener = {.fd = -1};
    if (address == NULL || !parse(address, &wanted))
        return explain(NEAP_EINVAL, ret_why, bytes,
                       "%.100s: no address; written as 127.0.0.1:PORT, [::1]:PORT or unix:PATH",
                       address != NULL ? address : "NULL");
    listener.is_local = is_local(&wanted);
    if (!listener.is_local && !others_may)
        return explain(NEAP_EINVAL, ret_why, bytes,
                       "%.100s: other machines reach it, which takes a token: set "
                       "NEAP_MONITOR_TOKEN",
                       address);
    listener.fd = socket(wanted.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener.fd < 0 || take_name(listener.fd, &wanted) != 0) {
        int failed = errno;
        if (listener.fd >= 0)
            close(listener.fd);
        return explain(NEAP_EIO, ret_why, bytes, "%.100s: %s", address, strerror(failed));
    }
    write_address(&listener, &wanted);
    if (listen(listener.fd, BACKLOG) != 0) {
        explain(NEAP_EIO, ret_why, bytes, "%.100s: %s", address, strerror(errno));
        np_listener_close(&listener, true);
        return NEAP_EIO;
    }
    *ret_listener = listener;
    return NEAP_OK;
}

void np_listener_close(struct np_listener *listener, bool close_socket)
{
    if (listener->path[0] != '\0')
        unlink(listener->path);
    if (close_socket)
        close(listener->fd);
    listener->fd = -1;
}
