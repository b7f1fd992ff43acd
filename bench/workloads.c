/* SPDX-License-Identifier: MIT
 *
 * The workloads by which allocators are compared in the literature, written anew from their
 * descriptions.
 *
 * Models, each with 2 and 4 threads on whatever cores there are:
 *
 *   larson         a server whose threads come and go: a thread replaces random blocks of the
 *                  thousand that its predecessor left, 20,000 times, and ends; the next one goes
 *                  on with what it left (Larson and Krishnan, 1998)
 *   xmalloc        half of the threads allocate, in lists of 128, the others free what they get
 *                  (Lever and Boreham, 2000, asymmetric)
 *   cache_scratch  each thread frees a block that the first thread made, takes a small block of
 *                  its own and writes to it often: an allocator that gives two threads the same
 *                  cache line makes them slow (Berger et al., 2000)
 *   mstress        threads keep a working set of skewed sizes (most below 512 bytes, some to
 *                  32 KiB) and swap blocks with each other at random
 *   random_sizes   each thread allocates and frees 16 to 8,000 bytes at random, one block in
 *                  eight through another thread
 *
 * Peers: glibc, jemalloc, mimalloc, tcmalloc, through pointers (peers.h).
 *
 * Leaves out: the original programs' exact parameters; compare these figures with each other only.
 *
 * Reading: nanoseconds per block allocated and freed (cache_scratch: with 64 writes), per thread;
 * with four threads on two cores that includes the waiting. peak_rss_kib as in alloc.c. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "bench/measure.h"
#include "bench/peers.h"
#include "bench/shim.h"

enum { MOST_THREADS = 4, SLOTS = 1000, LIST = 128, SHARED = 256, QUEUE = 16 };

static uint64_t resident_at_start; /* KiB */

static const char *prepare(const void *arg)
{
    struct bench_allocator *peer =
        bench_allocator_named(((const struct bench_allocator *)arg)->name);
    return bench_allocator_load(peer);
}

static bool is_neap(const struct bench_allocator *peer)
{
    return peer->alloc == neap_alloc;
}

static void poll_if(bool attached)
{
    if (attached)
        neap_safepoint();
}

/* First and last word are written: the block must be there, all of it. */
static void *make(const struct bench_allocator *peer, size_t bytes)
{
    char *block = peer->alloc(bytes);
    if (block == NULL)
        abort();
    block[0] = 1;
    block[bytes - 1] = 1;
    return block;
}

static void tell_memory(struct bench_state *state)
{
    if (bench_thread(state) == 0)
        bench_counter(state, "peak_rss_kib", (double)(bench_peak_kib() - resident_at_start),
                      BENCH_SUM);
}

/* ---- larson ---- */

enum { LARSON_ROUND = 20000 };

struct larson {
    const struct bench_allocator *peer;
    void *blocks[SLOTS];
    uint64_t seed;
};

static void *run_larson_worker(void *arg)
{
    struct larson *work = arg;
    const struct bench_allocator peer = *work->peer;
    for (int i = 0; i < LARSON_ROUND; i++) {
        uint32_t victim = bench_random_below(&work->seed, SLOTS);
        peer.free(work->blocks[victim]);
        work->blocks[victim] = make(&peer, 16 + bench_random_below(&work->seed, 497));
    }
    return NULL;
}

static void run_larson(struct bench_state *state, const void *arg)
{
    static struct larson works[MOST_THREADS];
    struct larson *work = &works[bench_thread(state)];
    *work = (struct larson){.peer = arg, .seed = (uint64_t)bench_thread(state) + 7};
    bool attached = is_neap(work->peer);
    while (bench_keep_running(state, LARSON_ROUND)) {
        pthread_t thread;
        int failed = attached ? neap_thread_create(&thread, "larson", run_larson_worker, work)
                              : pthread_create(&thread, NULL, run_larson_worker, work);
        if (failed != 0)
            abort();
        if (attached)
            neap_thread_join(thread, NULL);
        else
            pthread_join(thread, NULL);
    }
    tell_memory(state);
    for (int i = 0; i < SLOTS; i++)
        work->peer->free(work->blocks[i]);
}

/* ---- xmalloc ---- */

struct list {
    void *blocks[LIST];
};

