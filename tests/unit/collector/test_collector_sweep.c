/* SPDX-License-Identifier: MIT
 *
 * Much plain garbage is freed by the whole crew, pool by pool, while the world runs: whoever owns
 * the pools, nothing is freed twice or left, what leaves the set is released once, weak references,
 * cleanups and statistics are right. Also with threads that come and go and a fork meanwhile. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/queue.h"
#include "collector/sweep.h"
#include "tests/tap.h"

/* base/queue.h knows both compilers' names for it. */
#ifdef NP_TSAN
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum {
    WORKERS = 4,
    NODES = 24000,
    SPECIAL_EVERY = 200,
    SPECIALS = (NODES - 1) / SPECIAL_EVERY,
    RINGS = 3,
    WEAKS = RINGS * SPECIALS
};

struct node {
    void *a, *b;
    int64_t id;
};
NEAP_DEFINE_TYPE(node, (a, b));
struct large {
    void *a;
    char payload[2000];
};
NEAP_DEFINE_TYPE(large, (a));
struct leaf {
    int64_t id;
};
NEAP_DEFINE_TYPE(leaf, ());

static struct node *keeper;            /* every special node refers to it: released, not freed */
static atomic_int callbacks, cleanups; /* calls */
static struct neap_weak *weaks[WEAKS];
static atomic_int weak_count;

static void *checked(void *object)
{
    if (object == NULL)
        bail("out of memory");
    return object;
}

static void on_weak(struct neap_weak *weak, void *arg)
{
    (void)weak;
    (void)arg;
    atomic_fetch_add(&callbacks, 1);
}

static void on_end(void *arg)
{
    (void)arg;
    atomic_fetch_add(&cleanups, 1);
}

static void put_in(struct neap_list *list, void *object)
{
    if (neap_list_append(list, checked(object)) != NEAP_OK)
        bail("out of memory");
}

/* Of the first few; others call nobody back. */
static void keep_weak(struct neap_weak *weak)
{
    int place = atomic_fetch_add(&weak_count, 1);
    if (place < WEAKS)
        weaks[place] = weak;
    else
        neap_release(weak);
}

static void drop_weaks(void)
{
    int count = atomic_exchange(&weak_count, 0);
    for (int i = 0; i < count && i < WEAKS; i++)
        neap_release(weaks[i]);
}

/* What the node has beside its place in the ring: a weak reference, cleanups, something that only
 * it holds, and members of the garbage that are not simple. */
static void make_special(struct node *node, struct node *first)
{
    struct neap_list *list = checked(neap_list_new());
    struct large *large = checked(neap_new(large));
    struct node *array = checked(neap_new_array(node, 3));
    struct leaf *leaf = checked(neap_new(leaf));
    keep_weak(checked(neap_weak_new_with(node, on_weak, NULL)));
    if (neap_cleanup_add(node, on_end, NULL) != NEAP_OK ||
        neap_cleanup_add(leaf, on_end, NULL) != NEAP_OK)
        bail("out of memory");
    neap_set(&large->a, first);
    neap_set(&array[2].b, first);
    put_in(list, first);
    put_in(list, keeper);
    put_in(list, leaf);
    put_in(list, large);
    put_in(list, array);
    neap_release(leaf);
    neap_release(large);
    neap_release(array);
    neap_give(&node->b, list);
}

/* A ring with chords, dropped. */
static void make_garbage(void)
{
    struct node *first = checked(neap_new(node)), *last = first;
    for (int64_t i = 1; i < NODES; i++) {
        struct node *fresh = checked(neap_new(node));
        fresh->id = i;
        neap_set(&fresh->b, i % 3 == 0 ? keeper : last);
        if (i % SPECIAL_EVERY == 0)
            make_special(fresh, first);
        neap_set(&last->a, fresh);
        if (last != first)
            neap_release(last);
        last = fresh;
    }
    neap_set(&last->a, first);
    neap_release(last);
    neap_release(first);
}

