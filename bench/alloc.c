/* SPDX-License-Identifier: MIT
 *
 * What does a block cost: allocated, touched, freed?
 *
 * Models: temporaries (lifo: each block is freed before the next is made), a batch of work whose
 * results are freed in any order (batch_1000), a big long-lived heap in which one entry at a time
 * is replaced (replace_1m: a cache), and a pipeline whose consumer frees what its producer
 * allocated (pipeline). Sizes are 48 bytes, or a fixed random sequence of 16 to 512 ("mixed"). Each
 * block's first word is written. The objects row asks what a 24-byte object costs from birth to
 * death against calloc and free of the same struct.
 *
 * Peers: glibc, jemalloc, mimalloc, tcmalloc, all Debian's, all called through a pointer (peers.h).
 * Every peer runs with its own defaults.
 *
 * Leaves out: sizes over 512 bytes, realloc, alignment, fragmentation over hours, more than two
 * threads (workloads.c has some of it).
 *
 * Reading: nanoseconds per alloc+free pair, per thread. peak_rss_kib is the most that was resident
 * beyond what the process held before its first allocation from the peer; it means something in a
 * process of the peer's own, which is how bench/run-bench runs this. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/neap.h>

#include "bench/alloc_objects.h"
#include "bench/measure.h"
#include "bench/peers.h"
#include "bench/ring.h"
#include "bench/shim.h"

enum { BURST = 8000000, IDLE_MS = 200 }; /* 2 GiB; twice the default decay_ms */
enum { BATCH = 1024, SIZES = 4096, SMALL = 48, MANY = 1000, LIVE = 1000000 };

/* What a row does with the peer; bytes is 0 for mixed sizes. */
struct row {
    const char *name;
    void (*run)(struct bench_state *state, const void *row_of_peer);
    uint32_t bytes;
    int threads;
    int64_t
        iterations; /* 0: by time. Fixed where the set-up would be repeated to find out how many */
};
struct row_of_peer {
    const struct row *row;
    struct bench_allocator *peer;
};

static uint32_t sizes[SIZES];      /* 16 ... 512 */
static uint32_t free_order[MANY];  /* a random permutation */
static uint64_t resident_at_start; /* KiB, before any peer */

static const char *prepare(const void *arg)
{
    const struct row_of_peer *one = arg;
    return bench_allocator_load(one->peer);
}

static inline uint32_t size_at(const struct row *row, uint64_t i)
{
    return row->bytes != 0 ? row->bytes : sizes[i % SIZES];
}

static inline void *make(const struct bench_allocator *peer, size_t bytes)
{
    void *block = peer->alloc(bytes);
    *(volatile uint64_t *)block = bytes;
    return block;
}

static void tell_memory(struct bench_state *state)
{
    if (bench_thread(state) == 0)
        bench_counter(state, "peak_rss_kib", (double)(bench_peak_kib() - resident_at_start),
                      BENCH_SUM);
}

static void run_lifo(struct bench_state *state, const void *arg)
{
    const struct row_of_peer *one = arg;
    const struct bench_allocator peer = *one->peer;
    const struct row row = *one->row;
    uint64_t next = (uint64_t)bench_thread(state) * 97;
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++)
            peer.free(make(&peer, size_at(&row, next++)));
    }
    tell_memory(state);
}

static void run_batch(struct bench_state *state, const void *arg)
{
    const struct row_of_peer *one = arg;
    const struct bench_allocator peer = *one->peer;
    const struct row row = *one->row;
    void *blocks[MANY];
    uint64_t next = (uint64_t)bench_thread(state) * 97;
    while (bench_keep_running(state, MANY)) {
        for (int i = 0; i < MANY; i++)
            blocks[i] = make(&peer, size_at(&row, next++));
        for (int i = 0; i < MANY; i++)
            peer.free(blocks[free_order[i]]);
    }
    tell_memory(state);
}

static void run_replace(struct bench_state *state, const void *arg)
{
    const struct row_of_peer *one = arg;
    const struct bench_allocator peer = *one->peer;
    const struct row row = *one->row;
    void **live = malloc(LIVE * sizeof *live);
    uint64_t seed = 3, next = 0;
    if (live == NULL)
        abort();
    for (int i = 0; i < LIVE; i++)
        live[i] = make(&peer, size_at(&row, next++));
    next = bench_random(&seed); /* the sizes that follow are not those that the slots had */
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            uint32_t victim = bench_random_below(&seed, LIVE);
            peer.free(live[victim]);
            live[victim] = make(&peer, size_at(&row, next + bench_random(&seed)));
        }
    }
    tell_memory(state);
    for (int i = 0; i < LIVE; i++)
        peer.free(live[i]);
    free(live);
}

