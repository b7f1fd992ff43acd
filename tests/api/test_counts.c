/* SPDX-License-Identifier: MIT
 *
 * References: one thread, two threads, owners that are gone, blocked or busy; who dies where and
 * when. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <unistd.h>

#include "tests/harness.h"

struct leaf {
    long value;
};
NEAP_DEFINE_TYPE(leaf, ());

static atomic_int disposed;

struct watched {
    struct watched *next;
    int id;
};
static void watched_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(watched, (next), .dispose = watched_dispose);

static void one_thread(void)
{
    struct leaf *leaf = neap_new(leaf);
    ok(leaf != NULL && leaf->value == 0, "a new object is zero");
    is_int(neap_refcount(leaf), 1, "and has one reference");
    ok(neap_retain(leaf) == leaf, "retain returns its argument");
    is_int(neap_refcount(leaf), 2, "and counts");
    neap_release(leaf);
    is_int(neap_refcount(leaf), 1, "release counts down");
    ok(neap_is(leaf, leaf) && !neap_is(leaf, watched), "the object knows its type");
    is_int(neap_size_of(leaf), 32, "16 bytes of header in front of the struct, 32 at least");
    ok(!neap_is_tracked(leaf), "a type without slots is not tracked");
    neap_release(leaf);
    neap_release(NULL);
    ok(neap_retain((struct leaf *)NULL) == NULL, "NULL is fine");

    struct watched *watched = neap_new(watched);
    ok(neap_is_tracked(watched), "a type with slots is tracked");
    neap_retain(watched);
    neap_release(watched);
    is_int(atomic_load(&disposed), 0, "alive while referred to");
    neap_release(watched);
    is_int(atomic_load(&disposed), 1, "disposed of before the last release returns");
}

static void arrays(void)
{
    struct leaf *many = neap_new_array(leaf, 1000);
    is_int(neap_length(many), 1000, "an array knows its length");
    bool zero = true;
    for (int i = 0; i < 1000; i++)
        zero = zero && many[i].value == 0;
    ok(zero, "and is zero");
    neap_release(many);
    ok(neap_object_new_array(&neap_typeof_leaf, SIZE_MAX / 4) == NULL,
       "an absurd count fails cleanly");
    ok(neap_object_new(&neap_typeof_leaf, SIZE_MAX - 4) == NULL, "an absurd size fails cleanly");
    int before = atomic_load(&disposed);
    struct watched *chain = neap_new_array(watched, 100);
    for (int i = 0; i < 100; i++)
        neap_give(&chain[i].next, neap_new(watched));
    neap_release(chain);
    is_int(atomic_load(&disposed) - before, 101, "an array releases what each element holds");
}

/* ---- two threads ---- */

static struct watched *passed;

static void drop_passed(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    neap_release(passed);
}

static void foreign_release(void)
{
    int before = atomic_load(&disposed);
    passed = neap_new(watched);
    harness_run(1, drop_passed, NULL);
    neap_safepoint();
    is_int(atomic_load(&disposed) - before, 1, "an object released by another thread dies");

    passed = neap_new(watched);
    neap_retain(passed);
    harness_run(1, drop_passed, NULL);
    is_int(neap_refcount(passed), 1, "a foreign release of one of two references is counted");
    neap_release(passed);
    is_int(atomic_load(&disposed) - before, 2, "and the other release is the last");
}

enum { SHARED_ROUNDS = 20000 };

static void churn(void *arg, unsigned index)
{
    struct watched *object = arg;
    for (int i = 0; i < SHARED_ROUNDS; i++) {
        neap_retain(object);
        if ((i + (int)index) % 64 == 0)
            neap_safepoint();
        neap_release(object);
    }
    neap_release(object);
}

static void shared_by_eight(void)
{
    int before = atomic_load(&disposed);
    struct watched *object = neap_new(watched);
    for (int i = 0; i < 8; i++)
        neap_retain(object);
    harness_run(8, churn, object);
    neap_safepoint();
    is_int(neap_refcount(object), 1, "eight threads' references come out even");
    is_int(atomic_load(&disposed) - before, 0, "and the object lives");
    neap_release(object);
    neap_safepoint();
    is_int(atomic_load(&disposed) - before, 1, "until the last one goes");
}

static struct watched *heirlooms[100];

static void make_heirlooms(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    for (int i = 0; i < 100; i++)
        heirlooms[i] = neap_new(watched);
}

static void owner_gone(void)
{
    int before = atomic_load(&disposed);
    harness_run(1, make_heirlooms, NULL);
    for (int i = 0; i < 100; i++)
        neap_release(heirlooms[i]);
    neap_safepoint();
    is_int(atomic_load(&disposed) - before, 100,
           "objects of a thread that is gone die by others' releases");
}

static void adopt_heirlooms(void *arg, unsigned index)
{
    (void)arg;
    (void)index;
    /* this thread has taken the slot of the one that made them: it owns them */
    for (int i = 0; i < 100; i++) {
        neap_retain(heirlooms[i]);
        neap_release(heirlooms[i]);
    }
    for (int i = 0; i < 50; i++)
        neap_release(heirlooms[i]);
}

static void slot_inherited(void)
{
    int before = atomic_load(&disposed);
    harness_run(1, make_heirlooms, NULL);
    harness_run(1, adopt_heirlooms, NULL);
    for (int i = 50; i < 100; i++)
        neap_release(heirlooms[i]);
    neap_safepoint();
    is_int(atomic_load(&disposed) - before, 100, "a thread that takes a slot inherits its objects");
}

static int ready_pipe[2], go_pipe[2];

static void owner_in_read(void *arg, unsigned index)
{
    (void)arg;
    char byte = 0;
    if (index == 0) {
        for (int i = 0; i < 100; i++)
            heirlooms[i] = neap_new(watched);
        ssize_t done_bytes =
            NEAP_BLOCKED((write(ready_pipe[1], &byte, 1), read(go_pipe[0], &byte, 1)));
        (void)done_bytes;
        return;
    }
    ssize_t got = NEAP_BLOCKED(read(ready_pipe[0], &byte, 1));
    int before = atomic_load(&disposed);
    for (int i = 0; i < 100; i++)
        neap_release(heirlooms[i]);
    neap_safepoint();
    is_int(got, 1, "the owner waits in read(2)");
    is_int(atomic_load(&disposed) - before, 100, "objects of a blocked owner die without it");
    got = write(go_pipe[1], &byte, 1);
}

int main(void)
{
    plan_lazy();
    harness_begin();
    one_thread();
    arrays();
    foreign_release();
    shared_by_eight();
    if (pipe(ready_pipe) != 0 || pipe(go_pipe) != 0)
        bail("no pipes");
    harness_run(2, owner_in_read, NULL);
    owner_gone();
    slot_inherited();
    return harness_end();
}
