/* SPDX-License-Identifier: MIT
 *
 * Collections by one thread of its own young objects, while the others run: what they free, what
 * they leave to a stop, and that nothing dies which another thread has taken, by any of the ways of
 * taking. In the storm every node has a number that whoever holds it knows: a node that died too
 * early would have lost it, or have another one. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/harness.h"

enum { THREADS = 4, ROUNDS = 20000, PLACES = 16, RINGS = 20000, RING = 10 };

struct node {
    struct node *next, *prev, *other;
    uint64_t number;
};
NEAP_DEFINE_TYPE(node, (next, prev, other));

static struct neap_gc_stats stats_of(int generation)
{
    struct neap_gc_stats stats;
    (void)neap_gc_get_stats(generation, &stats);
    return stats;
}

static uint64_t alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

/* A ring, every node of which has the number. */
static struct node *ring(unsigned length, uint64_t number)
{
    struct node *first = neap_new(node), *last = first;
    first->number = number;
    for (unsigned i = 1; i < length; i++) {
        struct node *fresh = neap_new(node);
        fresh->number = number;
        neap_set(&fresh->prev, last);
        neap_give(&last->next, fresh);
        last = fresh;
    }
    neap_set(&last->next, first);
    neap_set(&first->prev, last);
    return first;
}

/* ---- one thread ---- */

static void hardly_any_stop(void)
{
    struct neap_gc_stats before = stats_of(0);
    uint64_t most = 0;
    struct node *kept = ring(RING, 7);
    for (int i = 0; i < RINGS; i++) {
        neap_release(ring(RING, 1));
        if (i % 100 == 0 && alive() > most)
            most = alive();
    }
    struct neap_gc_stats after = stats_of(0);
    ok((after.collections - before.collections) * 100 <= after.confined - before.confined,
       "hardly ever was anybody stopped (%llu times)",
       (unsigned long long)(after.collections - before.collections));
    ok(after.confined > before.confined, "the thread has collected alone");
    ok(after.confined_collected - before.confined_collected > (uint64_t)RINGS * RING * 9 / 10,
       "and found nearly all (%llu)", (unsigned long long)after.confined_collected);
    ok(most < 10000, "garbage does not pile up (%llu objects)", (unsigned long long)most);
    unsigned whole = 0;
    for (const struct node *node = kept; whole < RING && node->number == 7; node = node->next)
        whole++;
    is_int(whole, RING, "a ring in a variable lives");
    neap_release(kept);
}

static int finalized;
struct final {
    struct final *self;
    struct node *node;
};
static void final_finalize(void *self)
{
    (void)self;
    finalized++;
}
NEAP_DEFINE_TYPE(final, (self, node), .finalize = final_finalize);

/* What needs the program's code is left to a stop, with all that it reaches. */
static void code_waits_for_a_stop(void)
{
    struct final *final = neap_new(final);
    neap_set(&final->self, final);
    neap_give(&final->node, ring(RING, 3));
    neap_release(final);
    uint64_t freed = stats_of(0).confined_collected;
    for (int i = 0; i < 1000; i++)
        neap_release(ring(RING, 1));
    ok(stats_of(0).confined_collected > freed, "collections went on");
    is_int(finalized, 0, "no finalizer ran in them");
    while (neap_collect(2) > 0)
        ;
    is_int(finalized, 1, "a stop finds it, and what it held");
}

/* Survivors count: they are promoted by a stop in the end, and looked at no more. */
static void survivors_are_promoted(void)
{
    enum { MANY = 100000 };
    struct node *list = NULL;
    uint64_t before = stats_of(0).collections + stats_of(1).collections + stats_of(2).collections;
    for (int i = 0; i < MANY; i++) {
        struct node *node = neap_new(node);
        neap_give(&node->next, list);
        list = node;
    }
    uint64_t after = stats_of(0).collections + stats_of(1).collections + stats_of(2).collections;
    ok(after > before, "what lives is promoted by stops (%llu)",
       (unsigned long long)(after - before));
    neap_release(list);
}