static int count_maps(void)
{
    int lines = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    for (int c; file != NULL && (c = getc(file)) != EOF;)
        lines += c == '\n';
    if (file != NULL)
        fclose(file);
    return lines;
}

/* 2 GiB of blocks, all freed, then nobody calls anything for twice decay_ms. */
static void run_burst(struct bench_state *state, const void *arg)
{
    const struct row_of_peer *one = arg;
    const struct bench_allocator peer = *one->peer;
    const struct row row = *one->row;
    void **blocks = malloc(BURST * sizeof *blocks);
    if (blocks == NULL)
        abort();
    memset(blocks, 1, BURST * sizeof *blocks); /* 0 would be a calloc, and not resident */
    uint64_t before = bench_resident_kib();
    while (bench_keep_running(state, BURST)) {
        for (int i = 0; i < BURST; i++) {
            blocks[i] = peer.alloc(size_at(&row, (uint64_t)i));
            memset(blocks[i], 1, size_at(&row, (uint64_t)i));
        }
        for (int i = 0; i < BURST; i++)
            peer.free(blocks[i]);
    }
    usleep(IDLE_MS * 1000);
    uint64_t later = bench_resident_kib();
    bench_counter(state, "idle_rss_kib", later > before ? (double)(later - before) : 0, BENCH_SUM);
    bench_counter(state, "maps", count_maps(), BENCH_SUM);
    tell_memory(state);
    free(blocks);
}

static struct bench_ring ring;

static void run_pipeline(struct bench_state *state, const void *arg)
{
    const struct row_of_peer *one = arg;
    const struct bench_allocator peer = *one->peer;
    const struct row row = *one->row;
    bool producer = bench_thread(state) == 0, attached = peer.alloc == neap_alloc;
    uint64_t *mine = producer ? &ring.put : &ring.taken;
    uint64_t at = bench_ring_at(mine);
    while (bench_keep_running(state, BATCH)) {
        for (int hands = 0; hands < BATCH / BENCH_HAND; hands++) {
            uint64_t end = at + BENCH_HAND;
            if (producer) {
                bench_ring_wait_room(&ring, at, attached);
                for (; at < end; at++)
                    ring.entries[at % BENCH_RING] = make(&peer, size_at(&row, at));
            } else {
                bench_ring_wait_full(&ring, at, attached);
                for (; at < end; at++)
                    peer.free(ring.entries[at % BENCH_RING]);
            }
            bench_ring_done(mine, at);
            if (attached)
                neap_safepoint();
        }
    }
    tell_memory(state);
}

static const struct row rows[] = {
    {"lifo_48", run_lifo, SMALL, 1, 0},          {"lifo_mixed", run_lifo, 0, 1, 0},
    {"batch_1000_48", run_batch, SMALL, 1, 0},   {"batch_1000_mixed", run_batch, 0, 1, 0},
    {"burst_2g", run_burst, 0, 1, BURST},        {"replace_1m", run_replace, 0, 1, 3000000},
    {"lifo_mixed_2_threads", run_lifo, 0, 2, 0}, {"batch_1000_mixed_2_threads", run_batch, 0, 2, 0},
    {"pipeline_mixed", run_pipeline, 0, 2, 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

int main(int argc, char **argv)
{
    static struct row_of_peer table[ROWS][BENCH_ALLOCATORS];
    bench_peers_prepare(argv);
    uint64_t seed = 1;
    for (int i = 0; i < SIZES; i++)
        sizes[i] = 16 + bench_random_below(&seed, 497);
    bench_shuffle(free_order, MANY, 2);
    for (int r = 0; r < ROWS; r++)
        for (int p = 0; p < BENCH_ALLOCATORS; p++) {
            char name[128] = "alloc/";
            table[r][p] = (struct row_of_peer){&rows[r], &bench_allocators[p]};
            strcat(strcat(strcat(name, rows[r].name), "/"), bench_allocators[p].name);
            bench_add(&(struct bench_case){.name = name,
                                           .run = rows[r].run,
                                           .arg = &table[r][p],
                                           .prepare = prepare,
                                           .threads = rows[r].threads,
                                           .iterations = rows[r].iterations,
                                           .attached = p == 0});
        }
    alloc_objects_add();
    alloc_objects_add_inline();
    alloc_objects_add_peers();
    resident_at_start = bench_resident_kib();
    return bench_main(argc, argv);
}
