/* SPDX-License-Identifier: MIT
 *
 * fork from inside what neap calls: a walker's function, a disposal, a collection's callback, a
 * blocking region. The child goes on from there, collects, and has a helper of its own again. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"

struct node {
    struct node *next;
};
NEAP_DEFINE_TYPE(node, (next));

struct hub {
    struct watched *slot;
};
NEAP_DEFINE_TYPE(hub, (NEAP_ATOMIC(slot)));

static atomic_int disposed;
static pid_t child;
static int forks;

struct watched {
    int value;
};
static void watched_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(watched, (), .dispose = watched_dispose, .flags = NEAP_PEEKABLE);

static void fork_here(void)
{
    if (forks++ == 0 && (child = fork()) < 0)
        bail("fork");
}

struct forker {
    int value;
};
static void forker_dispose(void *self)
{
    (void)self;
    fork_here();
}
NEAP_DEFINE_TYPE(forker, (), .dispose = forker_dispose);

static bool fork_in_walk(void *object, void *arg)
{
    (void)object;
    (void)arg;
    fork_here();
    return true;
}

static void fork_in_callback(const struct neap_gc_event *event, void *arg)
{
    (void)event;
    (void)arg;
    fork_here();
}

static void in_walk(void)
{
    (void)neap_gc_each_object(-1, fork_in_walk, NULL);
}

static void in_dispose(void)
{
    neap_release(neap_new(forker));
}

static void in_callback(void)
{
    if (neap_gc_add_callback(fork_in_callback, NULL) != NEAP_OK)
        bail("neap_gc_add_callback");
    (void)neap_collect(2);
    neap_gc_remove_callback(fork_in_callback, NULL);
}

static void in_region(void)
{
    NEAP_BLOCKING
    {
        fork_here();
    }
}

/* Both the child and the parent still have a runtime. */
static bool works(void)
{
    struct node *a = neap_new(node), *b = neap_new(node);
    neap_set(&a->next, b);
    neap_set(&b->next, a);
    neap_release(a);
    neap_release(b);
    return neap_collect(2) == 2 && neap_gc_each_object(-1, fork_in_walk, NULL) > 0;
}

/* Something dies after a grace period, and its thread goes to sleep: the helper disposes of it. */
static bool helper_helps(void)
{
    struct hub *hub = neap_new(hub);
    struct watched *watched = neap_new(watched);
    int before = atomic_load(&disposed);
    neap_store(&hub->slot, watched);
    neap_release(watched);
    neap_store(&hub->slot, NULL);
    for (int i = 0; i < 20000 && atomic_load(&disposed) == before; i++)
        (void)NEAP_BLOCKED(usleep(1000));
    neap_release(hub);
    return atomic_load(&disposed) == before + 1;
}

static void test_fork(const char *where, void (*act)(void))
{
    forks = 0;
    child = -1;
    act();
    bool right = works();
#if !defined(__SANITIZE_THREAD__) /* which refuses threads in a forked child */
    right = helper_helps() && right;
#endif
    if (child == 0)
        _exit(right ? 0 : 1);
    int status = -1;
    ok(right, "fork in %s: the parent goes on", where);
    ok(NEAP_BLOCKED(waitpid(child, &status, 0)) == child && status == 0,
       "fork in %s: the child works, its helper too", where);
}

int main(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.finalize_ms = 5;
    plan_lazy();
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    struct node *kept = neap_new(node); /* for walkers to find */
    ok(helper_helps(), "the helper disposes of what a sleeping thread left");
    test_fork("a walker's function", in_walk);
    test_fork("a disposal", in_dispose);
    test_fork("a collection's callback", in_callback);
    test_fork("a blocking region", in_region);
    neap_release(kept);
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
