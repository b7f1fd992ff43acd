/* SPDX-License-Identifier: MIT
 *
 * How many instructions do the fast paths take?
 *
 * Runs every case a fixed number of times and marks it for callgrind (valgrind --tool=callgrind),
 * which counts instructions exactly; bench/run-bench subtracts the row's empty loop and divides.
 * Not a timing: a locked instruction counts as one. Figures repeat to the digit, so that CI can
 * hold them.
 *
 *     instructions --list          the cases, question/row/peer; the peer "loop" is the row's loop
 *                                  without the work
 *     instructions CASE ...        runs these, prints "CASE operations" for each
 *
 * Peers and calls as in alloc.c and counting.c: allocators through a pointer, counting inline and
 * by call. Each case runs once before it is counted, so that caches are filled and lazily bound
 * symbols are bound.
 *
 * Leaves out: what an instruction costs: misses, locked ones, branches guessed wrong. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>
#include <valgrind/callgrind.h>

#include "bench/measure.h"
#include "bench/peers.h"
#include "bench/shim.h"

enum { OPERATIONS = 20000, MANY = 1000, SIZES = 4096 };

struct thing {
    int64_t payload[3];
};
NEAP_DEFINE_TYPE(thing, ());
struct pair {
    struct pair *left, *right;
    int64_t value;
};
NEAP_DEFINE_TYPE(pair, (left, right));
struct cell {
    struct thing *current;
};
NEAP_DEFINE_TYPE(cell, (NEAP_ATOMIC(current)));

static struct thing *thing;
static struct cell *cell;
static uint32_t sizes[SIZES], free_order[MANY];

/* One row's work with one peer; allocator is NULL for objects. */
struct work {
    const char *row, *peer;
    void (*run)(const struct bench_allocator *allocator);
};

static void retain_call(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++) {
        neap_object_retain(thing);
        neap_object_release(thing);
    }
}

static void retain_inline(const struct bench_allocator *unused)
{
    (void)unused;
    struct thing *mine = thing;
    for (int i = 0; i < OPERATIONS; i++) {
        bench_use(mine);
        neap_retain_inline(mine);
        bench_use(mine);
        neap_release_inline(mine);
    }
}

static void retain_loop(const struct bench_allocator *unused)
{
    (void)unused;
    struct thing *mine = thing;
    for (int i = 0; i < OPERATIONS; i++)
        bench_use(mine);
}

static void new_thing(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++)
        neap_object_release(neap_new(thing));
}

static void new_thing_inline(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++)
        neap_release_inline(neap_new_inline(&neap_typeof_thing, sizeof(struct thing), NEAP_HERE));
}

static void new_pair(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++)
        neap_object_release(neap_new(pair));
}

static void new_zeroed(const struct bench_allocator *peer)
{
    void *(*zeroed)(size_t count, size_t bytes) = peer->zeroed;
    void (*release)(void *block) = peer->free;
    for (int i = 0; i < OPERATIONS; i++)
        release(zeroed(1, sizeof(struct thing)));
}

static void load_release(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++)
        neap_object_release(neap_load(&cell->current));
}

static void safepoint(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++)
        neap_safepoint();
}

static void safepoint_inline(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++) {
        bench_use(thing);
        neap_safepoint_inline(NEAP_HERE);
    }
}

static void safepoint_loop(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++)
        bench_use(thing);
}

static void blocking(const struct bench_allocator *unused)
{
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++) {
        neap_blocking_enter();
        neap_blocking_leave();
    }
}

static void mutex_pair(const struct bench_allocator *unused)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    (void)unused;
    for (int i = 0; i < OPERATIONS; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
}

static void lifo_48(const struct bench_allocator *peer)
{
    void *(*alloc)(size_t bytes) = peer->alloc;
    void (*release)(void *block) = peer->free;
    for (int i = 0; i < OPERATIONS; i++) {
        void *block = alloc(48);
        *(volatile uint64_t *)block = 1;
        release(block);
    }
}

