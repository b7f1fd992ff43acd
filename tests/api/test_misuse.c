/* SPDX-License-Identifier: MIT
 *
 * Misuse that is caught in release builds too: each ends in a panic that names the call, the object
 * and the rule. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdlib.h>

#include "tests/death.h"
#include "tests/tap.h"

struct victim {
    struct victim *next;
};
NEAP_DEFINE_TYPE(victim, (next));
struct bare {
    long value[4];
};
NEAP_DEFINE_TYPE(bare, ());

static void begin(void)
{
    if (neap_init(NULL) != NEAP_OK)
        exit(1);
}

static void release_twice(void *arg)
{
    (void)arg;
    begin();
    struct bare *bare = neap_new(bare);
    neap_release(bare);
    neap_release(bare);
}

static void release_twice_shared(void *arg)
{
    (void)arg;
    begin();
    struct victim *victim = neap_new(victim);
    neap_release(neap_weak_new(victim)); /* published: the death is an atomic transition */
    neap_release(victim);
    neap_release(victim);
}

static void retain_dead(void *arg)
{
    (void)arg;
    begin();
    struct victim *victim = neap_new(victim);
    neap_release(victim);
    neap_retain(victim);
}

static void release_malloced(void *arg)
{
    (void)arg;
    begin();
    void *memory = calloc(1, 64);
    neap_release((char *)memory + 32);
}

static void *release_unattached(void *arg)
{
    neap_release(arg);
    return NULL;
}

static void use_unattached(void *arg)
{
    (void)arg;
    begin();
    pthread_t thread;
    if (pthread_create(&thread, NULL, release_unattached, neap_new(victim)) == 0)
        pthread_join(thread, NULL);
}

static void *new_unattached(void *arg)
{
    (void)arg;
    return neap_new(victim);
}

static void make_unattached(void *arg)
{
    (void)arg;
    begin();
    pthread_t thread;
    if (pthread_create(&thread, NULL, new_unattached, NULL) == 0)
        pthread_join(thread, NULL);
}

static void retain_blocking(void *arg)
{
    (void)arg;
    begin();
    struct victim *victim = neap_new(victim);
    NEAP_BLOCKING
    {
        neap_retain(victim);
    }
}

static void new_blocking(void *arg)
{
    (void)arg;
    begin();
    NEAP_BLOCKING
    {
        neap_release(neap_new(victim));
    }
}

static void poll_blocking(void *arg)
{
    (void)arg;
    begin();
    NEAP_BLOCKING
    {
        neap_safepoint();
    }
}

static void *poll_it(void *arg)
{
    neap_safepoint();
    return arg;
}

static void poll_unattached(void *arg)
{
    (void)arg;
    begin();
    pthread_t thread;
    if (pthread_create(&thread, NULL, poll_it, NULL) == 0)
        pthread_join(thread, NULL);
}

static void poll_detached(void *arg)
{
    begin();
    neap_thread_detach();
    neap_safepoint();
    (void)arg;
}

static void leave_unentered(void *arg)
{
    (void)arg;
    begin();
    neap_blocking_leave();
}

static void type_of_dead(void *arg)
{
    (void)arg;
    begin();
    struct bare *bare = neap_new(bare);
    neap_release(bare);
    (void)neap_type_of(bare);
}

struct plainly {
    struct victim *slot;
};
NEAP_DEFINE_TYPE(plainly, (NEAP_ATOMIC(slot)));

static void *load_it(void *arg)
{
    if (neap_thread_attach("reader") != NEAP_OK)
        return NULL;
    return neap_load(&((struct plainly *)arg)->slot);
}

static void stored_plainly(void *arg)
{
    (void)arg;
    begin();
    struct plainly *holder = neap_new(plainly);
    holder->slot = neap_new(victim);
    pthread_t thread;
    if (pthread_create(&thread, NULL, load_it, holder) == 0)
        neap_thread_join(thread, NULL);
}

int main(void)
{
    plan_lazy();
    dies_with(release_twice, NULL, "not a living object", "a second release");
    dies_with(release_twice, NULL, "neap_release", "names the call");
    dies_with(release_twice_shared, NULL, "not a living object",
              "a second release of a shared object");
    dies_with(retain_dead, NULL, "neap_retain", "retaining the dead");
    dies_with(release_malloced, NULL, "not a living object", "releasing what is not an object");
    dies_with(use_unattached, NULL, "neap_thread_attach",
              "releasing from a thread that is not attached");
    dies_with(make_unattached, NULL, "neap_thread_attach", "making an object there");
    dies_with(retain_blocking, NULL, "blocking region", "retaining in a blocking region");
    dies_with(new_blocking, NULL, "blocking region", "making an object in a blocking region");
    dies_with(poll_blocking, NULL, "neap_safepoint: called inside a blocking region",
              "a poll in a blocking region");
    dies_with(poll_unattached, NULL, "neap_safepoint: this thread is not attached",
              "a poll of a thread that never was attached");
    dies_with(poll_detached, NULL, "neap_safepoint: this thread is not attached",
              "a poll of one that is no longer");
    dies_with(leave_unentered, NULL, "not inside a blocking region",
              "leaving a region never entered");
    dies_with(type_of_dead, NULL, "is not an object, or is dead", "asking the dead for its type");
    dies_with(stored_plainly, NULL, "neap_store", "loading from a slot that was written plainly");
    return done();
}
