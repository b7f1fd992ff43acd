/* SPDX-License-Identifier: MIT
 *
 * What threads cost each other: per operation, how many cache lines move between processors, how
 * many instructions lock a line, how many system calls wait or wake. docs/scaling.md reads it.
 *
 *     contention            counts, at 1, 2, 4, 8 and 16 threads; JSON
 *     contention --check    TAP: what an owner does alone moves and locks nothing
 *     contention_time       the same operations by the clock, at 1 and 2 threads; JSON
 *
 * To count, threads take turns, an operation each, so that two cores show what sixteen would share
 * and the figures repeat; one that waits for its turn polls, unseen. What operations do to each
 * other in their middle (a swap that fails and is tried again) is left out, and what the program
 * itself does to pass a pointer on. To time, they run freely, by their processor time. The helper
 * is off in both.
 *
 * The rows "owner" touch only what the thread made; "shared" what all read or count, "passed" what
 * goes from a thread to the next. "peer" is an atomic count, alone and by all. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "bench/measure.h"

#ifdef CONTENTION_COUNTED
#    include "bench/contention.h"
#else
enum { CONTENTION_THREADS = 32 };
static void contention_enter(unsigned thread)
{
    (void)thread;
}
static void contention_leave(void)
{
}
#endif

enum { KEYS = 1024, WARM_UP = 300, COUNTED = 3000, TIMED = 3000000, REPETITIONS = 5 };

struct cell {
    struct cell *next;    /* the owner's */
    struct cell *current; /* anybody's */
    int64_t value;
};
NEAP_DEFINE_TYPE(cell, (next, NEAP_ATOMIC(current)));

struct seen {
    int64_t value;
};
NEAP_DEFINE_TYPE(seen, (), .flags = NEAP_PEEKABLE);

struct window {
    struct seen *current;
};
NEAP_DEFINE_TYPE(window, (NEAP_ATOMIC(current)));

/* What a thread has for itself, on lines of its own. */
static struct mine {
    struct cell *cell, *other;
    struct neap_weak *weak;
    int atomic_count;
    uint64_t seed;
    _Atomic(void *) inbox;
} __attribute__((aligned(128))) mine[CONTENTION_THREADS];

static struct cell *shared, *deferred, *immortal; /* made by the main thread, as is all below */
static struct cell *holder;
static struct window *window;
static struct neap_map *map;
static struct neap_string *keys[KEYS];
static int atomic_count;
static unsigned thread_count;

static void *checked(void *object)
{
    if (object == NULL) {
        fprintf(stderr, "contention: no memory\n");
        exit(2);
    }
    return object;
}

/* ---- operations, each of thread `self` ---- */

static void retain_own(unsigned self)
{
    (void)neap_retain(mine[self].cell);
    neap_release(mine[self].cell);
}

static void new_own(unsigned self)
{
    (void)self;
    neap_release(checked(neap_new(cell)));
}

static void set_own(unsigned self)
{
    neap_set(&mine[self].cell->next, mine[self].other);
    neap_release(neap_take(&mine[self].cell->next));
}

static void load_own(unsigned self)
{
    neap_release(neap_load(&mine[self].cell->current));
}

static void weak_own(unsigned self)
{
    neap_release(neap_weak_get(mine[self].weak));
}

static void block_own(unsigned self)
{
    (void)self;
    neap_free(checked(neap_alloc(48)));
}

static void poll_own(unsigned self)
{
    (void)self;
    neap_safepoint();
}

static void retain_shared(unsigned self)
{
    (void)self;
    (void)neap_retain(shared);
    neap_release(shared);
}

static void load_shared(unsigned self)
{
    (void)self;
    neap_release(neap_load(&holder->current));
}

static void retain_deferred(unsigned self)
{
    (void)self;
    (void)neap_retain(deferred);
    neap_release(deferred);
}

static void retain_immortal(unsigned self)
{
    (void)self;
    (void)neap_retain(immortal);
    neap_release(immortal);
}

