/* SPDX-License-Identifier: MIT
 *
 * Concurrent old collections: what a cycle finds, what it leaves, and that nothing dies which a
 * thread holds, whatever two threads do to the graph meanwhile. Every node has a number that
 * whoever holds it knows: one that died too early would have lost it. Cycles are asked for here and
 * waited for; automatic collections are off. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/fault.h"
#include "base/options.h"
#include "collector/concurrent.h"
#include "tests/random.h"
#include "tests/tap.h"

enum {
    RINGS = 200,
    RING = 10,
    LONG = 20000,
    MUTATORS = 2,
    BOARD = 64,
    STEPS = 20000,
    PLACES = 200,  /* of a table, which is a large object */
    MANY = 100000, /* of one that takes several polls to be read */
    ROUNDS_MOST = NP_CONCURRENT_ROUNDS + 2
};

struct node {
    struct node *next, *prev, *other;
    struct tail *table;
    uint64_t number;
};
NEAP_DEFINE_TYPE(node, (next, prev, NEAP_ATOMIC(other), NEAP_ATOMIC(table)));

struct wide {
    struct node *places[20];
    struct wide *self;
};
NEAP_DEFINE_TYPE(wide, (places, self));

struct tail {
    uint64_t number;
    void *places[];
};
NEAP_DEFINE_TYPE(tail, (NEAP_TRAILING(places)));

static uint64_t alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

/* What the collector's thread has found may be on its way (to its owner's queue, to its pool), and
 * what dies by counting behind a cycle may hold another one, for the next round. More polls than
 * anything takes. */
static void is_alive(uint64_t wanted, const char *name)
{
    enum { POLLS = 20000 };
    for (int i = 0; i < POLLS && alive() != wanted; i++) {
        (void)np_concurrent_takes();
        NEAP_BLOCKED((void)usleep(500));
        neap_safepoint();
    }
    is_int(alive(), wanted, "%s", name);
}

/* Whatever exists now is old enough to be a member. */
static void grow_old(void)
{
    (void)neap_collect(0);
    (void)neap_collect(1);
}

/* One whole cycle, at least, that began after the call. */
static void run_cycle(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t before = np_concurrent_cycles();
        while (np_concurrent_cycles() == before) {
            if (!np_concurrent_takes())
                bail("no concurrent collection");
            NEAP_BLOCKED((void)usleep(200));
            neap_safepoint();
        }
    }
}

static struct node *node_of(uint64_t number)
{
    struct node *node = neap_new(node);
    if (node == NULL)
        bail("no memory");
    node->number = number;
    return node;
}

static struct node *ring(unsigned length, uint64_t number)
{
    struct node *first = node_of(number), *last = neap_retain(first);
    for (unsigned i = 1; i < length; i++) {
        struct node *fresh = node_of(number);
        neap_set(&fresh->prev, last);
        neap_set(&last->next, fresh);
        neap_release(last);
        last = fresh;
    }
    neap_set(&last->next, first);
    neap_set(&first->prev, last);
    neap_release(last);
    return first;
}

static unsigned whole(const struct node *start, unsigned length, uint64_t number)
{
    unsigned count = 0;
    for (const struct node *node = start; count < length && node->number == number;
         node = node->next)
        count++;
    return count;
}

/* A ring, each of which refers to a table of so many places that refer to them. */
static struct node *ring_of_table(unsigned places, uint64_t number)
{
    struct tail *table = neap_new_extra(tail, places * sizeof(void *));
    if (table == NULL)
        bail("no memory");
    struct node *first = ring(RING, number), *node = first;
    table->number = number;
    for (unsigned i = 0; i < places; i++, node = node->next) {
        neap_set(&table->places[i], node);
        if (i < RING)
            neap_store(&node->table, table);
    }
    neap_release(table);
    return first;
}

/* ---- one thread ---- */

static void rings_die(void)
{
    uint64_t before = alive();
    struct node *kept = ring(RING, 7), *rings[RINGS];
    for (int i = 0; i < RINGS; i++)
        rings[i] = ring(RING, 1);
    grow_old();
    for (int i = 0; i < RINGS; i++)
        neap_release(rings[i]);
    run_cycle();
    is_alive(before + RING, "rings that nobody holds are found, the one that is held stays");
    is_int(whole(kept, RING, 7), RING, "and is whole");
    neap_release(kept);
    run_cycle();
    is_alive(before, "until it is dropped");
}

/* A pair that holds a long list, which ends in another pair: counting frees what is between. */
static void tails_follow(void)
{
    uint64_t before = alive();
    struct node *list = ring(2, 3);
    for (int i = 0; i < LONG; i++) {
        struct node *node = node_of(4);
        neap_give(&node->next, list);
        list = node;
    }
    struct node *pair = ring(2, 5);
    neap_store(&pair->other, list);
    neap_release(list);
    grow_old();
    neap_release(pair);
    run_cycle();
    is_alive(before, "a tail goes with the cycle that holds it, and what it holds");
}

