/* SPDX-License-Identifier: MIT
 *
 * How soon does memory come back whose owner sleeps?
 *
 * Models: a thread fills a cache with 1 GiB of 256-byte objects (a quarter of that in the row
 * cache_256m) and then waits in read(2) for a request that does not come; another thread drops the
 * cache. Biased counting makes the sleeping owner responsible for the counts; a runtime that waits
 * for it keeps everything.
 *
 * Peers: the same blocks from each malloc, freed by the other thread while the owner sleeps. A
 * malloc may keep freed memory for reuse: resident_kib_later says what is left after two seconds in
 * which nobody calls.
 *
 * Leaves out: owners that run, and those that have exited.
 *
 * Reading: time is nanoseconds per object dropped. back_ms: from the last drop's return until 95 %
 * of the memory that the cache had taken is back with the system; 2000 means never within the two
 * seconds. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/neap.h>

#include "bench/measure.h"
#include "bench/peers.h"
#include "bench/shim.h"

enum { BLOCK = 256, HEADER = 16, WAIT_MS = 2000 };

struct entry {
    char payload[BLOCK - HEADER];
};
NEAP_DEFINE_TYPE(entry, ());

struct plan {
    struct bench_allocator *peer;
    int64_t entries;
};

/* The cache and the way to its owner. `filled` is written by the owner before it tells main by a
 * byte. */
struct cache {
    const struct plan *plan;
    void **entries;
    int ask[2], told[2]; /* pipes: end, filled */
};

static const char *prepare(const void *arg)
{
    const struct plan *plan = arg;
    return bench_allocator_load(plan->peer);
}

static bool is_neap(const struct plan *plan)
{
    return plan->peer->alloc == neap_alloc;
}

static void *run_owner(void *arg)
{
    struct cache *cache = arg;
    const struct plan *plan = cache->plan;
    char byte = 0;
    for (int64_t i = 0; i < plan->entries; i++) {
        void *entry = is_neap(plan) ? neap_new(entry) : plan->peer->alloc(BLOCK - HEADER);
        if (entry == NULL)
            abort();
        memset(entry, 1, BLOCK - HEADER);
        cache->entries[i] = entry;
    }
    if (write(cache->told[1], &byte, 1) != 1)
        abort();
    ssize_t length =
        is_neap(plan) ? NEAP_BLOCKED(read(cache->ask[0], &byte, 1)) : read(cache->ask[0], &byte, 1);
    if (length != 1)
        abort();
    return NULL;
}

static void sleep_1_ms(bool attached)
{
    if (attached)
        (void)NEAP_BLOCKED(usleep(1000));
    else
        usleep(1000);
}

static void run(struct bench_state *state, const void *arg)
{
    const struct plan *plan = arg;
    bool attached = is_neap(plan);
    struct cache cache = {.plan = plan};
    pthread_t owner;
    char byte = 0;
    cache.entries = malloc((size_t)plan->entries * sizeof *cache.entries);
    if (cache.entries == NULL || pipe(cache.ask) != 0 || pipe(cache.told) != 0)
        abort();
    memset(cache.entries, 0, (size_t)plan->entries * sizeof *cache.entries);
    uint64_t before = bench_resident_kib();
    int failed = attached ? neap_thread_create(&owner, "owner", run_owner, &cache)
                          : pthread_create(&owner, NULL, run_owner, &cache);
    if (failed != 0)
        abort();
    ssize_t length =
        attached ? NEAP_BLOCKED(read(cache.told[0], &byte, 1)) : read(cache.told[0], &byte, 1);
    if (length != 1)
        abort();
    sleep_1_ms(attached); /* the owner reaches its read */
    uint64_t filled = bench_resident_kib();
    while (bench_keep_running(state, plan->entries)) {
        for (int64_t i = 0; i < plan->entries; i++) {
            if (attached) {
                neap_release(cache.entries[i]);
                if (i % 256 == 0)
                    neap_safepoint();
            } else {
                plan->peer->free(cache.entries[i]);
            }
        }
    }
    uint64_t enough = before + (filled - before) / 20, began = bench_now_ns(), waited_ms = 0;
    while (bench_resident_kib() > enough && waited_ms < WAIT_MS) {
        sleep_1_ms(attached);
        waited_ms = (bench_now_ns() - began) / 1000000;
    }
    while (bench_now_ns() - began < (uint64_t)WAIT_MS * 1000000)
        sleep_1_ms(attached);
    bench_counter(state, "back_ms", (double)waited_ms, BENCH_SUM);
    bench_counter(state, "resident_kib_filled", (double)(filled - before), BENCH_SUM);
    uint64_t later = bench_resident_kib();
    bench_counter(state, "resident_kib_later", later > before ? (double)(later - before) : 0,
                  BENCH_SUM);
    if (write(cache.ask[1], &byte, 1) != 1)
        abort();
    if (attached)
        neap_thread_join(owner, NULL);
    else
        pthread_join(owner, NULL);
    for (int i = 0; i < 2; i++) {
        close(cache.ask[i]);
        close(cache.told[i]);
    }
    free(cache.entries);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int64_t entries;
    } rows[] = {{"blocked/cache_256m/", (256 << 20) / BLOCK},
                {"blocked/cache_1g/", (1 << 30) / BLOCK}};
    static struct plan plans[2][BENCH_ALLOCATORS];
    bench_peers_prepare(argv);
    for (int row = 0; row < 2; row++)
        for (int p = 0; p < BENCH_ALLOCATORS; p++) {
            char name[128];
            plans[row][p] = (struct plan){&bench_allocators[p], rows[row].entries};
            strcat(strcpy(name, rows[row].name), bench_allocators[p].name);
            bench_add(&(struct bench_case){.name = name,
                                           .run = run,
                                           .arg = &plans[row][p],
                                           .prepare = prepare,
                                           .attached = p == 0,
                                           .iterations = rows[row].entries});
        }
    return bench_main(argc, argv);
}
