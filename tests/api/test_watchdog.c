/* SPDX-License-Identifier: MIT
 *
 * Option safepoint_warn_ms: a thread that neither polls nor blocks is named on standard error, with
 * the file and line of its last poll and what is wrong with it; without the option nothing is
 * printed. A late thread is let go when its line has been read, so nothing here waits for a clock.
 * Beyond option deferred_limit whoever keeps dead objects from being freed is named as well. */
#include <neap/neap.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

static atomic_bool ready, finish;
static int poll_line, gate[2], errors[2], saved;
static sem_t lock;

struct leaflet {
    uint64_t number;
};
NEAP_DEFINE_TYPE(leaflet, (), .flags = NEAP_PEEKABLE);

struct board {
    struct leaflet *leaflet;
};
NEAP_DEFINE_TYPE(board, (NEAP_ATOMIC(leaflet)));

/* ---- ways to be late ---- */

static void compute(void)
{
    while (!atomic_load(&finish))
        ;
}

static void sleep_bare(void)
{
    char byte;
    if (read(gate[0], &byte, 1) != 1)
        bail("read");
}

static void lock_bare(void)
{
    sem_wait(&lock);
}

struct way {
    void (*be_late)(void);
    const char *remedy;
};

static void *poll_once(void *arg)
{
    poll_line = __LINE__ + 1;
    neap_safepoint();
    atomic_store(&ready, true);
    ((const struct way *)arg)->be_late();
    neap_safepoint();
    return NULL;
}

static void *poll_by_address(void *arg)
{
    void (*volatile poll)(void) = neap_safepoint;
    poll();
    atomic_store(&ready, true);
    ((const struct way *)arg)->be_late();
    neap_safepoint();
    return NULL;
}

static void *leave_region(void *arg)
{
    neap_safepoint();
    (void)NEAP_BLOCKED(usleep(1));
    atomic_store(&ready, true);
    ((const struct way *)arg)->be_late();
    neap_safepoint();
    return NULL;
}

static void *be_busy(void *arg)
{
    atomic_store(&ready, true);
    usleep(100000);
    return arg;
}

/* ---- what is printed ---- */

static char text[16384];

static void let_go(void)
{
    atomic_store(&finish, true);
    if (write(gate[1], "", 1) != 1)
        bail("write");
    sem_post(&lock);
}

/* Reads until a line has come, lets the late one go, and reads to the end. Not attached. */
static void *read_errors(void *unused)
{
    size_t length = 0;
    bool gone = false;
    for (ssize_t more = 1; more > 0; length += more > 0 ? (size_t)more : 0) {
        more = read(errors[0], text + length, sizeof text - 1 - length);
        if (!gone && (more <= 0 || memchr(text + length, '\n', (size_t)more) != NULL)) {
            gone = true;
            let_go();
        }
    }
    text[length] = '\0';
    return unused;
}

static void start(uint64_t warn_ms, bool backtrace, uint64_t deferred_limit)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.safepoint_warn_ms = warn_ms;
    options.safepoint_backtrace = backtrace;
    options.deferred_limit = deferred_limit;
    options.helper = 0;
    atomic_store(&ready, false);
    atomic_store(&finish, false);
    saved = dup(STDERR_FILENO);
    if (saved < 0 || sem_init(&lock, 0, 0) != 0 || pipe(errors) != 0 || pipe(gate) != 0 ||
        neap_init(&options) != NEAP_OK)
        bail("cannot begin");
    dup2(errors[1], STDERR_FILENO);
    close(errors[1]);
}

static uint64_t late_threads(void)
{
    struct neap_stop_stats stats;
    neap_stop_stats_get(NEAP_STOP_COLLECT, &stats);
    return stats.late_threads;
}

static void end(pthread_t reader)
{
    neap_shutdown(NULL);
    dup2(saved, STDERR_FILENO);
    pthread_join(reader, NULL);
    close(errors[0]);
    close(gate[0]);
    close(gate[1]);
    close(saved);
}

