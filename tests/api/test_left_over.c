/* SPDX-License-Identifier: MIT
 *
 * What a budget or a grace period left for later is done at the thread's next safepoints, whatever
 * other quiescent points, which run no user code, lie between; and by others if it sleeps. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <unistd.h>

#include "tests/tap.h"

enum { LINKS = 20, SAFEPOINTS = 100, LOOKS = 6000, LOOK_US = 10000 };

struct link {
    struct link *next;
};
static atomic_int disposed;
static atomic_int by_strangers; /* neither this thread nor the one that polls */
static pthread_t sleeper, poller;
static void link_dispose(void *self)
{
    (void)self;
    if (!pthread_equal(pthread_self(), sleeper) && !pthread_equal(pthread_self(), poller))
        by_strangers++;
    disposed++;
}
NEAP_DEFINE_TYPE(link, (next), .dispose = link_dispose);

struct entry {
    struct entry *next;
};
static void entry_dispose(void *self)
{
    (void)self;
    disposed++;
}
NEAP_DEFINE_TYPE(entry, (NEAP_ATOMIC(next)), .dispose = entry_dispose, .flags = NEAP_PEEKABLE);

struct leaf {
    int value;
};
NEAP_DEFINE_TYPE(leaf, ());
struct cell {
    struct leaf *leaf;
};
NEAP_DEFINE_TYPE(cell, (leaf));

static struct link *make_chain(void)
{
    struct link *first = NULL;
    for (int i = 0; i < LINKS; i++) {
        struct link *link = neap_new(link);
        neap_give(&link->next, first);
        first = link;
    }
    return first;
}

static struct entry *make_entries(void)
{
    struct entry *first = NULL;
    for (int i = 0; i < LINKS; i++) {
        struct entry *entry = neap_new(entry);
        neap_store(&entry->next, first);
        neap_release(first);
        first = entry;
    }
    struct entry *before = neap_new(entry);
    neap_store(&before->next, first); /* published: it waits for readers */
    neap_release(first);
    return before;
}

static void lock_something(void)
{
    static struct link *locked;
    if (locked == NULL)
        locked = neap_new(link);
    neap_lock(locked);
    neap_unlock(locked);
    neap_clear(&locked);
}

static void run_nothing(void)
{
    (void)neap_run_pending(0);
}

/* The chain is dropped, another quiescent point comes first, then safepoints. */
static void expect_all_dead(void (*point)(void), const char *name)
{
    disposed = 0;
    neap_release(make_chain());
    ok(disposed < LINKS, "the budget leaves some of a chain for later");
    point();
    int before = disposed;
    for (int i = 0; i < SAFEPOINTS; i++)
        neap_safepoint();
    ok(disposed >= LINKS && before < LINKS, "%s, then safepoints: %d of %d are dead", name,
       disposed, LINKS);
    disposed = 0;
    neap_release(make_entries());
    point();
    for (int i = 0; i < SAFEPOINTS; i++)
        neap_safepoint();
    ok(disposed > LINKS, "%s, then safepoints: %d of %d peekable ones are dead", name, disposed,
       LINKS + 1);
}

