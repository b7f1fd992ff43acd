/* SPDX-License-Identifier: MIT
 *
 * Debug builds know the kind that a type declares for a slot and panic when the other kind's call
 * meets it. */
#include <neap/neap.h>

#include <stdlib.h>

#include "base/check.h"
#include "tests/death.h"

struct both {
    struct both *plain, *shared;
};
NEAP_DEFINE_TYPE(both, (plain, NEAP_ATOMIC(shared)));
struct peeked {
    struct peeked *shared;
};
NEAP_DEFINE_TYPE(peeked, (NEAP_ATOMIC(shared)), .flags = NEAP_PEEKABLE);

static struct both *begin(void)
{
    if (neap_init(NULL) != NEAP_OK)
        exit(1);
    return neap_new(both);
}

static void get_atomic(void *arg)
{
    (void)arg;
    (void)!neap_get(&begin()->shared);
}

static void set_atomic(void *arg)
{
    (void)arg;
    struct both *both = begin();
    neap_set(&both->shared, both);
}

static void load_plain(void *arg)
{
    (void)arg;
    (void)!neap_load(&begin()->plain);
}

static void store_plain(void *arg)
{
    (void)arg;
    struct both *both = begin();
    neap_store(&both->plain, both);
}

/* A peek that ended: the object was taken out of its slot, and its grace period is over. */
static struct peeked *peek_too_long(void)
{
    if (neap_init(NULL) != NEAP_OK)
        exit(1);
    struct peeked *holder = neap_new(peeked), *gone = neap_new(peeked);
    neap_store(&holder->shared, gone);
    neap_release(gone);
    struct peeked *peeked = neap_peek(&holder->shared);
    neap_store(&holder->shared, NULL);
    if (neap_try_retain(peeked) != NULL)
        exit(2); /* dead, but still there: no panic */
    for (int i = 0; i < 5; i++)
        neap_safepoint();
    return peeked;
}

static void load_through_ended(void *arg)
{
    (void)arg;
    (void)!neap_load(&peek_too_long()->shared);
}

static void retain_ended(void *arg)
{
    (void)arg;
    (void)!neap_try_retain(peek_too_long());
}

int main(void)
{
#if NP_CHECK_LEVEL >= 1
    plan_lazy();
    dies_with(get_atomic, NULL, "declared atomic", "neap_get of an atomic slot");
    dies_with(set_atomic, NULL, "declared atomic", "neap_set of an atomic slot");
    dies_with(load_plain, NULL, "declared plain", "neap_load of a plain slot");
    dies_with(store_plain, NULL, "declared plain", "neap_store of a plain slot");
    dies_with(load_through_ended, NULL, "every peek ends", "a load through a peek that has ended");
    dies_with(retain_ended, NULL, "every peek ends", "keeping a peek that has ended");
    return done();
#else
    (void)get_atomic, (void)set_atomic, (void)load_plain, (void)store_plain,
        (void)load_through_ended, (void)retain_ended;
    skip_all("kinds are checked in debug builds");
#endif
}