static void lifo_mixed(const struct bench_allocator *peer)
{
    void *(*alloc)(size_t bytes) = peer->alloc;
    void (*release)(void *block) = peer->free;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void *block = alloc(sizes[i % SIZES]);
        *(volatile uint64_t *)block = 1;
        release(block);
    }
}

static void batch_mixed(const struct bench_allocator *peer)
{
    void *blocks[MANY];
    for (unsigned round = 0; round < OPERATIONS / MANY; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            blocks[i] = peer->alloc(sizes[(round * MANY + i) % SIZES]);
            *(volatile uint64_t *)blocks[i] = 1;
        }
        for (int i = 0; i < MANY; i++)
            peer->free(blocks[free_order[i]]);
    }
}

static void *nothing_taken(size_t bytes)
{
    static uint64_t block;
    (void)bytes;
    return &block;
}

static void *nothing_zeroed(size_t count, size_t bytes)
{
    return nothing_taken(count * bytes);
}

static void nothing_freed(void *block)
{
    (void)block;
}

/* The rows' loops: an allocator that does nothing. Its few instructions are the price of the calls.
 */
static const struct bench_allocator loop = {
    .name = "loop", .alloc = nothing_taken, .zeroed = nothing_zeroed, .free = nothing_freed};

static const struct work objects[] = {
    {"retain_release", "neap", retain_call},
    {"retain_release", "neap_inline", retain_inline},
    {"retain_release", "loop", retain_loop},
    {"new_24", "neap", new_thing},
    {"new_24", "neap_inline", new_thing_inline},
    {"new_24_slots", "neap", new_pair},
    {"load_release", "neap", load_release},
    {"safepoint", "neap", safepoint},
    {"safepoint", "neap_inline", safepoint_inline},
    {"safepoint", "loop", safepoint_loop},
    {"blocking", "neap", blocking},
    {"blocking", "mutex", mutex_pair},
};
static const struct work blocks[] = {
    {"new_24", NULL, new_zeroed},
    {"alloc_48", NULL, lifo_48},
    {"alloc_mixed", NULL, lifo_mixed},
    {"alloc_batch_mixed", NULL, batch_mixed},
};

enum { OBJECTS = sizeof objects / sizeof objects[0], BLOCKS = sizeof blocks / sizeof blocks[0] };

static void count(const char *name, const struct work *work,
                  const struct bench_allocator *allocator)
{
    work->run(allocator);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    work->run(allocator);
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
    printf("%s %d\n", name, OPERATIONS);
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

static void offer(const struct work *work, struct bench_allocator *allocator, int argc, char **argv)
{
    char name[128];
    snprintf(name, sizeof name, "instructions/%s/%s", work->row,
             work->peer != NULL ? work->peer : allocator->name);
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        puts(name);
    else if (is_wanted(name, argc, argv) &&
             (allocator == NULL || bench_allocator_load(allocator) == NULL))
        count(name, work, allocator);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    struct bench_allocator empty = loop;
    bench_peers_prepare(argv);
    for (int i = 0; i < SIZES; i++)
        sizes[i] = 16 + bench_random_below(&seed, 497);
    bench_shuffle(free_order, MANY, 2);
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    thing = neap_new(thing);
    cell = neap_new(cell);
    neap_store(&cell->current, thing);
    for (int i = 0; i < OBJECTS; i++)
        offer(&objects[i], NULL, argc, argv);
    for (int i = 0; i < BLOCKS; i++) {
        offer(&blocks[i], &empty, argc, argv);
        for (int p = 0; p < BENCH_ALLOCATORS; p++)
            if (blocks[i].run != new_zeroed || p != 0) /* neap's new is an object's */
                offer(&blocks[i], &bench_allocators[p], argc, argv);
    }
    neap_release(cell);
    neap_release(thing);
    return neap_shutdown(NULL) != 0;
}