static void note_gone(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* An array whose end somebody wants to know of: its children alone exceed the budget. */
static void drop_watched_array(atomic_int *gone)
{
    struct cell *cells = neap_new_array(cell, LINKS);
    for (int i = 0; i < LINKS; i++)
        neap_give(&cells[i].leaf, neap_new(leaf));
    if (neap_cleanup_add(cells, note_gone, gone) != NEAP_OK)
        bail("neap_cleanup_add");
    neap_release(cells);
}

/* This thread sleeps in one blocking region until `count` has come to `wanted`. */
static void sleep_until(atomic_int *count, int wanted, const char *name)
{
    NEAP_BLOCKING
    {
        for (int i = 0; i < LOOKS && atomic_load(count) < wanted; i++)
            usleep(LOOK_US);
    }
    is_int(atomic_load(count), wanted, "%s", name);
}

static void expect_dead_asleep(void)
{
    disposed = by_strangers = 0;
    neap_release(make_chain());
    sleep_until(&disposed, LINKS, "a chain with disposals, while its thread sleeps");
    ok(by_strangers > 0, "which the helper ran");
    disposed = 0;
    neap_release(make_entries());
    sleep_until(&disposed, LINKS + 1, "peekable ones");
    atomic_int gone = 0;
    drop_watched_array(&gone);
    sleep_until(&gone, 1, "an array with a cleanup");
}

/* What is queued inside a disposal waits for its end, even if that sleeps and the helper comes by.
 */
static int in_slow = -1; /* of how many when the first had slept */
static atomic_int disposed_slowly;
struct sleepy {
    int value;
};
static void sleepy_dispose(void *self)
{
    (void)self;
    if (disposed_slowly++ > 0)
        return;
    NEAP_BLOCKED(usleep(20 * LOOK_US)); /* several rounds of the helper */
    in_slow = disposed_slowly;
}
NEAP_DEFINE_TYPE(sleepy, (), .dispose = sleepy_dispose, .flags = NEAP_PROMPT);
struct parent {
    struct sleepy *children[LINKS];
};
NEAP_DEFINE_TYPE(parent, (children));

static void expect_nobody_interferes(void)
{
    struct parent *parent = neap_new(parent);
    for (int i = 0; i < LINKS; i++)
        neap_give(&parent->children[i], neap_new(sleepy));
    disposed_slowly = 0;
    neap_release(parent);
    is_int(in_slow, 1, "while a disposal sleeps nobody disposes of what is queued behind it");
    is_int(disposed_slowly, LINKS, "and prompt ones are all dead when the release returns");
}

static void expect_dead_by_tick(void)
{
    disposed = by_strangers = 0;
    neap_release(make_chain());
    neap_tick();
    is_int(disposed, LINKS, "neap_tick disposes of what is left over of the caller's");
}

static atomic_bool enough, polls;
static void *poll_until_enough(void *arg)
{
    (void)arg;
    poller = pthread_self();
    atomic_store(&polls, true);
    while (!atomic_load(&enough)) {
        neap_safepoint();
        NEAP_BLOCKED(usleep(LOOK_US));
    }
    return NULL;
}

/* The helper may not run user code: it hands it to whoever polls. */
static void expect_dead_by_poller(void)
{
    pthread_t thread;
    if (neap_thread_create(&thread, "poller", poll_until_enough, NULL) != NEAP_OK)
        bail("neap_thread_create");
    while (!atomic_load(&polls))
        (void)NEAP_BLOCKED(usleep(LOOK_US));
    disposed = by_strangers = 0;
    neap_release(make_chain());
    sleep_until(&disposed, LINKS, "finalize_ms=0: a chain with disposals");
    is_int(by_strangers, 0, "which none but a thread of the program's ran");
    atomic_int gone = 0;
    drop_watched_array(&gone);
    sleep_until(&gone, 1, "an array with a cleanup");
    atomic_store(&enough, true);
    neap_thread_join(thread, NULL);
}

static void with(uint64_t helper, uint64_t finalize_ms, void (*function)(void))
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.release_budget = 1;
    options.helper = helper;
    options.finalize_ms = finalize_ms;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    function();
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
}

static void expect_dead_awake(void)
{
    expect_all_dead(run_nothing, "neap_run_pending(0)");
    expect_all_dead(lock_something, "neap_lock");
}

int main(void)
{
    plan_lazy();
    sleeper = poller = pthread_self();
    with(0, 20, expect_dead_awake);
    with(1, 20, expect_dead_asleep);
    with(1, 0, expect_dead_by_poller);
    with(1, 20, expect_nobody_interferes);
    with(0, 0, expect_dead_by_tick);
    return done();
}