/* ---- garbage in everybody's pools ---- */

enum { MEMBERS = RINGS * (NODES + 3 * SPECIALS) }; /* with list, large one and array */

static atomic_int built, end;

static void *build_and_leave(void *unused)
{
    make_garbage();
    return unused;
}

/* Goes on making and dropping objects in its pools while part of them is freed by others. */
static void *build_and_work(void *unused)
{
    make_garbage();
    atomic_store(&built, 1);
    while (!atomic_load(&end)) {
        struct node *node = checked(neap_new(node));
        neap_set(&node->a, keeper);
        neap_release(node);
        neap_safepoint();
    }
    return unused;
}

static void *build_and_sleep(void *unused)
{
    make_garbage();
    NEAP_BLOCKING
    {
        atomic_store(&built, 1);
        while (!atomic_load(&end))
            usleep(1000);
    }
    return unused;
}

static void start(pthread_t *ret_thread, void *(*run)(void *unused))
{
    if (neap_thread_create(ret_thread, "builder", run, NULL) != NEAP_OK)
        bail("neap_thread_create");
}

static void finish(pthread_t thread)
{
    atomic_store(&end, 1);
    if (neap_thread_join(thread, NULL) != NEAP_OK)
        bail("neap_thread_join");
}

static bool count_node(void *object, void *arg)
{
    size_t *ret_nodes = arg;
    *ret_nodes += neap_type_of(object) == &neap_typeof_node;
    return true;
}

static size_t nodes_alive(void)
{
    size_t nodes = 0;
    (void)neap_gc_each_object(-1, count_node, &nodes);
    return nodes;
}

static unsigned workers_that_freed(const uint64_t before[NP_CREW_MOST], uint64_t *ret_freed)
{
    uint64_t after[NP_CREW_MOST];
    unsigned workers = 0;
    np_sweep_read(after);
    *ret_freed = 0;
    for (unsigned i = 0; i < NP_CREW_MOST; i++) {
        workers += after[i] > before[i];
        *ret_freed += after[i] - before[i];
    }
    return workers;
}

static void check_watchers(int wanted)
{
    size_t dead = 0;
    is_int(atomic_load(&callbacks), wanted, "every weak reference has called back once");
    is_int(atomic_load(&cleanups), 2 * wanted, "every cleanup has run once");
    for (int i = 0; i < wanted; i++) {
        void *object = neap_weak_get(weaks[i]);
        dead += object == NULL;
    }
    drop_weaks();
    is_int(dead, wanted, "and no weak reference finds anything");
}

/* second: makes a ring and stays; a third thread makes one and is gone. */
static void free_together(const char *what, void *(*second)(void *unused))
{
    struct neap_stats before, after;
    uint64_t freed[NP_CREW_MOST], total;
    pthread_t stays, leaves;
    atomic_store(&weak_count, 0);
    atomic_store(&callbacks, 0);
    atomic_store(&cleanups, 0);
    atomic_store(&built, 0);
    atomic_store(&end, 0);
    (void)neap_collect(2);
    neap_stats_get(&before);
    start(&leaves, build_and_leave);
    if (neap_thread_join(leaves, NULL) != NEAP_OK)
        bail("neap_thread_join");
    start(&stays, second);
    make_garbage();
    while (!atomic_load(&built))
        (void)NEAP_BLOCKED(usleep(1000));
    np_sweep_read(freed);
    is_int(neap_collect(2), MEMBERS, "%s: all of the garbage was found", what);
    (void)workers_that_freed(freed, &total);
    is_int(total, MEMBERS - RINGS * SPECIALS, "all but the large ones");
    finish(stays);
    check_watchers(RINGS * SPECIALS);
    is_int(neap_refcount(keeper), 1, "what left the garbage was released, once each");
    (void)neap_collect(2); /* what was released for other threads is on its way */
    neap_stats_get(&after);
    is_int(after.objects, before.objects, "as many objects are left as there were");
    is_int(after.object_bytes, before.object_bytes, "of as many bytes");
    is_int(nodes_alive(), 1, "and the walkers find but one node");
}

