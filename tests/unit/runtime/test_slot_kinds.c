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

int main(void)
{
#if NP_CHECK_LEVEL >= 1
    plan_lazy();
    dies_with(get_atomic, NULL, "declared atomic", "neap_get of an atomic slot");
    dies_with(set_atomic, NULL, "declared atomic", "neap_set of an atomic slot");
    dies_with(load_plain, NULL, "declared plain", "neap_load of a plain slot");
    dies_with(store_plain, NULL, "declared plain", "neap_store of a plain slot");
    return done();
#else
    (void)get_atomic, (void)set_atomic, (void)load_plain, (void)store_plain;
    skip_all("kinds are checked in debug builds");
#endif
}
