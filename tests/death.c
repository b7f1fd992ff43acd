/* SPDX-License-Identifier: MIT
 *
 * The child's standard error is a pipe that the parent reads to its end; the child has a clock of
 * its own (alarm), so that misuse which hangs instead of dying is told from misuse which dies. */
#include "tests/death.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 60 };

static _Noreturn void be_the_child(int error_fd, void (*run)(void *), void *arg)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0); /* a core_pattern that is a pipe ignores the limit */
    signal(SIGALRM, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    alarm(LIMIT_SECONDS);
    dup2(error_fd, STDERR_FILENO);
    run(arg);
    _exit(0);
}

/* Reads all of fd; keeps what fits into text and its NUL. */
static void read_to_end(int fd, char *text, size_t bytes)
{
    char rest[512];
    size_t used = 0;
    for (;;) {
        bool full = used == bytes - 1;
        ssize_t got = full ? read(fd, rest, sizeof rest) : read(fd, text + used, bytes - 1 - used);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        if (got > 0 && !full)
            used += (size_t)got;
    }
    text[used] = '\0';
}

static void describe_end(int status, char *text, size_t bytes)
{
    if (WIFSIGNALED(status))
        snprintf(text, bytes, "died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, bytes, "ended with status %d", WEXITSTATUS(status));
}

bool death_check(const char *file, int line, const char *text, void (*run)(void *), void *arg,
                 const char *message, const char *name, ...)
{
    char full_name[256], said[4096], end[128];
    va_list args;
    va_start(args, name);
    vsnprintf(full_name, sizeof full_name, name, args);
    va_end(args);

    int ends[2];
    if (pipe(ends) != 0)
        bail("pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        bail("fork: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        be_the_child(ends[1], run, arg);
    }
    close(ends[1]);
    read_to_end(ends[0], said, sizeof said);
    close(ends[0]);
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            bail("waitpid: %s", strerror(errno));

    bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    bool told = strstr(said, message) != NULL;
    tap_ok(file, line, text, aborted && told, "%s", full_name);
    if (!aborted || !told) {
        describe_end(status, end, sizeof end);
        diag("  the child %s\n  wanted on standard error: %s\n  found there:\n%s", end, message,
             said);
    }
    return aborted && told;
}
