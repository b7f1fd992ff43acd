/* SPDX-License-Identifier: MIT
 *
 * neap-stress: threads that do to neap what programs do, at random, while an oracle keeps the truth
 * (oracle.h). Built on the public interface alone.
 *
 *     neap-stress [--seconds N] [--threads N] [--seed S] [--mix NAME] [--round MS] [--perturb N]
 *                 [--fail-one-in N] [--standstill SECONDS]
 *
 * Ends with a line of figures per mix, or at the first lie with its story. Work goes in rounds; at
 * the end of each the workers wait and everything is compared. Every fourth round they drop all
 * they hold and leave; others take their places. With --fail-one-in one of so many requests of neap
 * for memory is refused: whoever asked goes without or asks again, and all else must stay true. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/random.h"
#include "tools/stress/actions.h"
#include "tools/stress/story.h"
#include "tools/stress/verify.h"

enum { MOST_THREADS = 64, ROUNDS_OF_A_LIFE = 4, FEW_RECORDS = 20000 };

static struct {
    double seconds;
    unsigned threads, round_ms, standstill;
    uint64_t perturb, fail_one_in;
    const char *mix, *without;
    char repeat[400];
} wanted = {.seconds = 30, .threads = 6, .round_ms = 150, .standstill = 90, .perturb = 20};

static struct worker workers[MOST_THREADS];
static const struct mix *mix;
static pthread_barrier_t barrier;
static atomic_bool round_over, drop_all;
static atomic_ulong round_number;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void meet(void)
{
    NEAP_BLOCKING
    {
        pthread_barrier_wait(&barrier);
    }
}

/* ---- workers ---- */

static void work_round(struct worker *worker)
{
    worker->random = stress_seed ^ (atomic_load(&round_number) << 32) ^
                     (uint64_t)(worker->index + 1) * 0x9E3779B97F4A7C15u;
    for (unsigned i = 0; !atomic_load_explicit(&round_over, memory_order_relaxed); i++) {
        act(worker, mix);
        if (i % 64 == 0)
            neap_safepoint();
    }
    if (atomic_load(&drop_all))
        worker_drop(worker);
    for (unsigned i = 0; i < 100; i++)
        neap_safepoint(); /* what budgets left over */
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    story_thread(worker->index + 1);
    for (unsigned i = 0; i < ROUNDS_OF_A_LIFE; i++) {
        meet();
        work_round(worker);
        ids_give_back();
        meet();
        meet(); /* the coordinator has looked */
    }
    return NULL;
}

/* ---- the coordinator ---- */

static void let_work(double end)
{
    struct timespec step = {0, 5000000};
    while (now() < end && records_free() > FEW_RECORDS)
        NEAP_BLOCKED(nanosleep(&step, NULL));
}

static void life(double end)
{
    pthread_t threads[MOST_THREADS];
    for (unsigned i = 0; i < wanted.threads; i++) {
        int status;
        while (refused(status = neap_thread_create(&threads[i], "worker", work, &workers[i])))
            ;
        if (status != NEAP_OK)
            story_lie(0, 0, "no thread: %s", neap_strerror(status));
    }
    for (unsigned i = 0; i < ROUNDS_OF_A_LIFE; i++) {
        bool last = i + 1 == ROUNDS_OF_A_LIFE;
        atomic_store(&round_over, false);
        atomic_store(&drop_all, last);
        atomic_fetch_add(&round_number, 1);
        meet();
        double round_end = now() + wanted.round_ms / 1000.0;
        let_work(round_end < end ? round_end : end);
        atomic_store(&round_over, true);
        meet();
        verify_quiet(workers, wanted.threads, false);
        meet();
    }
    for (unsigned i = 0; i < wanted.threads; i++)
        (void)neap_thread_join(threads[i], NULL);
    actions_drop();
    verify_quiet(workers, 0, true);
}

static uint64_t collections(void)
{
    uint64_t sum = 0;
    for (int generation = 0; generation < 3; generation++) {
        struct neap_gc_stats stats;
        if (neap_gc_get_stats(generation, &stats) == NEAP_OK)
            sum += stats.collections;
    }
    return sum;
}

static uint64_t refusals(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.injected_faults;
}

static void start_runtime(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.perturb = wanted.perturb == 0 ? 0 : stress_seed << 32 | wanted.perturb;
    options.fail_one_in = wanted.fail_one_in;
    options.fail_seed = stress_seed;
    if (stress_seed % 4 == 0) /* much is left over, also by threads that go to sleep */
        options.release_budget = 1 + stress_seed / 4 % 8;
    stress_refused = wanted.fail_one_in != 0;
    int status;
    while (refused(status = neap_init(&options)))
        options.fail_seed++;                            /* the same seed is refused the same */
    if (status == NEAP_EINVAL && wanted.perturb != 0) { /* this build has no points to perturb */
        wanted.perturb = options.perturb = 0;
        status = neap_init(&options);
    }
    if (status != NEAP_OK) {
        fprintf(stderr, "neap-stress: neap_init: %s\n", neap_strerror(status));
        exit(2);
    }
}