static void one_component(void)
{
    uint64_t before = alive();
    struct node *all = ring(LONG, 2);
    grow_old();
    neap_release(all);
    run_cycle();
    is_alive(before, "one component, larger than a slice, goes in one stop");
}

static void every_shape(void)
{
    uint64_t before = alive();
    struct wide *wide = neap_new(wide);
    neap_set(&wide->self, wide);
    for (int i = 0; i < 20; i++)
        neap_give(&wide->places[i], ring(3, 1));
    struct wide *array = neap_new_array(wide, 2);
    neap_set(&array[1].self, array);
    neap_give(&array[0].places[19], ring(3, 1));
    struct tail *tail = neap_new_extra(tail, 5 * sizeof(void *));
    neap_set(&tail->places[4], tail);
    neap_give(&tail->places[0], ring(3, 1));
    grow_old();
    neap_release(wide);
    neap_release(array);
    neap_release(tail);
    run_cycle();
    is_alive(before, "many slots, arrays and flexible arrays");
}

static uint64_t stopped_whole(void)
{
    struct neap_gc_stats stats;
    (void)neap_gc_get_stats(2, &stats);
    return stats.phase_ns[NEAP_GC_PHASE_GATHER];
}

static void large_ones_die(void)
{
    uint64_t before = alive(), stopped = stopped_whole();
    struct node *kept = ring_of_table(PLACES, 7), *behind = ring_of_table(PLACES, 8), *rings[RINGS];
    for (int i = 0; i < RINGS; i++)
        rings[i] = ring_of_table(PLACES, 1);
    struct node *many = ring_of_table(MANY, 9);
    /* held by nothing but a large one's slot, which is not of the table of its own */
    neap_give(&kept->table->places[3], behind);
    struct tail *blob = neap_new_extra(tail, PLACES * sizeof(void *)); /* refers to nothing */
    grow_old();
    for (int i = 0; i < RINGS; i++)
        neap_release(rings[i]);
    neap_release(many);
    run_cycle();
    is_alive(before + 2 * RING + 3, "rings through large objects are found, what is held stays");
    is_int(whole(kept, RING, 7) + whole(kept->table->places[3], RING, 8), 2 * RING, "and is whole");
    neap_release(kept);
    neap_release(blob);
    run_cycle();
    is_alive(before, "until it is dropped");
    is_int(stopped_whole(), stopped, "and nothing of it needs a stop of everything");
}

/* While blocks are held back large ones die by counting, and some are made. */
static void large_ones_come_and_go(void)
{
    uint64_t before = alive();
    struct tail *tables[RINGS];
    for (int i = 0; i < RINGS; i++)
        tables[i] = neap_new_extra(tail, (size_t)(PLACES + i) * sizeof(void *));
    grow_old();
    ok(np_concurrent_takes(), "a cycle is asked for");
    for (int i = 0; i < 4 * RINGS; i++) {
        neap_release(tables[i % RINGS]);
        tables[i % RINGS] = neap_new_extra(tail, (size_t)(PLACES + i) * sizeof(void *));
        if (tables[i % RINGS] == NULL || tables[i % RINGS]->places[PLACES - 1] != NULL)
            bail("no table, or one that is not empty");
        if (i % 50 == 0)
            grow_old();
        neap_safepoint();
    }
    for (int i = 0; i < RINGS; i++)
        neap_release(tables[i]);
    run_cycle();
    is_alive(before, "large objects come and go while a cycle reads them");
}

static void weak_references_die_first(void)
{
    uint64_t at_first = alive();
    struct node *gone = ring(RING, 1), *kept = ring(RING, 2);
    struct neap_weak *to_gone = neap_weak_new(gone), *to_kept = neap_weak_new(kept);
    uint64_t before = alive();
    grow_old();
    neap_release(gone);
    run_cycle();
    is_alive(before - RING, "a ring with a weak reference is found");
    is_ptr(neap_weak_get(to_gone), NULL, "which reads NULL");
    struct node *found = neap_weak_get(to_kept);
    is_ptr(found, kept, "another's does not");
    neap_release(found);
    neap_release(kept);
    neap_release(to_gone);
    neap_release(to_kept);
    is_alive(at_first, "until it is dropped too");
}

static int finalized, disposed;
static struct final *revived;
struct final {
    struct final *self;
    struct node *node;
    bool revives;
};
static void final_finalize(void *self)
{
    struct final *final = self;
    finalized++;
    if (final->revives)
        revived = neap_retain(final);
}
static void final_dispose(void *self)
{
    (void)self;
    disposed++;
}
NEAP_DEFINE_TYPE(final, (self, node), .finalize = final_finalize, .dispose = final_dispose);

