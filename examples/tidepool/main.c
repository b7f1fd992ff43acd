/* SPDX-License-Identifier: MIT
 *
 * tidepool: an in-memory server that speaks the Redis protocol, all of its data neap objects. To
 * read it as an example of neap: loop.h (threads and waiting), value.h and list.h (objects and
 * slots), keyspace.h (objects under locks), command.c (what one request does), and here the
 * beginning and the end.
 *
 * The end in order: the loops close their connections and end; the keyspace is dropped; neap is
 * shut down, which counts what is left over. Nothing may be. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/neap.h>
#ifdef TIDEPOOL_MONITOR
#    include <neap/monitor.h>
#endif

#include "command.h"
#include "graveyard.h"
#include "info.h"
#include "keyspace.h"
#include "loop.h"
#include "memory.h"
#include "pubsub.h"
#include "settings.h"
#include "slowlog.h"
#include "watch.h"

enum exit_status { EXIT_NOT_STARTED = 1, EXIT_BAD_FLAG = 2, EXIT_LEAKED = 3 };

/* ---- signals ---- */

static void on_signal(int number)
{
    (void)number;
    server_stop();
}

static sigset_t end_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

/* The first SIGTERM or SIGINT asks for the end, and any further one finds the same handler: the end
 * drops millions of objects, and nobody's impatience may leave a unix socket or half a report
 * behind (SIGKILL still can). Not by uv_signal_t, whose handle the end closes, and with it the
 * handler. The main thread alone hears them, so that the handler never runs beside server_close:
 * all other threads are started before listen_to_signals or by a thread that hears nothing. */
static void hold_signals(void)
{
    sigset_t signals = end_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void listen_to_signals(void)
{
    sigset_t signals = end_signals();
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* ---- seeing inside ---- */

static bool start_monitor(void)
{
    const char *address = server.settings.monitor;
    if (address == NULL)
        return true;
#ifdef TIDEPOOL_MONITOR
    if (neap_monitor_start(address) == NEAP_OK) {
        neap_monitor_address(server.monitor, sizeof server.monitor);
        return true;
    }
    fprintf(stderr, "tidepool: cannot start the monitor: %s\n", neap_monitor_error());
#else
    fprintf(stderr, "tidepool: --monitor %s: built without libneap-monitor\n", address);
#endif
    return false;
}

static void stop_watching(void)
{
#ifdef TIDEPOOL_MONITOR
    neap_monitor_stop();
#endif
    (void)neap_timeline_stop(); /* of a client's, if there is one */
}

static bool start_watching(void)
{
    uint64_t bytes = server.settings.trace_bytes;
    int status = bytes == 0 ? NEAP_OK : neap_trace_start(8, (size_t)bytes);
    if (status != NEAP_OK)
        fprintf(stderr, "tidepool: cannot trace allocations: %s\n", neap_strerror(status));
    return status == NEAP_OK && start_monitor();
}

/* ---- the end ---- */

static int write_report(const struct info_report *report, size_t leaked)
{
    const char *path = server.settings.stats_path;
    if (path == NULL)
        return 0;
    FILE *out = fopen(path, "we");
    int status = out == NULL ? -1 : info_report_write(report, leaked, out);
    if (out != NULL && fclose(out) != 0)
        status = -1;
    if (status != 0)
        fprintf(stderr, "tidepool: cannot write %s: %s\n", path, strerror(errno));
    return status;
}

/* Lets everything die that was dropped. The library's own thread has its share in that: it is given
 * time, as long as there is something left, up to a second. */
static void settle(void)
{
    graveyard_settle();
    for (int i = 0; i < 1000 && info_alive().objects > 0; i++) {
        NEAP_BLOCKED(usleep(1000));
        graveyard_settle();
    }
}

/* Ends neap and tells what was left over. */
static size_t shut_down(void)
{
    struct neap_leaks *leaks = NULL;
    size_t leaked = neap_shutdown(&leaks);
    if (leaked != 0) {
        fprintf(stderr, "tidepool: %zu objects were left over:\n", leaked);
        neap_leaks_print(leaks, stderr);
    }
    neap_leaks_free(leaks);
    return leaked;
}

int main(int count, char **argument)
{
    switch (settings_parse(&server.settings, count, argument)) {
    case SETTINGS_DONE:
        return 0;
    case SETTINGS_BAD:
        return EXIT_BAD_FLAG;
    case SETTINGS_RUN:
        break;
    }
    hold_signals();
    int status = neap_init(NULL);
    if (status != NEAP_OK) {
        fprintf(stderr, "tidepool: cannot start neap: %s\n", neap_strerror(status));
        return EXIT_NOT_STARTED;
    }
    command_init();
    memory_set_limit(server.settings.memory_bytes);
    status = keyspace_init();
    if (status != 0) {
        fprintf(stderr, "tidepool: cannot make the keyspace: %s\n", strerror(status));
        return EXIT_NOT_STARTED;
    }
    if (!start_watching())
        return EXIT_NOT_STARTED;
    if (!server_open()) {
        stop_watching();
        return EXIT_NOT_STARTED;
    }
    bool ran = server_run(listen_to_signals);
    stop_watching();

    struct info_report report = {.keys = 0};
    info_report_gather(&report);
    server_drop_mail();
    pubsub_fini();
    watch_fini();
    slowlog_fini();
    keyspace_fini();
    settle();
    report.dropped = info_alive();
    /* neap's helper may be freeing a part of it */
    for (int tries = 0; report.dropped.objects > 0 && tries < 200; tries++) {
        (void)NEAP_BLOCKED(usleep(5000));
        graveyard_settle();
        report.dropped = info_alive();
    }
    size_t leaked = shut_down();
    int written = write_report(&report, leaked);
    server_close();
    if (leaked != 0)
        return EXIT_LEAKED;
    return ran && written == 0 ? 0 : EXIT_NOT_STARTED;
}