static void run_mix(double seconds)
{
    double start = now(), end = start + seconds;
    uint64_t done = 0, collected;
    unsigned long looks = atomic_load(&verify_looks), died = atomic_load(&disposals);
    start_runtime();
    stress_revives = mix->revives;
    for (unsigned i = 0; i < wanted.threads; i++)
        workers[i] = (struct worker){.index = i};
    actions_begin();
    verify_begin();
    while (now() < end)
        life(end);
    for (unsigned i = 0; i < wanted.threads; i++)
        done += workers[i].done;
    collected = collections();
    actions_end();
    verify_quiet(workers, 0, false);
    containers_end();
    uint64_t refused_count = refusals();
    struct neap_leaks *leaks = NULL;
    size_t alive = neap_shutdown(&leaks);
    if (alive != 0) {
        neap_leaks_print(leaks, stderr);
        story_lie(0, 0, "neap_shutdown: %zu objects are alive", alive);
    }
    neap_leaks_free(leaks);
    records_forget();
    double took = now() - start;
    printf("%-17s %u threads, %.1f s, %" PRIu64 " actions (%.0f/s), %" PRIu64
           " collections, %lu disposals, %" PRIu64 " refusals, %lu looks, no lie\n",
           mix->name, wanted.threads, took, done, (double)done / took, collected,
           atomic_load(&disposals) - died, refused_count, atomic_load(&verify_looks) - looks);
    fflush(stdout);
}

/* ---- a standstill is a lie too ---- */

static void *watch(void *unused)
{
    (void)unused;
    uint64_t before = 0;
    for (unsigned still = 0; still < wanted.standstill;) {
        sleep(1);
        uint64_t count = story_count() + atomic_load(&verify_looks);
        still = count == before ? still + 1 : 0;
        before = count;
    }
    story_standstill(wanted.standstill);
}

/* ---- arguments ---- */

static _Noreturn void usage(const char *complaint)
{
    fprintf(stderr,
            "neap-stress: %s\n"
            "usage: neap-stress [--seconds N] [--threads N] [--seed S] [--mix NAME]\n"
            "                   [--round MS] [--perturb PER_MILLE] [--without ACTION,...]\n"
            "                   [--fail-one-in N] [--standstill SECONDS]\nmixes:\n",
            complaint);
    for (const struct mix *one = mixes; one->name != NULL; one++)
        fprintf(stderr, "  %-18s%s\n", one->name, one->what);
    exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        usage("a number is missing or out of range");
    return value;
}

static void read_arguments(int count, char **arguments)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    stress_seed = ((uint64_t)time.tv_sec ^ ((uint64_t)time.tv_nsec << 20)) % 1000000007;
    for (int i = 1; i < count; i += 2) {
        const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(name, "--seconds") == 0)
            wanted.seconds = (double)number(value, 1, 1000000);
        else if (strcmp(name, "--threads") == 0)
            wanted.threads = (unsigned)number(value, 1, MOST_THREADS);
        else if (strcmp(name, "--seed") == 0)
            stress_seed = number(value, 0, UINT64_MAX);
        else if (strcmp(name, "--round") == 0)
            wanted.round_ms = (unsigned)number(value, 1, 600000);
        else if (strcmp(name, "--standstill") == 0)
            wanted.standstill = (unsigned)number(value, 1, 3600);
        else if (strcmp(name, "--perturb") == 0)
            wanted.perturb = number(value, 0, 1000);
        else if (strcmp(name, "--fail-one-in") == 0)
            wanted.fail_one_in = number(value, 0, UINT64_MAX);
        else if (strcmp(name, "--mix") == 0 && mix_named(value) != NULL)
            wanted.mix = value;
        else if (strcmp(name, "--without") == 0 && actions_leave_out(value))
            wanted.without = value;
        else
            usage("no such argument, mix or action");
    }
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    printf("seed %" PRIu64 "\n", stress_seed);
    fflush(stdout);
    const char *options = getenv("NEAP_OPTIONS");
    snprintf(wanted.repeat, sizeof wanted.repeat,
             "%s%s%s%s --seed %" PRIu64 " --threads %u --round %u --perturb %" PRIu64
             " --fail-one-in %" PRIu64 "%s%s --mix ",
             options != NULL ? "NEAP_OPTIONS=" : "", options != NULL ? options : "",
             options != NULL ? " " : "", arguments[0], stress_seed, wanted.threads, wanted.round_ms,
             wanted.perturb, wanted.fail_one_in, wanted.without != NULL ? " --without " : "",
             wanted.without != NULL ? wanted.without : "");
    size_t fixed = strlen(wanted.repeat);
    story_begin(wanted.repeat);
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch, NULL) != 0 ||
        pthread_barrier_init(&barrier, NULL, wanted.threads + 1) != 0)
        usage("no threads");
    oracle_begin();
    unsigned mixes_run = 0, mix_count = 0;
    for (const struct mix *one = mixes; one->name != NULL; one++)
        mix_count += wanted.mix == NULL || strcmp(wanted.mix, one->name) == 0;
    for (mix = mixes; mix->name != NULL; mix++) {
        if (wanted.mix != NULL && strcmp(wanted.mix, mix->name) != 0)
            continue;
        snprintf(wanted.repeat + fixed, sizeof wanted.repeat - fixed, "%s", mix->name);
        run_mix(wanted.seconds / mix_count);
        mixes_run++;
    }
    printf("%u passed, 0 failed\n", mixes_run);
    return 0;
}
