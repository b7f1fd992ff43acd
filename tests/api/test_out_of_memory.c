/* SPDX-License-Identifier: MIT
 *
 * Every allocation of a mixed program fails once, the first in the first run, the second in the
 * second, and so on until a run has fewer allocations than that: those of the start and of the end,
 * of metadata, threads and address space included. Then many fail at random. Each run goes on with
 * what it has, as programs do, and ends with nothing alive: no failure loses a reference, a block
 * or a thread. Under AddressSanitizer nothing of the C library's is left either.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <neap/neap.h>

#include "tests/tap.h"

enum { MOST_RUNS = 20000, LINKS = 20 };

struct link {
    struct link *next, *other;
    struct neap_weak *weak;
};
static void link_finalize(void *self)
{
    (void)self;
}
NEAP_DEFINE_TYPE(link, (next, NEAP_ATOMIC(other), weak), .finalize = link_finalize);

struct row {
    char text[40];
    struct link *cells[];
};
NEAP_DEFINE_TYPE(row, (NEAP_TRAILING(cells)));

static int failures;    /* what the run saw refused */
static uint64_t faults; /* what was refused in it, seen or not */
static int callbacks;   /* that ran, of weak references and cleanups */
static int registered;  /* that must run */

static void *had(void *memory)
{
    failures += memory == NULL;
    return memory;
}

static void count_weak(struct neap_weak *weak, void *arg)
{
    (void)weak;
    (void)arg;
    callbacks++;
}

static void count_cleanup(void *arg)
{
    (void)arg;
    callbacks++;
}

/* A ring as long as memory allowed, each link watched. */
static void make_ring(void)
{
    struct link *first = had(neap_new(link));
    if (first == NULL)
        return;
    neap_set(&first->next, first);
    for (int i = 0; i < LINKS; i++) {
        struct link *link = had(neap_new(link));
        if (link == NULL)
            continue;
        neap_give(&link->next, neap_take(&first->next));
        neap_store(&link->other, first);
        neap_give(&link->weak, had(neap_weak_new(first)));
        if (neap_cleanup_add(link, count_cleanup, NULL) == NEAP_OK)
            registered++;
        else
            failures++;
        neap_give(&first->next, link);
    }
    neap_release(first);
}

static void watch_with_callback(void)
{
    struct link *link = had(neap_new(link));
    struct neap_weak *weak = link != NULL ? had(neap_weak_new_with(link, count_weak, NULL)) : NULL;
    registered += weak != NULL;
    neap_release(link);
    if (weak != NULL && neap_weak_get(weak) != NULL)
        bail("a weak reference gave out a dead object");
    neap_release(weak);
}

static void make_sizes(void)
{
    struct row *row = had(neap_new_extra(row, 100000 * sizeof(struct link *)));
    struct link *several = had(neap_new_array(link, 7));
    if (row != NULL)
        neap_set(&row->cells[99999], several);
    neap_release(several);
    char *block = had(neap_alloc(300)), *big = had(neap_alloc(70000));
    char *bigger = had(neap_realloc(block, 90000));
    if (bigger == NULL)
        neap_free(block);
    else
        memset(bigger, 1, 90000);
    neap_free(bigger);
    neap_free(big);
    neap_free(had(neap_calloc(10, 100)));
    neap_free(had(neap_aligned_alloc(4096, 5000)));
    neap_release(row);
}

static void *work(void *shared)
{
    make_ring();
    make_sizes();
    neap_release(shared);
    return NULL;
}

static void use_thread(void)
{
    struct link *shared = had(neap_new(link));
    pthread_t thread;
    if (neap_thread_create(&thread, "worker", work, neap_retain(shared)) == NEAP_OK) {
        if (neap_thread_join(thread, NULL) != NEAP_OK)
            bail("the worker cannot be joined");
    } else {
        failures++;
        neap_release(shared);
    }
    if (shared != NULL && neap_defer(shared) != NEAP_OK)
        failures++;
    neap_release(shared);
}

static void note_faults(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    faults = stats.injected_faults;
}

/* What is still alive at the end of a run with those faults. */
static size_t run(uint64_t nth, uint64_t one_in, uint64_t seed)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.fail_nth = nth;
    options.fail_one_in = one_in;
    options.fail_seed = seed;
    options.threshold_young = 10;
    failures = callbacks = registered = 0;
    int status = neap_init(&options);
    note_faults();
    if (status != NEAP_OK) {
        failures += status == NEAP_ENOMEM;
        return status == NEAP_ENOMEM ? 0 : SIZE_MAX;
    }
    errno = 1234;
    make_ring();
    watch_with_callback();
    make_sizes();
    if (errno != 1234)
        bail("errno was changed in run %llu", (unsigned long long)nth);
    use_thread();
    struct neap_leaks *leaks = NULL;
    size_t alive = neap_shutdown(&leaks);
    note_faults();
    if (alive != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    return alive;
}

static void test_each(void)
{
    enum { UNTOUCHED = 3 }; /* threads share the count: once may be chance */
    int refused = 0, hit = 0, untouched = 0;
    uint64_t nth = 0;
    size_t alive = 0;
    bool called_back = true;
    while (alive == 0 && called_back && untouched < UNTOUCHED && nth < MOST_RUNS) {
        alive = run(++nth, 0, 0);
        refused += failures > 0;
        hit += faults > 0;
        untouched = faults == 0 ? untouched + 1 : 0;
        called_back = callbacks == registered;
    }
    diag("%llu runs, %d with an allocation that failed, %d of them refused something",
         (unsigned long long)nth, hit, refused);
    is_int(alive, 0, "run %llu ends with nothing alive", (unsigned long long)nth);
    is_int(callbacks, registered, "what was registered was called, each once");
    ok(refused > 50 && hit > refused, "%d runs had an allocation that failed", hit);
    is_int(untouched, UNTOUCHED, "the last was untouched: each has failed once");
}

static void test_random(void)
{
    enum { RUNS = 200 };
    size_t alive = 0;
    int started = 0;
    uint64_t most = 0;
    bool called_back = true;
    for (uint64_t seed = 1; seed <= RUNS && alive == 0 && called_back; seed++) {
        alive = run(0, 20 + seed, seed);
        started += registered > 0;
        called_back = callbacks == registered;
        most = faults > most ? faults : most;
    }
    is_int(alive, 0, "with one allocation in 20 to 220 failing, nothing stays alive");
    is_int(callbacks, registered, "what was registered was called, each once");
    ok(started > RUNS / 4, "%d runs of %d came through the start", started, RUNS);
    ok(most > 5, "one had %llu failures", (unsigned long long)most);
}

int main(void)
{
    plan(10);
    is_int(run(0, 0, 0), 0, "with all the memory it wants, the program ends with nothing alive");
    is_int(failures, 0, "and is refused nothing");
    test_each();
    test_random();
    return done();
}
