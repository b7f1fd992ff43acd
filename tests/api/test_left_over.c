/* SPDX-License-Identifier: MIT
 *
 * What a budget or a grace period left for later is done at the thread's next safepoints, whatever
 * other quiescent points, which run no user code, lie between. */
#include <neap/neap.h>

#include "tests/tap.h"

enum { LINKS = 20, SAFEPOINTS = 100 };

struct link {
    struct link *next;
};
static int disposed;
static void link_dispose(void *self)
{
    (void)self;
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

int main(void)
{
    plan(7);
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.release_budget = 1;
    options.helper = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    expect_all_dead(run_nothing, "neap_run_pending(0)");
    expect_all_dead(lock_something, "neap_lock");
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
