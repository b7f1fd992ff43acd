/* SPDX-License-Identifier: MIT
 *
 * Weak references: they see life and death, call back once, cost the referent nothing, and never
 * bring back the dead, also when eight threads upgrade while the last reference goes. */
#include <neap/neap.h>

#include <stdatomic.h>

#include "tests/harness.h"

struct thing {
    struct thing *next;
    uint64_t canary;
};
enum { CANARY = 0x7765616B };
static atomic_int dead_seen, called;

static void thing_dispose(void *self)
{
    ((struct thing *)self)->canary = 0;
}
NEAP_DEFINE_TYPE(thing, (next), .dispose = thing_dispose);

static void on_death(struct neap_weak *weak, void *arg)
{
    if (neap_weak_get(weak) != NULL || arg != &called)
        atomic_fetch_add(&dead_seen, 1);
    atomic_fetch_add(&called, 1);
}

static void basics(void)
{
    struct thing *thing = neap_new(thing);
    struct neap_weak *weak = neap_weak_new(thing), *other = neap_weak_new(thing);
    is_int(neap_refcount(thing), 1, "a weak reference does not count");
    struct thing *got = neap_weak_get(weak);
    ok(got == thing, "it gives the object");
    is_int(neap_refcount(thing), 2, "with a reference");
    neap_release(got);
    ok(neap_weak_is(weak, thing) && !neap_weak_is(weak, NULL), "is compares without counting");
    neap_release(other);
    neap_release(thing);
    ok(neap_weak_get(weak) == NULL, "after the death it gives NULL");
    ok(neap_weak_is(weak, NULL), "and says so");
    struct thing *reused = neap_new(thing);
    ok(neap_weak_get(weak) == NULL, "also when the block is used again");
    neap_release(reused);
    neap_release(weak);
}

static void callbacks(void)
{
    atomic_store(&called, 0);
    struct thing *thing = neap_new(thing);
    struct neap_weak *kept = neap_weak_new_with(thing, on_death, &called);
    struct neap_weak *dropped = neap_weak_new_with(thing, on_death, &called);
    neap_release(dropped);
    neap_release(thing);
    is_int(atomic_load(&called), 1, "a living weak reference is called back, a dropped one is not");
    neap_release(kept);
    is_int(atomic_load(&dead_seen), 0, "the callback cannot get the object");
}

static void many(void)
{
    enum { MANY = 5000 };
    struct thing *things[MANY];
    struct neap_weak *weaks[MANY];
    for (int i = 0; i < MANY; i++) {
        things[i] = neap_new(thing);
        weaks[i] = neap_weak_new(things[i]);
    }
    int wrong = 0;
    for (int i = 0; i < MANY; i += 2)
        neap_release(things[i]);
    for (int i = 0; i < MANY; i++) {
        struct thing *got = neap_weak_get(weaks[i]);
        wrong += (got != NULL) != (i % 2 == 1);
        neap_release(got);
    }
    is_int(wrong, 0, "five thousand weak references are each right");
    for (int i = 0; i < MANY; i++) {
        if (i % 2 == 1)
            neap_release(things[i]);
        neap_release(weaks[i]);
    }
}

/* One thread replaces an object under weak reference; the others upgrade all the time. */
enum { ROUNDS = 3000 };
static atomic_bool end;

struct holder {
    struct neap_weak *weak;
};
NEAP_DEFINE_TYPE(holder, (NEAP_ATOMIC(weak)));

static void race(void *arg, unsigned index)
{
    struct holder *holder = arg;
    if (index == 0) {
        for (int i = 0; i < ROUNDS; i++) {
            struct thing *thing = neap_new(thing);
            thing->canary = CANARY;
            struct neap_weak *weak = neap_weak_new(thing);
            neap_store(&holder->weak, weak);
            neap_release(weak);
            neap_release(thing);
            neap_safepoint();
        }
        atomic_store(&end, true);
        return;
    }
    while (!atomic_load(&end)) {
        struct neap_weak *weak = neap_load(&holder->weak);
        if (weak != NULL) {
            struct thing *thing = neap_weak_get(weak);
            if (thing != NULL && thing->canary != CANARY)
                atomic_fetch_add(&dead_seen, 1);
            neap_release(thing);
            neap_release(weak);
        }
        neap_safepoint();
    }
}

int main(void)
{
    plan_lazy();
    harness_begin();
    basics();
    callbacks();
    many();
    struct holder *holder = neap_new(holder);
    harness_run(8, race, holder);
    neap_release(holder);
    is_int(atomic_load(&dead_seen), 0, "no upgrade under race gave a dead object");
    return harness_end();
}