static void finalizers_run(void)
{
    uint64_t before = alive();
    for (int i = 0; i < 2; i++) {
        struct final *final = neap_new(final);
        neap_set(&final->self, final);
        neap_give(&final->node, ring(RING, 6));
        final->revives = i == 1;
        grow_old();
        neap_release(final);
    }
    run_cycle();
    while (neap_run_pending(SIZE_MAX) > 0)
        ;
    is_int(finalized, 2, "finalizers run, as pending user code");
    is_int(disposed, 1, "and one object dies");
    ok(revived != NULL && whole(revived->node, RING, 6) == RING, "the other one lives on");
    neap_release(revived);
    run_cycle();
    while (neap_run_pending(SIZE_MAX) > 0)
        ;
    is_int(disposed, 2, "and dies in the end");
    is_alive(before, "with what they held");
}

/* What no descriptor tells is left to a stop, which comes. */
static void the_rest_is_stopped_for(void)
{
    uint64_t before = alive();
    struct neap_list *list = neap_list_new();
    if (list == NULL || neap_list_append(list, list) != NEAP_OK)
        bail("no memory for a list");
    grow_old();
    neap_release(list);
    for (int i = 0; i < ROUNDS_MOST && alive() != before; i++)
        run_cycle();
    is_alive(before, "a list that holds itself is found by a stopped collection");
}

static void nothing_is_stopped_for_in_vain(void)
{
    struct neap_list *list = neap_list_new();
    if (list == NULL)
        bail("no memory for a list");
    grow_old();
    for (int i = 0; i < ROUNDS_MOST; i++)
        run_cycle();
    uint64_t before = stopped_whole();
    for (int i = 0; i < ROUNDS_MOST; i++)
        run_cycle();
    is_int(stopped_whole(), before, "what lives outside is not stopped for again and again");
    neap_release(list);
}

static void a_stopped_one_ends_it(void)
{
    uint64_t before = alive();
    struct node *all = ring(LONG, 2);
    grow_old();
    neap_release(all);
    ok(np_concurrent_takes(), "a cycle is asked for");
    (void)neap_collect(2);
    is_alive(before, "neap_collect finds all, whatever goes on");
    run_cycle();
    pass("and cycles go on");
}

/* ---- fork ---- */

#ifndef NP_TSAN
/* 0, or which of its looks went wrong. */
static int in_child(const struct node *kept)
{
    if (whole(kept, LONG, 8) != LONG)
        return 1;
    neap_release(ring(RING, 1));
    if (neap_collect(2) < RING)
        return 2;
    uint64_t before = np_concurrent_cycles();
    while (np_concurrent_cycles() == before) {
        if (!np_concurrent_takes())
            return 3;
        NEAP_BLOCKED((void)usleep(200));
    }
    return whole(kept, LONG, 8) == LONG ? 0 : 4;
}
#endif

static void forks(void)
{
#ifdef NP_TSAN
    pass("ThreadSanitizer refuses threads in the child of a process that had several");
#else
    uint64_t before = alive();
    struct node *kept = ring(LONG, 8), *dropped = ring(RING, 1);
    grow_old();
    neap_release(dropped);
    for (int i = 0; i < 5; i++) {
        (void)np_concurrent_takes();
        NEAP_BLOCKED((void)usleep((useconds_t)i * 500));
        pid_t child = fork();
        if (child == 0) {
            _exit(in_child(kept));
        }
        int status = -1;
        NEAP_BLOCKED(waitpid(child, &status, 0));
        if (status != 0) {
            fail("a child forked in the middle: status %d", status);
            return;
        }
    }
    pass("children forked in the middle of a cycle are whole, collect, and have cycles");
    neap_release(kept);
    run_cycle();
    is_alive(before, "as has the parent");
#endif
}

/* ---- two mutators ---- */

static struct board {
    struct node *places[BOARD];
} board;
static pthread_mutex_t board_locks[BOARD] = {[0 ... BOARD - 1] = PTHREAD_MUTEX_INITIALIZER};
static atomic_uint lies;
static atomic_uint working;

static void see(uint64_t number)
{
    if (number == 0 || number > BOARD)
        atomic_fetch_add(&lies, 1);
}

/* A node of the board in the thread's hand, or NULL; its number is the place it was made for, plus
 * one. */
static struct node *from_board(unsigned place)
{
    pthread_mutex_lock(&board_locks[place]);
    struct node *node = neap_get(&board.places[place]);
    pthread_mutex_unlock(&board_locks[place]);
    if (node != NULL)
        see(node->number);
    return node;
}

static void to_board(unsigned place, struct node *node)
{
    pthread_mutex_lock(&board_locks[place]);
    struct node *old = neap_take(&board.places[place]);
    neap_give(&board.places[place], node);
    pthread_mutex_unlock(&board_locks[place]);
    neap_release(old);
}