static void peek_shared(unsigned self)
{
    mine[self].seed += (uint64_t)neap_peek(&window->current)->value;
    neap_safepoint();
}

static void store_shared(unsigned self)
{
    (void)self;
    struct cell *fresh = checked(neap_new(cell));
    neap_store(&holder->current, fresh);
    neap_release(fresh);
}

static void get_from_map(unsigned self)
{
    neap_release(neap_map_get(map, keys[bench_random_below(&mine[self].seed, KEYS)]));
}

static void set_in_map(unsigned self)
{
    struct neap_string *key = keys[bench_random_below(&mine[self].seed, KEYS)];
    if (neap_map_set(map, key, mine[self].cell) != NEAP_OK)
        checked(NULL);
}

static unsigned neighbour(unsigned self)
{
    return (self + 1) % thread_count;
}

/* The program's own way to pass a pointer on: not the library's cost, so not seen. */
static void *pass(unsigned self, unsigned to, void *what)
{
    contention_leave();
    void *old = atomic_exchange(&mine[to].inbox, what);
    contention_enter(self);
    return old;
}

static void pass_object(unsigned self)
{
    struct cell *received = pass(self, self, NULL), *fresh = checked(neap_new(cell));
    if (received != NULL) {
        (void)neap_adopt(received);
        neap_release(received);
    }
    neap_hand_over(fresh);
    fresh = pass(self, neighbour(self), fresh);
    if (fresh != NULL)
        neap_release(fresh);
}

static void pass_block(unsigned self)
{
    neap_free(pass(self, self, NULL));
    neap_free(pass(self, neighbour(self), checked(neap_alloc(48))));
}

static void count_own(unsigned self)
{
    (void)__atomic_fetch_add(&mine[self].atomic_count, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_sub(&mine[self].atomic_count, 1, __ATOMIC_ACQ_REL);
}

static void count_shared(unsigned self)
{
    (void)self;
    (void)__atomic_fetch_add(&atomic_count, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_sub(&atomic_count, 1, __ATOMIC_ACQ_REL);
}

static const struct row {
    const char *name;
    void (*operation)(unsigned self);
    enum { OWNER, SHARED, PASSED, PEER } kind;
} rows[] = {
    {"retain and release", retain_own, OWNER},
    {"new and release", new_own, OWNER},
    {"set and take a slot", set_own, OWNER},
    {"load an atomic slot", load_own, OWNER},
    {"upgrade a weak reference", weak_own, OWNER},
    {"alloc and free a block", block_own, OWNER},
    {"safepoint", poll_own, OWNER},
    {"retain and release, one object", retain_shared, SHARED},
    {"load, one slot", load_shared, SHARED},
    {"retain and release, deferred", retain_deferred, SHARED},
    {"retain and release, immortal", retain_immortal, SHARED},
    {"peek and safepoint", peek_shared, SHARED},
    {"new and store into one slot", store_shared, SHARED},
    {"map get, 1,024 keys", get_from_map, SHARED},
    {"map set, 1,024 keys", set_in_map, SHARED},
    {"object to the next thread", pass_object, PASSED},
    {"block freed by the next thread", pass_block, PASSED},
    {"atomic count, own", count_own, PEER},
    {"atomic count, one for all", count_shared, PEER},
};
enum { ROWS = sizeof rows / sizeof rows[0] };
static const char *const kinds[] = {"owner", "shared", "passed", "peer"};

/* ---- what is shared ---- */

static void make_shared(void)
{
    char name[32];
    shared = checked(neap_new(cell));
    holder = checked(neap_new(cell));
    neap_store(&holder->current, shared);
    deferred = checked(neap_new(cell));
    immortal = checked(neap_new(cell));
    if (neap_defer(deferred) != NEAP_OK)
        checked(NULL);
    neap_immortalize(immortal);
    window = checked(neap_new(window));
    struct seen *seen = checked(neap_new(seen));
    neap_store(&window->current, seen);
    neap_release(seen);
    map = checked(neap_map_new());
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = checked(neap_string_new(name, (size_t)snprintf(name, sizeof name, "key %u", i)));
        struct cell *value = checked(neap_new(cell));
        if (neap_map_set(map, keys[i], value) != NEAP_OK)
            checked(NULL);
        neap_release(value);
    }
}

static void drop_shared(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        neap_release(keys[i]);
    neap_release(map);
    neap_release(window);
    neap_release(deferred);
    neap_release(immortal);
    neap_release(holder);
    neap_release(shared);
}

static void make_mine(unsigned self)
{
    struct mine *own = &mine[self];
    own->cell = checked(neap_new(cell));
    own->other = checked(neap_new(cell));
    neap_store(&own->cell->current, own->other);
    own->weak = checked(neap_weak_new(own->other));
    own->seed = self + 1;
}

static void drop_mine(unsigned self)
{
    neap_release(mine[self].weak);
    neap_release(mine[self].other);
    neap_release(mine[self].cell);
}

/* ---- threads ---- */

static const struct row *row;
static pthread_barrier_t barrier;

static void meet(void)
{
    NEAP_BLOCKED(pthread_barrier_wait(&barrier));
}

/* The last message of a row waits in the inbox of whoever was to take it. */
static void empty_inbox(unsigned self)
{
    void *left = atomic_exchange(&mine[self].inbox, NULL);
    if (left != NULL && row->operation == pass_object)
        neap_release(left);
    else
        neap_free(left);
}

#ifdef CONTENTION_COUNTED

static atomic_uint turn;

static void take_turns(unsigned self, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        while (atomic_load(&turn) != self) {
            neap_safepoint();
            sched_yield();
        }
        contention_enter(self);
        row->operation(self);
        contention_leave();
        atomic_store(&turn, neighbour(self));
    }
}

