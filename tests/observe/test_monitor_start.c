/* SPDX-License-Identifier: MIT
 *
 * Starting and stopping the monitor: addresses that are none, a port that is taken, what a crash
 * left behind, no memory and no threads. Each failure has a reason in words and leaves nothing. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <dlfcn.h>

#include <neap/monitor.h>
#include <neap/neap.h>

#include "tests/tap.h"

/* ---- threads that cannot be had ---- */

static atomic_bool no_threads; /* also read by the threads of libmicrohttpd */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (no_threads)
        return EAGAIN;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, arg);
}

/* ---- helpers ---- */

static int open_files(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return -1;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static bool answers(const char *path_or_null, unsigned port)
{
    char reply[512] = "";
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (path_or_null != NULL)
        snprintf(un.sun_path, sizeof un.sun_path, "%s", path_or_null);
    int fd = socket(path_or_null != NULL ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    int status = path_or_null != NULL ? connect(fd, (struct sockaddr *)&un, sizeof un)
                                      : connect(fd, (struct sockaddr *)&in, sizeof in);
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (status == 0 && write(fd, request, sizeof request - 1) > 0) {
        size_t length = 0;
        ssize_t n;
        while (length + 1 < sizeof reply &&
               (n = read(fd, reply + length, sizeof reply - 1 - length)) > 0)
            length += (size_t)n;
    }
    close(fd);
    return strncmp(reply, "HTTP/1.1 200 ", 13) == 0;
}

static unsigned port_of(void)
{
    char address[100];
    neap_monitor_address(address, sizeof address);
    return (unsigned)atoi(strrchr(address, ':') + 1);
}

/* ---- tests ---- */

static void test_addresses(void)
{
    static const char *const wrong[] = {"",
                                        "localhost",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:x",
                                        "127.0.0.1:65536",
                                        "1.2.3:80",
                                        "[::1:80",
                                        "unix:",
                                        "example.org:80",
                                        "127.0.0.1:-1",
                                        ":80",
                                        "127.0.0.1:80 "};
    size_t refused = 0, explained = 0, count = sizeof wrong / sizeof wrong[0];
    for (size_t i = 0; i < count; i++) {
        refused += neap_monitor_start(wrong[i]) == NEAP_EINVAL;
        explained += strstr(neap_monitor_error(), "written as 127.0.0.1:PORT") != NULL;
    }
    is_int(refused, count, "what is no address is refused");
    is_int(explained, count, "and the reason says how one is written");
    is_int(neap_monitor_start(NULL), NEAP_EINVAL, "NULL is no address");
    char long_path[300] = "unix:/";
    memset(long_path + 6, 'x', sizeof long_path - 7);
    is_int(neap_monitor_start(long_path), NEAP_EINVAL, "nor is a path that does not fit");
    is_int(neap_monitor_start("0.0.0.0:0"), NEAP_EINVAL, "other machines only with a token");
    ok(strstr(neap_monitor_error(), "NEAP_MONITOR_TOKEN") != NULL, "which the reason says");
    is_int(neap_monitor_start("[::]:0"), NEAP_EINVAL, "by IPv6 too");
    is_int(neap_monitor_start_with_token("127.0.0.1:0", ""), NEAP_EINVAL,
           "an empty token is refused");
    char address[10] = "?";
    is_int(neap_monitor_address(address, sizeof address), 0, "nothing is served after that");
    ok(address[0] == '\0', "at no address");
}

static void test_states(void)
{
    neap_monitor_stop();
    is_int(neap_monitor_start("localhost:0"), NEAP_OK, "localhost is an address");
    is_int(neap_monitor_error()[0], 0, "and no error is left");
    char address[100], tiny[5];
    size_t length = neap_monitor_address(address, sizeof address);
    ok(strncmp(address, "127.0.0.1:", 10) == 0 && length == strlen(address) && port_of() != 0,
       "it tells the port it took");
    is_int(neap_monitor_address(tiny, sizeof tiny), (long long)length,
           "the length is told where it does not fit");
    is_int(strlen(tiny), 4, "and what fits is stored");
    ok(answers(NULL, port_of()), "it answers");
    is_int(neap_monitor_start("127.0.0.1:0"), NEAP_ESTATE, "a second one is refused");
    ok(strstr(neap_monitor_error(), "already") != NULL, "with a reason");
    unsigned port = port_of();
    neap_monitor_stop();
    neap_monitor_stop();
    ok(!answers(NULL, port), "stopped, nobody answers");
}

static void test_port_taken(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t bytes = sizeof in;
    char address[100];
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&in, &bytes) != 0)
        bail("no port");
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)ntohs(in.sin_port));
    int before = open_files();
    errno = 4321;
    is_int(neap_monitor_start(address), NEAP_EIO, "a port that is taken is refused");
    is_int(errno, 4321, "errno is as it was");
    ok(strstr(neap_monitor_error(), address) != NULL &&
           strstr(neap_monitor_error(), strerror(EADDRINUSE)) != NULL,
       "the reason names the address and says that it is in use");
    is_int(open_files(), before, "no file is left open");
    close(fd);
    is_int(neap_monitor_start(address), NEAP_OK, "free again, it can be had");
    neap_monitor_stop();
}

static void test_unix_socket(void)
{
    char folder[] = "/tmp/neap-monitor-test-XXXXXX", address[100];
    struct stat status;
    if (mkdtemp(folder) == NULL)
        bail("no folder");
    snprintf(address, sizeof address, "unix:%s/socket", folder);
    const char *path = address + 5;
    is_int(neap_monitor_start(address), NEAP_OK, "a unix socket");
    ok(answers(path, 0), "answers");
    ok(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600, "and is its owner's alone");
    neap_monitor_stop();
    ok(stat(path, &status) != 0, "stopped, its file is gone");

    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ok(bind(fd, (struct sockaddr *)&un, sizeof un) == 0 && listen(fd, 1) == 0,
       "somebody else listens there");
    is_int(neap_monitor_start(address), NEAP_EIO, "then it is taken");
    ok(stat(path, &status) == 0, "and stays theirs");
    close(fd);
    is_int(neap_monitor_start(address), NEAP_OK, "what a crash left behind is replaced");
    neap_monitor_stop();

    FILE *file = fopen(path, "w");
    if (file != NULL)
        fclose(file);
    is_int(neap_monitor_start(address), NEAP_EIO, "a file that is no socket is not");
    ok(stat(path, &status) == 0 && S_ISREG(status.st_mode), "and stays");
    unlink(path);
    rmdir(folder);
}

static void test_failures(void)
{
    int before = open_files();
    no_threads = true;
    is_int(neap_monitor_start_with_token("127.0.0.1:0", "secret"), NEAP_ENOMEM, "without threads");
    no_threads = false;
    ok(strstr(neap_monitor_error(), "threads") != NULL, "the reason says so");
    is_int(open_files(), before, "no file is left open");
    is_int(neap_monitor_start("127.0.0.1:0"), NEAP_OK, "later it starts");
    no_threads = true;
    unsigned port = port_of();
    ok(!answers(NULL, port), "a connection without a thread is closed");
    no_threads = false;
    ok(answers(NULL, port), "the next one is served");
    neap_monitor_stop();
    is_int(open_files(), before, "stopped, no file is left open");
}

int main(void)
{
    plan_lazy();
    unsetenv("NEAP_MONITOR_TOKEN");
    if (neap_init(NULL) != NEAP_OK)
        bail("neap_init");
    test_addresses();
    test_states();
    test_port_taken();
    test_unix_socket();
    test_failures();
    is_int((long long)neap_shutdown(NULL), 0, "nothing is left");
    return done();
}