/* Hangs one node's table on another. */
static void move_table(struct node *from, struct node *target)
{
    struct tail *table = neap_load(&from->table);
    if (table != NULL)
        see(table->number);
    neap_store(&target->table, table);
    neap_release(table);
}

/* Nodes refer to each other through atomic slots that all threads write, in any direction; rings
 * and tables hang on some, and are taken off again. */
static void *mutate(void *arg)
{
    uint64_t state = (uintptr_t)arg + 1;
    if (neap_thread_attach("mutator") != NEAP_OK)
        bail("no thread");
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned place = (unsigned)(harness_random(&state) % BOARD);
        unsigned other = (unsigned)(harness_random(&state) % BOARD);
        struct node *node = from_board(place), *target = from_board(other);
        switch (harness_random(&state) % 10) {
        case 0:
        case 1:
        case 2:
            if (node != NULL)
                neap_store(&node->other, target);
            break;
        case 3: /* follows a chain, and hangs what it finds elsewhere */
            for (unsigned k = 0; node != NULL && k < 8; k++) {
                struct node *next = neap_load(&node->other);
                if (next == NULL)
                    break;
                see(next->number);
                neap_release(node);
                node = next;
            }
            if (target != NULL)
                neap_store(&target->other, node);
            break;
        case 4:
            to_board(place, ring(3, place + 1));
            break;
        case 5:
            to_board(place, NULL);
            break;
        case 6:
            to_board(other, neap_retain(node));
            break;
        case 7:
            to_board(place, ring_of_table(PLACES, place + 1));
            break;
        case 8:
            if (node != NULL && target != NULL)
                move_table(node, target);
            break;
        default:
            if (node != NULL)
                neap_store(&node->other, NULL);
        }
        neap_release(node);
        neap_release(target);
        neap_safepoint();
    }
    atomic_fetch_sub(&working, 1);
    neap_thread_detach();
    return NULL;
}

/* Threads that come and go beside. */
static void *visit(void *arg)
{
    (void)arg;
    if (neap_thread_attach("visitor") != NEAP_OK)
        bail("no thread");
    neap_release(ring(RING, 1));
    neap_thread_detach();
    return NULL;
}

static void nothing_that_lives(void)
{
    uint64_t before = alive();
    pthread_t threads[MUTATORS];
    atomic_store(&working, MUTATORS);
    for (uintptr_t i = 0; i < MUTATORS; i++)
        pthread_create(&threads[i], NULL, mutate, (void *)i);
    uint64_t cycles = np_concurrent_cycles();
    while (atomic_load(&working) > 0) {
        pthread_t visitor;
        (void)neap_collect(0);
        (void)np_concurrent_takes();
        pthread_create(&visitor, NULL, visit, NULL);
        NEAP_BLOCKED(pthread_join(visitor, NULL));
        neap_safepoint();
    }
    for (int i = 0; i < MUTATORS; i++)
        NEAP_BLOCKED(pthread_join(threads[i], NULL));
    is_int(atomic_load(&lies), 0, "no node dies that a thread holds (%llu cycles)",
           (unsigned long long)(np_concurrent_cycles() - cycles));
    for (unsigned i = 0; i < BOARD; i++)
        to_board(i, NULL);
    grow_old();
    run_cycle();
    is_alive(before, "and no cycle is left over that was dropped");
}

/* ---- memory ---- */

/* Another try than the first may fail where the first did: all are made to. */
static void without_memory(void)
{
    uint64_t before = alive();
    struct node *kept = ring_of_table(PLACES, 4); /* the roster wants memory too */
    for (uint64_t n = 1; n <= 12; n++) {
        struct node *dropped = ring(RING, 1);
        grow_old();
        neap_release(dropped);
        np_fault_arm(n, 0, 1);
        run_cycle();
        np_fault_disarm();
        run_cycle();
    }
    is_int(whole(kept, RING, 4), RING, "what is held is whole, whatever was refused");
    neap_release(kept);
    run_cycle();
    is_alive(before, "a cycle that is refused memory becomes a stopped collection");
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.collector = 1;
    options.pause_target_us = 100;
    options.finalize_ms = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    if (np_options.collector == 0)
        skip_all("NEAP_OPTIONS says collector=stopped");
    neap_gc_disable();
    rings_die();
    tails_follow();
    one_component();
    every_shape();
    large_ones_die();
    large_ones_come_and_go();
    weak_references_die_first();
    finalizers_run();
    the_rest_is_stopped_for();
    nothing_is_stopped_for_in_vain();
    a_stopped_one_ends_it();
    forks();
    nothing_that_lives();
    without_memory();
    ok(np_concurrent_takes(), "a cycle is under way when the runtime ends");
    is_int(neap_shutdown(NULL), 0, "nothing is alive in the end");
    return done();
}
