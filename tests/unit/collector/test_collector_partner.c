/* SPDX-License-Identifier: MIT
 *
 * The second thread of concurrent collections: it takes a share that it comes in time for, is done
 * without where it cannot be had, and is asked for again by the next cycle. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <unistd.h>

#include "base/fault.h"
#include "collector/partner.h"
#include "tests/tap.h"

enum { LOOKS = 60000, SHARES = 200 };

static atomic_int calls[2];
static bool waits; /* the first thread, for the second one's share */

static void count(unsigned who)
{
    atomic_fetch_add(&calls[who], 1);
    for (int i = 0; who == 0 && waits && i < LOOKS && atomic_load(&calls[1]) == 0; i++)
        NEAP_BLOCKED((void)usleep(1000));
}

static void forget(void)
{
    atomic_store(&calls[0], 0);
    atomic_store(&calls[1], 0);
}

static void expect_alone(const char *name)
{
    forget();
    waits = false;
    np_partner_share(count);
    ok(atomic_load(&calls[0]) == 1 && atomic_load(&calls[1]) == 0, "%s", name);
}

static void expect_both(const char *name)
{
    forget();
    waits = true;
    np_partner_share(count);
    ok(atomic_load(&calls[0]) == 1 && atomic_load(&calls[1]) == 1, "%s", name);
}

/* Offers that are withdrawn, taken late and taken at once. */
static void share_often(void)
{
    forget();
    waits = false;
    for (int i = 0; i < SHARES; i++)
        np_partner_share(count);
    is_int(atomic_load(&calls[0]), SHARES, "the first thread has all its shares");
    ok(atomic_load(&calls[1]) <= SHARES, "and the second one no more (%d)", atomic_load(&calls[1]));
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    neap_gc_disable();
    expect_alone("nobody is asked while nobody is wanted");
    np_partner_want(true);
    np_fault_arm(1, 0, 1);
    expect_alone("a thread that is refused is done without");
    np_fault_disarm();
    expect_alone("and not asked for again in this cycle");
    np_partner_want(true);
    expect_both("but in the next one");
    share_often();
    expect_both("and is there still");
    np_partner_end();
    np_partner_want(false);
    expect_alone("until it is ended");
    np_partner_end();
    is_int(neap_shutdown(NULL), 0, "nothing is alive in the end");
    return done();
}
