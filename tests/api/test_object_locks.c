/* SPDX-License-Identifier: MIT
 *
 * neap_lock on objects: transfers between accounts by pairs, beside collections. */
#include <neap/neap.h>

#include "tests/death.h"
#include "tests/harness.h"

struct account {
    struct account *other;
    long balance;
};
NEAP_DEFINE_TYPE(account, (other));

enum { ACCOUNTS = 5, THREADS = 4, TRANSFERS = 2000 };

static struct account *accounts[ACCOUNTS];
static uint64_t seed;

static void transfer(void *arg, unsigned index)
{
    (void)arg;
    uint64_t state = seed + index;
    for (unsigned i = 0; i < TRANSFERS; i++) {
        struct account *from = accounts[harness_random(&state) % ACCOUNTS];
        struct account *to = accounts[harness_random(&state) % ACCOUNTS];
        neap_lock2(from, to);
        from->balance -= 3;
        neap_set(&from->other, to); /* a plain slot: the lock is what guards it */
        to->balance += 3;
        neap_unlock2(from, to);
        neap_lock(to);
        to->balance++;
        neap_unlock(to);
        if (i % 256 == index)
            neap_collect(0);
        neap_safepoint();
    }
}

static void lock_null(void *arg)
{
    if (neap_init(NULL) == NEAP_OK)
        neap_lock(arg);
}

static void lock_unattached(void *arg)
{
    neap_lock(arg);
}

int main(void)
{
    plan_lazy();
    long place = 0;
    dies_with(lock_null, NULL, "NULL is not an object", "NULL cannot be locked");
    dies_with(lock_unattached, &place, "neap_lock", "an unattached thread is told so");
    harness_begin();
    seed = harness_seed();
    for (unsigned i = 0; i < ACCOUNTS; i++)
        accounts[i] = neap_new(account);
    harness_run(THREADS, transfer, NULL);
    long total = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        total += accounts[i]->balance;
    is_int(total, THREADS * TRANSFERS, "no transfer is half done, no addition lost");
    for (unsigned i = 0; i < ACCOUNTS; i++)
        neap_release(accounts[i]);
    return harness_end();
}