/* What a collection beside such a thread prints. */
static void catch_output(const struct way *way, void *(*run)(void *), bool backtrace)
{
    pthread_t late, reader;
    start(20, backtrace, 0);
    if (neap_thread_create(&late, "forgetful", run, (void *)(uintptr_t)way) != NEAP_OK ||
        pthread_create(&reader, NULL, read_errors, NULL) != 0)
        bail("no thread");
    while (!atomic_load(&ready))
        (void)NEAP_BLOCKED(usleep(100));
    neap_collect(0);
    neap_thread_join(late, NULL);
    end(reader);
}

/* What is printed of a thread that never is quiescent while others drop what it may be reading. */
enum { LEAFLETS = 1000 };
static void catch_laggard(const struct way *way, uint64_t limit)
{
    pthread_t late, reader;
    start(1, false, limit);
    if (neap_thread_create(&late, "reading", poll_once, (void *)(uintptr_t)way) != NEAP_OK ||
        pthread_create(&reader, NULL, read_errors, NULL) != 0)
        bail("no thread");
    while (!atomic_load(&ready))
        (void)NEAP_BLOCKED(usleep(100));
    struct board *board = neap_new(board);
    for (int i = 0; i < LEAFLETS; i++) {
        struct leaflet *leaflet = neap_new(leaflet);
        neap_store(&board->leaflet, leaflet);
        neap_release(leaflet);
        neap_safepoint();
    }
    struct neap_stats stats;
    neap_stats_get(&stats);
    if (limit > LEAFLETS * 64) { /* else the line lets it go */
        ok(stats.waiting_bytes >= (LEAFLETS - 1) * sizeof(struct leaflet),
           "what a reader may hold waits");
        let_go();
    }
    neap_release(board);
    neap_thread_join(late, NULL);
    end(reader);
}

static bool has(const char *what)
{
    return strstr(text, what) != NULL;
}

int main(void)
{
    static const struct way ways[] = {{compute, "neap_safepoint belongs"},
                                      {sleep_bare, "belongs in NEAP_BLOCKED"},
                                      {lock_bare, "It waits for a lock"}};
    char place[128];
    plan_lazy();
    unsetenv("NEAP_OPTIONS");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        uint64_t before = late_threads();
        catch_output(&ways[i], poll_once, false);
        ok(has("thread \"forgetful\" ("), "the thread is named");
        snprintf(place, sizeof place, "test_watchdog.c:%d (poll_once)", poll_line);
        ok(has(place), "with file, line and function of its last poll");
        ok(has(ways[i].remedy) || has("A mutex that is held"), "and the remedy");
        ok(late_threads() > before, "and counted");
        ok(!has("is back"), "no stack is printed unless asked for");
        diag("%s", text);
    }
    catch_output(&ways[0], poll_by_address, false);
    ok(has("addr2line -fe") && has("test_watchdog"), "a poll by address is found by addr2line");
    catch_output(&ways[0], leave_region, false);
    ok(has("addr2line -fe") && !has("(leave_region)"), "leaving a region is a poll too");
    catch_output(&ways[0], poll_once, true);
    const char *back = strstr(text, "is back; it came from\n  ");
    ok(back != NULL && strstr(back, "test_watchdog") != NULL,
       "the thread prints its stack when it is back, with safepoint_backtrace");
    diag("%s", text);
    catch_laggard(&ways[0], 8192);
    ok(has("thread \"reading\" (") && has("bytes of dead peekable objects wait for it"),
       "beyond deferred_limit the thread they wait for is named");
    diag("%s", text);
    catch_laggard(&ways[0], 1 << 20);
    ok(!has("wait for it"), "below it is not");
    start(0, false, 0);
    pthread_t thread;
    if (neap_thread_create(&thread, "busy", be_busy, NULL) != NEAP_OK)
        bail("no thread");
    while (!atomic_load(&ready))
        (void)NEAP_BLOCKED(usleep(100));
    neap_collect(0);
    neap_thread_join(thread, NULL);
    neap_shutdown(NULL);
    dup2(saved, STDERR_FILENO);
    is_int(read(errors[0], text, sizeof text), 0, "without the option nothing is printed");
    return done();
}
