/* SPDX-License-Identifier: MIT
 *
 * Slots: what each operation does to the counts, and atomic slots under eight threads. */
#include <neap/neap.h>

#include <stdatomic.h>

#include "tests/harness.h"

struct item {
    struct item *plain;
    struct item *shared;
    uint64_t canary;
};
enum { CANARY = 0x6E656170 };
static atomic_int bad;

static void item_dispose(void *self)
{
    struct item *item = self;
    if (item->canary != CANARY)
        atomic_fetch_add(&bad, 1);
    item->canary = 0;
}
NEAP_DEFINE_TYPE(item, (plain, NEAP_ATOMIC(shared)), .dispose = item_dispose);

static struct item *make(void)
{
    struct item *item = neap_new(item);
    if (item == NULL)
        bail("out of memory");
    item->canary = CANARY;
    return item;
}

static void plain_slots(void)
{
    struct item *a = make(), *b = make();
    neap_set(&a->plain, b);
    is_int(neap_refcount(b), 2, "set counts");
    struct item *got = neap_get(&a->plain);
    ok(got == b, "get returns what is there");
    is_int(neap_refcount(b), 3, "get counts");
    neap_give(&a->plain, got);
    is_int(neap_refcount(b), 2, "give takes over a reference and releases the old value");
    struct item *taken = neap_take(&a->plain);
    ok(taken == b && a->plain == NULL, "take empties the slot");
    is_int(neap_refcount(b), 2, "take moves the reference");
    neap_set(&a->plain, taken);
    neap_set(&a->plain, a->plain);
    is_int(neap_refcount(b), 3, "setting a slot to its own value changes nothing");
    neap_clear(&a->plain);
    ok(a->plain == NULL && neap_get(&a->plain) == NULL, "clear empties");
    is_int(neap_refcount(b), 2, "clear releases");
    neap_release(taken);
    neap_release(b);
    neap_release(a);
}

static void atomic_slots(void)
{
    struct item *a = make(), *b = make(), *c = make();
    neap_store(&a->shared, b);
    is_int(neap_refcount(b), 2, "store counts");
    struct item *loaded = neap_load(&a->shared);
    is_int(neap_refcount(b), 3, "load counts");
    neap_release(loaded);
    struct item *old = neap_exchange(&a->shared, c);
    ok(old == b, "exchange returns the old value");
    is_int(neap_refcount(b), 2, "with its reference");
    is_int(neap_refcount(c), 2, "and counts the new one");
    ok(!neap_compare_exchange(&a->shared, b, b), "compare_exchange fails on another value");
    is_int(neap_refcount(b), 2, "and leaves the counts");
    ok(neap_compare_exchange(&a->shared, c, b), "and succeeds on the right one");
    is_int(neap_refcount(c), 1, "releasing the old value");
    is_int(neap_refcount(b), 3, "counting the new");
    ok(neap_compare_exchange(&a->shared, b, NULL), "NULL may be stored");
    ok(neap_compare_exchange(&a->shared, NULL, c), "and expected");
    neap_release(old);
    neap_release(b);
    neap_release(c);
    neap_release(a);
}

/* Every thread stores, loads, exchanges and swaps on a few slots at once; what it loads is whole.
 */
enum { SLOTS = 4, ROUNDS = 8000 };

static void hammer(void *arg, unsigned index)
{
    struct item **hubs = arg;
    uint64_t random = index + 1;
    for (int i = 0; i < ROUNDS; i++) {
        struct item **slot = &hubs[harness_random(&random) % SLOTS]->shared;
        switch (harness_random(&random) % 6) {
        case 0: {
            struct item *fresh = make();
            neap_store(slot, fresh);
            neap_release(fresh);
            break;
        }
        case 1:
            neap_release(neap_exchange(slot, NULL));
            break;
        case 2: {
            struct item *seen = neap_load(slot), *fresh = make();
            (void)neap_compare_exchange(slot, seen, fresh);
            neap_release(fresh);
            neap_release(seen);
            break;
        }
        default: {
            struct item *seen = neap_load(slot);
            if (seen != NULL && seen->canary != CANARY)
                atomic_fetch_add(&bad, 1);
            neap_release(seen);
        }
        }
        if (i % 32 == 0)
            neap_safepoint();
    }
}

int main(void)
{
    plan_lazy();
    harness_begin();
    plain_slots();
    atomic_slots();
    struct item *hubs[SLOTS];
    for (int i = 0; i < SLOTS; i++)
        hubs[i] = make();
    harness_run(8, hammer, hubs);
    for (int i = 0; i < SLOTS; i++)
        neap_release(hubs[i]);
    neap_safepoint();
    is_int(atomic_load(&bad), 0, "no thread saw a dead object, none was disposed of twice");
    return harness_end();
}
