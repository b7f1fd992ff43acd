/* SPDX-License-Identifier: MIT
 *
 * The producer behind tap.h. State is one struct under one lock; text is formatted before the lock
 * is taken and leaves by one write(2), so that neither a crash nor a fork loses or repeats a line.
 *
 * Invariants: `made` numbers are given out once each, in the order of the lines; `failed <= made`;
 * between plan and done the exit handler turns an early exit into a failure.
 */
#include "tests/tap.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 1024, UNPLANNED = -1 };

enum phase { BEFORE_PLAN, PLANNED, DONE };

static struct {
    pthread_mutex_t lock;
    enum phase phase;          /* (L) */
    long planned;              /* (L) points, or UNPLANNED */
    long made, failed;         /* (L) */
    pid_t process;             /* (c) after plan: only this process answers for the plan */
    bool todo;                 /* (L) the next point carries todo_why */
    char todo_why[TEXT_BYTES]; /* (L) */
} tap = {.lock = PTHREAD_MUTEX_INITIALIZER, .planned = UNPLANNED};

static void write_all(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written <= 0)
            _exit(255); /* nobody can hear us: the status is all that is left */
        text += written;
        length -= (size_t)written;
    }
}

__attribute__((format(printf, 1, 2))) static void write_line(const char *format, ...)
{
    char line[3 * TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (length < 0)
        _exit(255);
    if ((size_t)length > sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length] = '\n';
    write_all(line, (size_t)length + 1);
}

/* Names stay on their line and cannot be read as a directive. */
static void format_name(char *name, const char *format, va_list args)
{
    char raw[TEXT_BYTES / 2];
    vsnprintf(raw, sizeof raw, format, args);
    for (const char *from = raw; *from != '\0'; from++) {
        if (*from == '#' || *from == '\\')
            *name++ = '\\';
        *name++ = *from == '\n' ? ' ' : *from;
    }
    *name = '\0';
}

/* One # line per line of text, so that nothing in it can be taken for a result. */
static void write_remark(const char *text)
{
    do {
        size_t length = strcspn(text, "\n");
        write_line("# %.*s", (int)length, text);
        text += length;
    } while (*text == '\n' && *++text != '\0');
}

static void refuse(const char *why)
{
    write_line("Bail out! tap: %s", why);
    _exit(255);
}

static void at_exit(void)
{
    if (getpid() != tap.process || tap.phase != PLANNED)
        return;
    write_remark("the program left before done()");
    _exit(1);
}

static void start(long planned)
{
    pthread_mutex_lock(&tap.lock);
    if (tap.phase != BEFORE_PLAN)
        refuse("a second plan");
    tap.phase = PLANNED;
    tap.planned = planned;
    tap.process = getpid();
    atexit(at_exit);
    write_line("TAP version 13");
    if (planned != UNPLANNED)
        write_line("1..%ld", planned);
    pthread_mutex_unlock(&tap.lock);
}

void tap_plan(unsigned count)
{
    if (count == 0)
        refuse("a plan of no points; say skip_all");
    start((long)count);
}

void tap_plan_lazy(void)
{
    start(UNPLANNED);
}

int tap_done(void)
{
    pthread_mutex_lock(&tap.lock);
    if (tap.phase != PLANNED)
        refuse(tap.phase == DONE ? "done twice" : "done without a plan");
    tap.phase = DONE;
    if (tap.planned == UNPLANNED)
        write_line("1..%ld", tap.made);
    bool wrong_count = tap.planned != UNPLANNED ? tap.planned != tap.made : tap.made == 0;
    if (wrong_count)
        write_line("# planned %ld points, made %ld", tap.planned == UNPLANNED ? 1 : tap.planned,
                   tap.made);
    if (tap.failed > 0)
        write_line("# %ld of %ld points failed", tap.failed, tap.made);
    bool failed = tap.failed > 0 || wrong_count;
    pthread_mutex_unlock(&tap.lock);
    return failed;
}

/* Makes the point and, for one that failed against expectation, the remark. Lock order: none other.
 */
static void make_point(const char *file, int line, bool passed, const char *name,
                       const char *remark)
{
    pthread_mutex_lock(&tap.lock);
    if (tap.phase != PLANNED)
        refuse(tap.phase == DONE ? "a point after done" : "a point without a plan");
    if (getpid() != tap.process)
        refuse("a point made by a forked child");
    bool expected_to_fail = tap.todo;
    write_line("%sok %ld - %s%s%s", passed ? "" : "not ", ++tap.made, name,
               expected_to_fail ? " # TODO " : "", expected_to_fail ? tap.todo_why : "");
    tap.todo = false;
    tap.failed += passed == expected_to_fail;
    if (!passed) {
        write_line("# %s, line %d:", file, line);
        write_remark(remark);
    } else if (expected_to_fail) {
        write_line("# %s, line %d: passed although expected to fail", file, line);
    }
    pthread_mutex_unlock(&tap.lock);
}

#define FORMAT_NAME(name, format) \
    do { \
        va_list args; \
        va_start(args, format); \
        format_name(name, format, args); \
        va_end(args); \
    } while (0)

bool tap_ok(const char *file, int line, const char *text, bool passed, const char *name, ...)
{
    char full_name[TEXT_BYTES], remark[TEXT_BYTES];
    FORMAT_NAME(full_name, name);
    snprintf(remark, sizeof remark, "  not true: %s", text);
    make_point(file, line, passed, full_name, remark);
    return passed;
}

bool tap_is_int(const char *file, int line, const char *text, intmax_t seen, intmax_t wanted,
                const char *name, ...)
{
    char full_name[TEXT_BYTES], remark[TEXT_BYTES];
    FORMAT_NAME(full_name, name);
    snprintf(remark, sizeof remark,
             "  %s\n  seen:   %" PRIdMAX " (0x%" PRIxMAX ")\n  wanted: %" PRIdMAX " (0x%" PRIxMAX
             ")",
             text, seen, (uintmax_t)seen, wanted, (uintmax_t)wanted);
    make_point(file, line, seen == wanted, full_name, remark);
    return seen == wanted;
}

bool tap_is_str(const char *file, int line, const char *text, const char *seen, const char *wanted,
                const char *name, ...)
{
    char full_name[TEXT_BYTES], remark[2 * TEXT_BYTES];
    FORMAT_NAME(full_name, name);
    snprintf(remark, sizeof remark, "  %s\n  seen:   %s%.800s%s\n  wanted: %s%.800s%s", text,
             seen ? "\"" : "", seen ? seen : "NULL", seen ? "\"" : "", wanted ? "\"" : "",
             wanted ? wanted : "NULL", wanted ? "\"" : "");
    bool same = seen == wanted || (seen != NULL && wanted != NULL && strcmp(seen, wanted) == 0);
    make_point(file, line, same, full_name, remark);
    return same;
}

bool tap_is_ptr(const char *file, int line, const char *text, const void *seen, const void *wanted,
                const char *name, ...)
{
    char full_name[TEXT_BYTES], remark[TEXT_BYTES];
    FORMAT_NAME(full_name, name);
    snprintf(remark, sizeof remark, "  %s\n  seen:   %p\n  wanted: %p", text, seen, wanted);
    make_point(file, line, seen == wanted, full_name, remark);
    return seen == wanted;
}

void tap_skip(unsigned count, const char *why, ...)
{
    char reason[TEXT_BYTES];
    FORMAT_NAME(reason, why);
    pthread_mutex_lock(&tap.lock);
    if (tap.phase != PLANNED)
        refuse("skip outside plan and done");
    while (count-- > 0)
        write_line("ok %ld # SKIP %s", ++tap.made, reason);
    pthread_mutex_unlock(&tap.lock);
}

void tap_skip_all(const char *why, ...)
{
    char reason[TEXT_BYTES];
    FORMAT_NAME(reason, why);
    pthread_mutex_lock(&tap.lock);
    if (tap.phase != BEFORE_PLAN)
        refuse("skip_all after plan");
    write_line("TAP version 13");
    write_line("1..0 # SKIP %s", reason);
    pthread_mutex_unlock(&tap.lock);
    exit(0);
}

void tap_todo(const char *why, ...)
{
    char reason[TEXT_BYTES];
    FORMAT_NAME(reason, why);
    pthread_mutex_lock(&tap.lock);
    memcpy(tap.todo_why, reason, sizeof reason);
    tap.todo = true;
    pthread_mutex_unlock(&tap.lock);
}

void tap_diag(const char *text, ...)
{
    char remark[2 * TEXT_BYTES];
    va_list args;
    va_start(args, text);
    vsnprintf(remark, sizeof remark, text, args);
    va_end(args);
    pthread_mutex_lock(&tap.lock);
    write_remark(remark);
    pthread_mutex_unlock(&tap.lock);
}

void tap_bail(const char *why, ...)
{
    char reason[TEXT_BYTES];
    FORMAT_NAME(reason, why);
    write_line("Bail out! %s", reason);
    _exit(255); /* not exit: destructors of a broken program may hang */
}