static struct {
    pthread_mutex_t lock;
    struct list *lists[QUEUE]; /* (L) */
    int count;                 /* (L) */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Puts *list or takes one into it; false when there is no room, or none. */
static bool exchange_list(bool put, struct list **list)
{
    bool done = false;
    pthread_mutex_lock(&queue.lock);
    if (put && queue.count < QUEUE) {
        queue.lists[queue.count++] = *list;
        done = true;
    } else if (!put && queue.count > 0) {
        *list = queue.lists[--queue.count];
        done = true;
    }
    pthread_mutex_unlock(&queue.lock);
    return done;
}

static void run_xmalloc(struct bench_state *state, const void *arg)
{
    const struct bench_allocator peer = *(const struct bench_allocator *)arg;
    bool producer = bench_thread(state) % 2 == 0, attached = is_neap(arg);
    uint64_t seed = (uint64_t)bench_thread(state) + 11;
    while (bench_keep_running(state, LIST)) {
        struct list *list = NULL;
        if (producer) {
            list = make(&peer, sizeof *list);
            for (int i = 0; i < LIST; i++)
                list->blocks[i] = make(&peer, 16 + bench_random_below(&seed, 241));
        }
        while (!exchange_list(producer, &list)) {
            poll_if(attached);
            sched_yield();
        }
        if (!producer) {
            for (int i = 0; i < LIST; i++)
                peer.free(list->blocks[i]);
            peer.free(list);
        }
        poll_if(attached);
    }
    tell_memory(state);
}

/* ---- cache_scratch ---- */

static void run_cache_scratch(struct bench_state *state, const void *arg)
{
    enum { BATCH = 256, WRITES = 64, BYTES = 8 };
    static void *given[MOST_THREADS];
    const struct bench_allocator peer = *(const struct bench_allocator *)arg;
    bool attached = is_neap(arg);
    if (bench_thread(state) == 0)
        for (int i = 0; i < bench_threads(state); i++)
            given[i] = make(&peer, BYTES);
    bool first = true;
    while (bench_keep_running(state, BATCH)) {
        if (first)
            peer.free(given[bench_thread(state)]);
        first = false;
        for (int i = 0; i < BATCH; i++) {
            volatile char *block = make(&peer, BYTES);
            for (int j = 0; j < WRITES; j++)
                block[j % BYTES] = (char)(block[j % BYTES] + 1);
            peer.free((void *)(uintptr_t)block);
        }
        poll_if(attached);
    }
    tell_memory(state);
}

/* ---- mstress and random_sizes: a working set per thread, blocks swapped through a shared table
 * ---- */

static void *shared_blocks[SHARED]; /* (x) exchanged: who gets a block frees it */

/* Most blocks small; one in 16 up to 4 KiB, one in 256 up to 32 KiB. */
static size_t skewed_size(uint64_t *seed)
{
    uint64_t dice = bench_random(seed) % 256;
    return 16 + bench_random_below(seed, dice == 0 ? 32768 : dice < 16 ? 4096 : 497);
}

static size_t even_size(uint64_t *seed)
{
    return 16 + bench_random_below(seed, 7985);
}

static void run_swapping(struct bench_state *state, const struct bench_allocator *given,
                         size_t (*size_of)(uint64_t *seed), unsigned swap_one_in)
{
    enum { BATCH = 256 };
    const struct bench_allocator peer = *given;
    bool attached = is_neap(given);
    void *mine[SLOTS] = {NULL};
    uint64_t seed = (uint64_t)bench_thread(state) + 13;
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            void **slot = &mine[bench_random_below(&seed, SLOTS)];
            if (bench_random(&seed) % swap_one_in == 0) {
                /* acquire and release: the block's content goes with it */
                *slot = __atomic_exchange_n(&shared_blocks[bench_random_below(&seed, SHARED)],
                                            *slot, __ATOMIC_ACQ_REL);
            }
            peer.free(*slot);
            *slot = make(&peer, size_of(&seed));
        }
        poll_if(attached);
    }
    tell_memory(state);
    for (int i = 0; i < SLOTS; i++)
        peer.free(mine[i]);
    if (bench_thread(state) != 0)
        return;
    for (int i = 0; i < SHARED; i++) /* after the end barrier: nobody swaps any more */
        peer.free(__atomic_exchange_n(&shared_blocks[i], NULL, __ATOMIC_ACQ_REL));
}

static void run_mstress(struct bench_state *state, const void *arg)
{
    run_swapping(state, arg, skewed_size, 16);
}

static void run_random_sizes(struct bench_state *state, const void *arg)
{
    run_swapping(state, arg, even_size, 8);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct bench_state *state, const void *arg);
    } rows[] = {{"larson", run_larson},
                {"xmalloc", run_xmalloc},
                {"cache_scratch", run_cache_scratch},
                {"mstress", run_mstress},
                {"random_sizes", run_random_sizes}};
    bench_peers_prepare(argv);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (int threads = 2; threads <= MOST_THREADS; threads += 2)
            for (int p = 0; p < BENCH_ALLOCATORS; p++) {
                char name[128] = "workloads/";
                strcat(strcat(name, rows[row].name), threads == 2 ? "_2/" : "_4/");
                strcat(name, bench_allocators[p].name);
                bench_add(&(struct bench_case){.name = name,
                                               .run = rows[row].run,
                                               .arg = &bench_allocators[p],
                                               .prepare = prepare,
                                               .threads = threads,
                                               .attached = p == 0,
                                               .process_time = rows[row].run == run_larson});
            }
    resident_at_start = bench_resident_kib();
    return bench_main(argc, argv);
}