/* Who comes first takes what there is: on a busy machine one worker may have had it all. */
static void by_several(void)
{
    enum { PATIENCE = 1000 };
    unsigned workers = 0;
    int times = 0;
    for (; times < PATIENCE && workers < 2; times++) {
        uint64_t freed[NP_CREW_MOST], total;
        np_sweep_read(freed);
        make_garbage();
        (void)neap_collect(2);
        drop_weaks();
        workers = workers_that_freed(freed, &total);
    }
    ok(workers >= 2, "%u workers free together, at the latest the %dth time", workers, times);
}

/* ---- threads that come and go ---- */

static void *come_and_go(void *unused)
{
    while (!atomic_load(&end)) {
        pthread_t thread;
        start(&thread, build_and_leave);
        if (neap_thread_join(thread, NULL) != NEAP_OK)
            bail("neap_thread_join");
        atomic_store(&built, 1);
    }
    return unused;
}

static void while_threads_come_and_go(void)
{
    enum { TIMES = 3 };
    struct neap_stats before, after;
    pthread_t churner;
    atomic_store(&end, 0);
    neap_stats_get(&before);
    for (int i = 0; i < TIMES; i++) {
        atomic_store(&built, 0);
        atomic_store(&end, 0);
        start(&churner, come_and_go);
        while (!atomic_load(&built))
            (void)NEAP_BLOCKED(usleep(1000));
        (void)neap_collect(2);
        finish(churner);
        drop_weaks();
    }
    (void)neap_collect(2);
    neap_stats_get(&after);
    is_int(after.objects, before.objects, "threads that come and go: nothing is left");
    is_int(neap_refcount(keeper), 1, "and nothing was released twice");
}

/* ---- fork ---- */

static atomic_int collected;

static void *collect_again_and_again(void *unused)
{
    while (!atomic_load(&end)) {
        make_garbage();
        (void)neap_collect(2);
        drop_weaks();
        atomic_fetch_add(&collected, 1);
    }
    return unused;
}

static int works_in_child(void)
{
    struct neap_stats before, after;
    (void)neap_collect(2); /* what the others were about to free */
    neap_stats_get(&before);
    atomic_store(&weak_count, 0); /* what the other thread held stays where it is */
    make_garbage();
    ptrdiff_t found = neap_collect(2);
    drop_weaks();
    neap_stats_get(&after);
    return found == MEMBERS / RINGS && after.objects == before.objects ? 0 : 1;
}

static void while_forking(void)
{
    enum { FORKS = 4 };
    pthread_t other;
    int wrong = 0;
    atomic_store(&end, 0);
    start(&other, collect_again_and_again);
    for (int i = 0; i < FORKS; i++) {
        uint64_t freed[NP_CREW_MOST], total = 0;
        np_sweep_read(freed);
        while (total == 0) { /* one is at it */
            neap_safepoint();
            (void)workers_that_freed(freed, &total);
        }
        pid_t child = fork();
        if (child == 0)
            _exit(works_in_child());
        int status = -1;
        wrong += child < 0 || NEAP_BLOCKED(waitpid(child, &status, 0)) != child || status != 0;
    }
    finish(other);
    is_int(wrong, 0, "children forked while another thread's garbage is freed collect theirs");
}

int main(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    plan_lazy();
    options.collector_threads = WORKERS;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    neap_gc_disable();
    keeper = checked(neap_new(node));
    free_together("beside a thread that works", build_and_work);
    free_together("beside one that sleeps", build_and_sleep);
    by_several();
    while_threads_come_and_go();
    if (SANITIZED)
        skip(1, "the sanitizer refuses threads in a forked child");
    else
        while_forking();
    neap_release(keeper);
    is_int(neap_shutdown(NULL), 0, "in the end nothing is alive");
    return done();
}
