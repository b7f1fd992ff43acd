/* SPDX-License-Identifier: MIT
 *
 * What does a runtime cost a program that does nothing?
 *
 * Models:
 *
 *   start    a process from its start to its end, which starts the runtime, makes one object and
 *            ends: a command line tool, a test, a worker process
 *   idle     a process that has started, is attached, and waits for its input: a server at night.
 *            cpu_us_per_s and wakeups_per_s: processor time and voluntary context switches of all
 *            its threads per second; rss_kib: resident memory. The figure is cpu_us_per_s
 *
 * Peers: plain C (what any process costs here), libgc, CPython embedded, Go, Java, Nim: alone.c and
 * its kin. A peer that was not built is reported as missing.
 *
 * Leaves out: reading programs from a cold disk; idleness after a load (half a second passes before
 * idle is measured, and nothing was done before that).
 *
 * Reading: start is nanoseconds per process and holds the kernel's part, which the row of plain C
 * shows. Wake-ups cost more than their processor time: they keep a processor from deep sleep. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/shim.h"

extern char **environ;

static char folder[PATH_MAX - 64]; /* of this program: the peers are beside it */

static const char *const peers[] = {"c", "neap", "boehm", "python", "go", "java", "nim"};

struct child {
    pid_t pid;
    int input, output; /* of the child: our ends; -1: none */
};

static const char *peer_path(const char *peer)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/alone_%s", folder, peer);
    return path;
}

static const char *prepare(const void *peer)
{
    return access(peer_path(peer), X_OK) == 0 ? NULL : "missing: not built";
}

/* idle: with an argument, so that it waits, and with pipes. */
static bool start_child(struct child *child, const char *peer, bool idle)
{
    char name[] = "alone", word[] = "idle", *arguments[] = {name, idle ? word : NULL, NULL};
    int input[2] = {-1, -1}, output[2] = {-1, -1};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    bool ready = !idle || (pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0 &&
                           posix_spawn_file_actions_adddup2(&actions, input[0], 0) == 0 &&
                           posix_spawn_file_actions_adddup2(&actions, output[1], 1) == 0);
    const char *path = peer_path(peer);
    ready = ready && posix_spawn(&child->pid, path, &actions, NULL, arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    if (idle) {
        close(input[0]);
        close(output[1]);
    }
    child->input = input[1];
    child->output = output[0];
    return ready;
}

static bool end_child(struct child *child)
{
    int status;
    if (child->input >= 0) {
        close(child->input);
        close(child->output);
    }
    while (waitpid(child->pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void run_start(struct bench_state *state, const void *peer)
{
    while (bench_keep_running(state, 1)) {
        struct child child;
        if (!start_child(&child, peer, false) || !end_child(&child))
            bench_skip(state, "the program failed");
    }
}

/* ---- idle ---- */

struct usage {
    uint64_t cpu_ns, wakeups, rss_kib;
};

static uint64_t number_after(const char *text, const char *word)
{
    const char *found = strstr(text, word);
    return found == NULL ? 0 : strtoull(found + strlen(word), NULL, 10);
}

static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* The sum over the threads that there are now. */
static bool look_at(pid_t pid, struct usage *usage)
{
    char path[64 + NAME_MAX], text[8192];
    struct dirent *entry;
    *usage = (struct usage){0};
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    bool known = tasks != NULL;
    while (known && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
        known = read_file(path, text, sizeof text);
        usage->cpu_ns += strtoull(text, NULL, 10);
        snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, entry->d_name);
        known = known && read_file(path, text, sizeof text);
        usage->wakeups += number_after(text, "\nvoluntary_ctxt_switches:");
        usage->rss_kib = number_after(text, "\nVmRSS:");
    }
    if (tasks != NULL)
        closedir(tasks);
    return known;
}

static void sleep_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static void run_idle(struct bench_state *state, const void *peer)
{
    enum { SETTLE_MS = 500, IDLE_MS = 2000 };
    while (bench_keep_running(state, 1)) {
        struct child child;
        struct usage before, after;
        char word[6];
        if (!start_child(&child, peer, true) || read(child.output, word, sizeof word) <= 0) {
            bench_skip(state, "the program failed");
            continue;
        }
        sleep_ms(SETTLE_MS);
        bool known = look_at(child.pid, &before);
        uint64_t began = bench_now_ns();
        sleep_ms(IDLE_MS);
        known = known && look_at(child.pid, &after);
        double seconds = (double)(bench_now_ns() - began) * 1e-9;
        if (!end_child(&child) || !known) {
            bench_skip(state, known ? "the program failed" : "no /proc/PID/task/TID/schedstat");
            continue;
        }
        bench_counter(state, "cpu_us_per_s",
                      (double)(after.cpu_ns - before.cpu_ns) * 1e-3 / seconds, BENCH_SUM);
        bench_counter(state, "wakeups_per_s", (double)(after.wakeups - before.wakeups) / seconds,
                      BENCH_SUM);
        bench_counter(state, "rss_kib", (double)after.rss_kib, BENCH_SUM);
    }
}

int main(int argc, char **argv)
{
    char *end;
    if (readlink("/proc/self/exe", folder, sizeof folder - 1) < 0 ||
        (end = strrchr(folder, '/')) == NULL) {
        perror("processes: /proc/self/exe");
        return 1;
    }
    *end = '\0';
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "processes/start/%s", peers[i]);
        bench_add(&(struct bench_case){
            .name = name, .run = run_start, .arg = peers[i], .prepare = prepare});
        snprintf(name, sizeof name, "processes/idle/%s", peers[i]);
        bench_add(&(struct bench_case){
            .name = name, .run = run_idle, .arg = peers[i], .prepare = prepare, .iterations = 1});
    }
    return bench_main(argc, argv);
}