static void *run(void *arg)
{
    unsigned self = (unsigned)((struct mine *)arg - mine);
    make_mine(self);
    meet();
    take_turns(self, WARM_UP);
    meet();
    if (self == 0)
        contention_reset();
    meet();
    take_turns(self, COUNTED);
    meet();
    meet(); /* the figures have been read */
    empty_inbox(self);
    drop_mine(self);
    return NULL;
}

#else

static atomic_ullong elapsed_ns; /* processor time, of all threads: what preemption leaves out */

static void *run(void *arg)
{
    unsigned self = (unsigned)((struct mine *)arg - mine);
    make_mine(self);
    for (unsigned i = 0; i < WARM_UP; i++) {
        row->operation(self);
        neap_safepoint();
    }
    meet();
    uint64_t start_ns = bench_thread_ns();
    for (unsigned i = 0; i < TIMED; i++) {
        row->operation(self);
        if (i % 64 == 0)
            neap_safepoint();
    }
    atomic_fetch_add(&elapsed_ns, bench_thread_ns() - start_ns);
    meet();
    empty_inbox(self);
    drop_mine(self);
    return NULL;
}

#endif

/* Calls at_end between the last operation and the end of the threads. */
static void run_row(const struct row *which, unsigned threads, void (*at_end)(void))
{
    pthread_t ids[CONTENTION_THREADS];
    row = which;
    thread_count = threads;
    pthread_barrier_init(&barrier, NULL, threads + (at_end != NULL));
    for (unsigned i = 0; i < threads; i++)
        if (neap_thread_create(&ids[i], "bench", run, &mine[i]) != NEAP_OK)
            checked(NULL);
    if (at_end != NULL) {
        for (unsigned i = 0; i < 4; i++)
            meet();
        at_end();
        meet();
    }
    for (unsigned i = 0; i < threads; i++)
        (void)neap_thread_join(ids[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void begin(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    options.auto_defer = 0;
    if (neap_init(&options) != NEAP_OK)
        checked(NULL);
    make_shared();
}

static bool end(void)
{
    drop_shared();
    return neap_shutdown(NULL) == 0;
}

/* ---- the two programs ---- */

#ifdef CONTENTION_COUNTED

static struct contention found;

static void look(void)
{
    found = contention_sum();
}

static double each(uint64_t sum)
{
    return (double)sum / COUNTED / thread_count;
}

static void count(void)
{
    static const unsigned counts[] = {1, 2, 4, 8, 16};
    const char *separator = "";
    printf("{\"rows\": [");
    for (unsigned i = 0; i < ROWS; i++) {
        for (unsigned k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            contention_clear();
            run_row(&rows[i], counts[k], look);
            printf("%s\n {\"row\": \"%s: %s\", \"threads\": %u, \"locked\": %.3f, "
                   "\"reads_moved\": %.3f, \"writes_moved\": %.3f, \"futexes\": %.4f, "
                   "\"hottest\": %.3f, \"two_writers\": %llu}",
                   separator, kinds[rows[i].kind], rows[i].name, counts[k], each(found.locked),
                   each(found.reads_moved), each(found.writes_moved), each(found.futexes),
                   each(found.hottest), (unsigned long long)found.two_writers);
            separator = ",";
        }
    }
    printf("\n]}\n");
}

/* Four threads that each do only what is theirs; and the counters can count. */
static int check(void)
{
    unsigned failed = 0, point = 0;
    printf("1..%u\n", ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        contention_clear();
        run_row(&rows[i], 4, look);
        bool is_still = found.locked == 0 && found.reads_moved == 0 && found.writes_moved == 0 &&
                        found.futexes == 0 && found.two_writers == 0;
        bool still = rows[i].kind == OWNER || rows[i].operation == retain_deferred ||
                     rows[i].operation == retain_immortal || rows[i].operation == peek_shared;
        bool good = is_still == still;
        failed += !good;
        printf("%sok %u - %s, %s: %s\n", good ? "" : "not ", ++point, kinds[rows[i].kind],
               rows[i].name, still ? "nothing locked, nothing moved" : "is counted");
        if (!good)
            printf("# per operation: %.4f locked, %.4f reads and %.4f writes moved, %.4f futexes; "
                   "%llu lines of two writers\n",
                   each(found.locked), each(found.reads_moved), each(found.writes_moved),
                   each(found.futexes), (unsigned long long)found.two_writers);
    }
    return failed != 0;
}

int main(int argc, char **argv)
{
    bool checks = argc == 2 && strcmp(argv[1], "--check") == 0;
    if (argc > 1 && !checks) {
        fprintf(stderr, "usage: contention [--check]\n");
        return 2;
    }
    begin();
    int status = 0;
    if (checks)
        status = check();
    else
        count();
    return end() ? status : 2;
}

#else

int main(void)
{
    static double ns[ROWS][3][REPETITIONS];
    begin();
    for (unsigned k = 0; k < REPETITIONS; k++)
        for (unsigned i = 0; i < ROWS; i++)
            for (unsigned threads = 1; threads <= 2; threads++) {
                atomic_store(&elapsed_ns, 0);
                run_row(&rows[i], threads, NULL);
                ns[i][threads][k] = (double)atomic_load(&elapsed_ns) / TIMED / threads;
            }
    printf("{\"rows\": [");
    for (unsigned i = 0; i < ROWS; i++) {
        for (unsigned threads = 1; threads <= 2; threads++) {
            printf("%s\n {\"row\": \"%s: %s\", \"threads\": %u, \"ns\": [",
                   i + threads > 1 ? "," : "", kinds[rows[i].kind], rows[i].name, threads);
            for (unsigned k = 0; k < REPETITIONS; k++)
                printf("%s%.2f", k > 0 ? ", " : "", ns[i][threads][k]);
            printf("]}");
        }
    }
    printf("\n]}\n");
    return end() ? 0 : 2;
}

#endif