static void switched_off(void)
{
    neap_gc_disable();
    uint64_t confined = stats_of(0).confined;
    for (int i = 0; i < 1000; i++)
        neap_release(ring(RING, 1));
    is_int((intmax_t)(stats_of(0).confined - confined), 0, "neap_gc_disable means this tier too");
    neap_gc_enable();
    while (neap_collect(2) > 0)
        ;
}

/* ---- the storm ---- */

/* A counted reference in plain memory, and the number that it should lead to. */
struct raw {
    struct node *node;
    uint64_t number;
};

/* Nodes that several threads reach are changed under its lock only; a confined collection of their
 * owner's does not ask for it. */
static struct {
    pthread_mutex_t lock;
    struct node *places[PLACES]; /* hubs, whose slots hold rings of anybody's */
    struct raw raws[PLACES];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_int broken;
static atomic_ulong numbers = 1;

static void expect(const struct node *node, uint64_t number)
{
    if (node != NULL && node->number != number)
        atomic_fetch_add(&broken, 1);
}

/* The ways of taking, the lock is held. */
static void meddle(uint64_t *random, struct node *hub, struct raw *raw)
{
    struct node *theirs = hub->other; /* borrowed under the lock */
    uint64_t number = theirs != NULL ? theirs->number : 0;
    switch (harness_random(random) % 6) {
    case 0: /* out of the hub, on by plain memory */
        theirs = neap_take(&hub->other);
        neap_release(raw->node);
        *raw = (struct raw){theirs, number};
        break;
    case 1: /* counted up, the slot emptied */
        theirs = neap_get(&hub->other);
        neap_clear(&hub->other);
        expect(theirs, number);
        neap_release(theirs);
        break;
    case 2: /* one step along the ring, the ring cut behind */
        if (theirs != NULL && theirs->next != NULL) {
            struct node *next = neap_take(&theirs->next);
            expect(next, number);
            neap_give(&hub->other, next);
        }
        break;
    case 3: /* raw pointers are borrowed, then counted */
        if (theirs != NULL && theirs->prev != NULL) {
            struct node *prev = neap_retain(theirs->prev);
            neap_clear(&theirs->prev);
            expect(prev, number);
            neap_release(raw->node);
            *raw = (struct raw){prev, number};
        }
        break;
    case 4: /* plain memory to slot */
        if (raw->node != NULL) {
            expect(raw->node, raw->number);
            neap_give(&hub->other, raw->node);
            raw->node = NULL;
        }
        break;
    default:
        if (theirs != NULL)
            neap_set(&theirs->other, hub->other); /* a ring of one, within the ring */
        break;
    }
}

static void storm(void *unused, unsigned index)
{
    (void)unused;
    uint64_t random = harness_seed() + index;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t number = atomic_fetch_add(&numbers, 1);
        struct node *mine = ring(1 + (unsigned)(harness_random(&random) % 12), number);
        expect(mine->next, number);
        unsigned place = (unsigned)(harness_random(&random) % PLACES);
        uint64_t what = harness_random(&random);
        if (what % 2 == 0) {
            pthread_mutex_lock(&shared.lock);
            if (what % 4 == 0)
                neap_set(&shared.places[place]->other, mine);
            else
                meddle(&random, shared.places[place], &shared.raws[place]);
            pthread_mutex_unlock(&shared.lock);
        }
        neap_release(mine);
        neap_safepoint();
    }
}

static void many_threads(void)
{
    uint64_t before = alive();
    for (int i = 0; i < PLACES; i++)
        shared.places[i] = neap_new(node);
    uint64_t confined = stats_of(0).confined;
    harness_run(THREADS, storm, NULL);
    is_int(atomic_load(&broken), 0, "every node in hand was whole");
    ok(stats_of(0).confined > confined, "collections by one thread went on beside (%llu)",
       (unsigned long long)(stats_of(0).confined - confined));
    for (int i = 0; i < PLACES; i++) {
        neap_release(shared.places[i]);
        neap_release(shared.raws[i].node);
    }
    harness_calm();
    while (neap_collect(2) > 0)
        ;
    is_int((intmax_t)alive(), (intmax_t)before, "nothing is left");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    (void)harness_seed();
    hardly_any_stop();
    code_waits_for_a_stop();
    survivors_are_promoted();
    switched_off();
    many_threads();
    return harness_end();
}
