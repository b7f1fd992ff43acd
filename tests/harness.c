/* SPDX-License-Identifier: MIT
 *
 * Built on the public interface alone. The storm is an attached thread that collects in a loop; it
 * polls nothing but the flag that ends it, since neap_collect is itself a quiescent point. */
#include "tests/harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <neap/neap.h>

enum { MOST_THREADS = 256 };

struct start {
    pthread_barrier_t *barrier;
    void (*run)(void *arg, unsigned index);
    void *arg;
    unsigned index;
};

static struct {
    pthread_t thread;
    bool running; /* (o) of the thread that called harness_begin */
    bool end;     /* (x) relaxed: only its value matters */
} harness;

static void *storm(void *arg)
{
    (void)arg;
    for (int i = 0; !__atomic_load_n(&harness.end, __ATOMIC_RELAXED); i++)
        if (neap_collect(i % 3) < 0)
            bail("the storm's neap_collect failed");
    return NULL;
}

void harness_begin(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.finalize_ms =
        0; /* however slow the test runs, pending user code is the test's to run */
    int status = neap_init(&options);
    if (status != NEAP_OK)
        bail("neap_init: %s", neap_strerror(status));
    const char *wanted = getenv("NEAP_TEST_STORM");
    if (wanted == NULL || strcmp(wanted, "1") != 0)
        return;
    __atomic_store_n(&harness.end, false, __ATOMIC_RELAXED);
    status = neap_thread_create(&harness.thread, "storm", storm, NULL);
    if (status != NEAP_OK)
        bail("neap_thread_create: %s", neap_strerror(status));
    harness.running = true;
}

static void show_leaks(const struct neap_leaks *leaks)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return;
    neap_leaks_print(leaks, out);
    fclose(out);
    diag("%s", text);
    free(text);
}

void harness_calm(void)
{
    if (!harness.running)
        return;
    __atomic_store_n(&harness.end, true, __ATOMIC_RELAXED);
    if (neap_thread_join(harness.thread, NULL) != NEAP_OK)
        bail("the storm cannot be joined");
    harness.running = false;
}

int harness_end(void)
{
    harness_calm();
    struct neap_leaks *leaks = NULL;
    size_t alive = neap_shutdown(&leaks);
    if (alive == SIZE_MAX)
        fail("no other thread is attached at the end");
    else if (!is_int(alive, 0, "nothing is alive at the end"))
        show_leaks(leaks);
    neap_leaks_free(leaks);
    return done();
}

static void *start_together(void *arg)
{
    struct start *start = arg;
    NEAP_BLOCKING
    {
        pthread_barrier_wait(start->barrier);
    }
    start->run(start->arg, start->index);
    return NULL;
}

bool harness_is_alone(void)
{
    uint64_t thresholds[3];
    neap_gc_get_threshold(thresholds);
    return !harness.running && thresholds[0] > 1;
}

static int64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

bool harness_await_that(bool (*holds)(void *arg), void *arg)
{
    enum { LIMIT_S = 60 };
    for (int64_t end = now_s() + LIMIT_S; !holds(arg);) {
        if (now_s() > end)
            return false;
        NEAP_BLOCKED(sched_yield());
        neap_safepoint();
    }
    return true;
}

struct awaited {
    const int *counter;
    int wanted;
};

static bool has_come(void *arg)
{
    const struct awaited *awaited = arg;
    return __atomic_load_n(awaited->counter, __ATOMIC_RELAXED) == awaited->wanted;
}

void harness_await(const int *counter, int wanted)
{
    (void)harness_await_that(has_come, &(struct awaited){counter, wanted});
}

void harness_run(unsigned count, void (*run)(void *arg, unsigned index), void *arg)
{
    pthread_t threads[MOST_THREADS];
    struct start starts[MOST_THREADS];
    pthread_barrier_t barrier;
    if (count == 0 || count > MOST_THREADS || pthread_barrier_init(&barrier, NULL, count) != 0)
        bail("harness_run of %u threads", count);
    for (unsigned i = 0; i < count; i++) {
        starts[i] = (struct start){&barrier, run, arg, i};
        int status = neap_thread_create(&threads[i], "test", start_together, &starts[i]);
        if (status != NEAP_OK)
            bail("neap_thread_create: %s", neap_strerror(status));
    }
    for (unsigned i = 0; i < count; i++)
        if (neap_thread_join(threads[i], NULL) != NEAP_OK)
            bail("thread %u cannot be joined", i);
    pthread_barrier_destroy(&barrier);
}
