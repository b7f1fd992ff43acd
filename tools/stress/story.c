/* SPDX-License-Identifier: MIT
 *
 * Rings are written by one thread each, but for ring 0, whose writers take places by a counter. The
 * reader is the liar's finder, while the others run on: it may miss or mix the newest events of
 * theirs, which are not those that led to the lie. */
#include "tools/stress/story.h"

#include <dirent.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    RING = 1 << 13,
    TOLD = 60,
    LAST_OWN = 12,
    FRAMES = 48,
    CHILD_LIED = 7,
    CHILD_SECONDS = 60 /* a child needs milliseconds */
};

struct event {
    _Atomic uint64_t when;
    const char *_Atomic what;
    _Atomic uint32_t a, b;
};

static struct ring {
    _Atomic uint64_t count;
    struct event events[RING];
} rings[STORY_THREADS];

static __thread unsigned own_ring;
static const char *repeat_line;
static bool in_child;
static atomic_flag telling = ATOMIC_FLAG_INIT;

static uint64_t now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
#endif
}

void story_thread(unsigned index)
{
    own_ring = index % STORY_THREADS;
}

void story_note(const char *what, uint32_t a, uint32_t b)
{
    struct ring *ring = &rings[own_ring];
    uint64_t place;
    if (own_ring == 0) {
        place = atomic_fetch_add_explicit(&ring->count, 1, memory_order_relaxed);
    } else {
        place = atomic_load_explicit(&ring->count, memory_order_relaxed);
        atomic_store_explicit(&ring->count, place + 1, memory_order_relaxed);
    }
    struct event *event = &ring->events[place % RING];
    atomic_store_explicit(&event->when, now(), memory_order_relaxed);
    atomic_store_explicit(&event->what, what, memory_order_relaxed);
    atomic_store_explicit(&event->a, a, memory_order_relaxed);
    atomic_store_explicit(&event->b, b, memory_order_relaxed);
}

uint64_t story_count(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < STORY_THREADS; i++)
        sum += atomic_load_explicit(&rings[i].count, memory_order_relaxed);
    return sum;
}

/* ---- where threads are ---- */

/* One lie is told; who finds another meanwhile waits for the end. */
static void claim_telling(void)
{
    while (atomic_flag_test_and_set(&telling))
        pause();
}

static _Atomic unsigned stacks_told;
static _Atomic pid_t children[STORY_THREADS]; /* of each thread; 0: none */

static void tell_stack(const char *whose)
{
    void *frames[FRAMES];
    int count = backtrace(frames, FRAMES);
    dprintf(STDERR_FILENO, "%s %ld is at\n", whose, (long)syscall(SYS_gettid));
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

static void on_stack_wanted(int signal_number)
{
    (void)signal_number;
    tell_stack("thread");
    atomic_fetch_add(&stacks_told, 1);
}

static void on_child_late(int signal_number)
{
    (void)signal_number;
    tell_stack("LIE: a forked child is not done: its thread");
    _exit(CHILD_LIED);
}

/* A child tells its own; then nobody waits for it any more. */
static void tell_children(void)
{
    for (unsigned i = 0; i < STORY_THREADS; i++) {
        pid_t child = atomic_load(&children[i]);
        if (child > 0 && kill(child, SIGUSR1) == 0) {
            sleep(1);
            (void)kill(child, SIGKILL);
        }
    }
}

/* One after the other; those that block all signals, the library's own, say nothing. */
static void tell_stacks(void)
{
    struct timespec step = {0, 10000000};
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        long id = strtol(entry->d_name, NULL, 10);
        unsigned told = atomic_load(&stacks_told);
        if (id <= 0 || syscall(SYS_tgkill, getpid(), id, SIGUSR1) != 0)
            continue;
        for (unsigned i = 0; i < 20 && atomic_load(&stacks_told) == told; i++)
            nanosleep(&step, NULL);
    }
    if (tasks != NULL)
        closedir(tasks);
}

void story_child(pid_t child)
{
    atomic_store(&children[own_ring], child);
}

void story_in_child(void)
{
    in_child = true;
    signal(SIGALRM, on_child_late);
    alarm(CHILD_SECONDS);
}

struct told {
    uint64_t when;
    unsigned thread;
    const struct event *event;
};

static int by_time(const void *left, const void *right)
{
    const struct told *a = left, *b = right;
    return a->when < b->when ? -1 : a->when > b->when;
}

static bool is_about(const struct event *event, uint32_t id)
{
    return id != 0 && (event->a == id || event->b == id);
}

/* All events about a or b, and the last few of this thread. */
static size_t select_events(uint32_t a, uint32_t b, struct told *told)
{
    size_t found = 0;
    for (unsigned i = 0; i < STORY_THREADS; i++) {
        uint64_t count = rings[i].count, first = count > RING ? count - RING : 0;
        for (uint64_t place = first; place < count; place++) {
            const struct event *event = &rings[i].events[place % RING];
            bool own = i == own_ring && count - place <= LAST_OWN;
            if (event->what != NULL && (own || is_about(event, a) || is_about(event, b)))
                told[found++] = (struct told){event->when, i, event};
        }
    }
    qsort(told, found, sizeof *told, by_time);
    return found;
}

static void tell(uint32_t a, uint32_t b)
{
    struct told *told = malloc(sizeof *told * STORY_THREADS * RING);
    if (told == NULL)
        return;
    size_t found = select_events(a, b, told), first = found > TOLD ? found - TOLD : 0;
    fprintf(stderr, "story (thread: event of objects), the last %zu of %zu events:\n",
            found - first, found);
    for (size_t i = first; i < found; i++)
        fprintf(stderr, "  %2u: %s %u %u\n", told[i].thread, told[i].event->what, told[i].event->a,
                told[i].event->b);
    free(told);
}

static _Noreturn void end(uint32_t a, uint32_t b)
{
    tell(a, b);
    fprintf(stderr, "again: %s\n", repeat_line);
    _exit(1);
}

_Noreturn void story_lie(uint32_t a, uint32_t b, const char *format, ...)
{
    if (in_child)
        _exit(CHILD_LIED);
    claim_telling();
    va_list args;
    va_start(args, format);
    fprintf(stderr, "LIE: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    end(a, b);
}

_Noreturn void story_standstill(unsigned seconds)
{
    tell_stacks();
    claim_telling(); /* before the children's parents say how they ended */
    tell_children();
    fprintf(stderr, "LIE: nothing has happened for %u seconds\n", seconds);
    end(0, 0);
}

/* The process is lost: what stdio and malloc may do to it no longer matters, and an alarm ends it
 * if they hang. */
static void on_crash(int signal_number)
{
    if (in_child)
        _exit(CHILD_LIED);
    if (atomic_flag_test_and_set(&telling))
        _exit(1);
    signal(SIGALRM, SIG_DFL);
    alarm(10);
    struct ring *ring = &rings[own_ring];
    const struct event *last = &ring->events[(ring->count - 1) % RING];
    fprintf(stderr, "LIE: the library ended the process: %s\n",
            signal_number == SIGABRT ? "panic" : strsignal(signal_number));
    end(last->a, last->b);
}

void story_begin(const char *repeat)
{
    repeat_line = repeat;
    void *frame;
    (void)backtrace(&frame, 1); /* loads what it needs before it is called in a handler */
    signal(SIGUSR1, on_stack_wanted);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGABRT, &action, NULL);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
#endif
}
