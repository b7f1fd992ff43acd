/* SPDX-License-Identifier: MIT
 *
 * Threads that neap did not make. Option auto_attach: the first call that needs an attached thread
 * attaches it, whichever that is, until it exits. A key destructor that runs after the exit has
 * detached the thread may still give a reference back. */
#include <neap/neap.h>

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/death.h"
#include "tests/harness.h"

struct node {
    struct node *plain, *atomic;
};
static atomic_int disposed;
static void node_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(node, (plain, NEAP_ATOMIC(atomic)), .dispose = node_dispose);

static struct node *hub;
static struct neap_weak *weak;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- auto_attach: each of these is a thread's first call ---- */

static void first_new(void)
{
    neap_release(neap_new(node));
}
static void first_array(void)
{
    neap_release(neap_new_array(node, 3));
}
static void first_retain(void)
{
    neap_release(neap_retain(hub));
}
static void first_take(void)
{
    struct node *value = neap_take(&hub->plain);
    neap_give(&hub->plain, value);
}
static void first_get(void)
{
    neap_release(neap_get(&hub->plain));
}
static void first_load(void)
{
    neap_release(neap_load(&hub->atomic));
}
static void first_store(void)
{
    neap_store(&hub->atomic, hub->plain);
}
static void first_exchange(void)
{
    neap_release(neap_exchange(&hub->atomic, hub->plain));
}
static void first_compare_exchange(void)
{
    (void)neap_compare_exchange(&hub->atomic, hub->plain, hub->plain);
}
static void first_try_retain(void)
{
    neap_release(neap_try_retain(hub));
}
static void first_weak_get(void)
{
    neap_release(neap_weak_get(weak));
}
static void first_weak_new(void)
{
    neap_release(neap_weak_new(hub));
}
static void first_safepoint(void)
{
    neap_safepoint();
}
static void first_blocking(void)
{
    (void)NEAP_BLOCKED(usleep(1));
}
static void first_mutex(void)
{
    if (neap_mutex_lock(&mutex) == 0)
        pthread_mutex_unlock(&mutex);
}
static void first_lock(void)
{
    neap_lock(hub);
    neap_unlock(hub);
}
static void first_lock2(void)
{
    neap_lock2(hub, weak);
    neap_unlock2(weak, hub);
}
static void first_collect(void)
{
    (void)neap_collect(2);
}
static void first_pending(void)
{
    (void)neap_run_pending(1);
}
static void first_tick(void)
{
    neap_tick();
}
static void first_defer(void)
{
    (void)neap_defer(hub);
    neap_undefer(hub);
}
static void first_adopt(void)
{
    (void)neap_adopt(hub);
}
static void first_list(void)
{
    neap_release(neap_list_new());
}
static bool go_on(void *object, void *arg)
{
    (void)object;
    (void)arg;
    return true;
}
static void first_walk(void)
{
    (void)neap_gc_each_object(-1, go_on, NULL);
}
static void first_detach(void)
{
    neap_safepoint();
    neap_thread_detach();
    neap_release(neap_new(node)); /* attaches anew */
}

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {
    {"neap_new", first_new},
    {"neap_new_array", first_array},
    {"neap_retain", first_retain},
    {"neap_take", first_take},
    {"neap_get", first_get},
    {"neap_load", first_load},
    {"neap_store", first_store},
    {"neap_exchange", first_exchange},
    {"neap_compare_exchange", first_compare_exchange},
    {"neap_try_retain", first_try_retain},
    {"neap_weak_get", first_weak_get},
    {"neap_weak_new", first_weak_new},
    {"neap_safepoint", first_safepoint},
    {"NEAP_BLOCKED", first_blocking},
    {"neap_mutex_lock", first_mutex},
    {"neap_lock", first_lock},
    {"neap_lock2", first_lock2},
    {"neap_collect", first_collect},
    {"neap_run_pending", first_pending},
    {"neap_tick", first_tick},
    {"neap_defer", first_defer},
    {"neap_adopt", first_adopt},
    {"neap_list_new", first_list},
    {"neap_gc_each_object", first_walk},
    {"neap_safepoint, again after neap_thread_detach", first_detach},
};

static uint64_t attached_now(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.threads;
}

static void *call_first(void *arg)
{
    (*(void (*const *)(void))arg)();
    return attached_now() == 2 ? NULL : arg;
}

static void test_auto_attach(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.auto_attach = 1;
    options.helper = 0;
    options.finalize_ms = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    hub = neap_new(node);
    neap_give(&hub->plain, neap_new(node));
    neap_store(&hub->atomic, hub->plain);
    weak = neap_weak_new(hub);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        pthread_t thread;
        void *wrong = NULL;
        if (pthread_create(&thread, NULL, call_first, (void *)(uintptr_t)&calls[i].call) != 0 ||
            neap_thread_join(thread, &wrong) != NEAP_OK)
            bail("no thread");
        ok(wrong == NULL && attached_now() == 1, "%s attaches its thread until it exits",
           calls[i].name);
    }
    neap_release(weak);
    neap_release(hub);
    is_int(neap_shutdown(NULL), 0, "nothing is left alive");
}

/* ---- what is still an error ---- */

static void block_and_retain(void *arg)
{
    (void)arg;
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.auto_attach = 1;
    if (neap_init(&options) != NEAP_OK)
        exit(1);
    struct node *node = neap_new(node);
    NEAP_BLOCKING
    {
        neap_retain(node);
    }
}

static void after_shutdown(void *arg)
{
    (void)arg;
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.auto_attach = 1;
    if (neap_init(&options) == NEAP_OK && neap_shutdown(NULL) == 0)
        neap_safepoint();
}

/* ---- the last round of key destructors: ThreadSanitizer has forgotten the thread by then ---- */

#if !defined(__SANITIZE_THREAD__)

static pthread_key_t key;
static __thread int rounds;

/* Made after neap's own key, so its destructor runs after neap's in each round. */
static void release_late(void *object)
{
    if (++rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(key, object);
    else
        neap_release(object);
}

static void *exit_with_object(void *arg)
{
    (void)arg;
    if (neap_thread_attach("leaver") != NEAP_OK)
        return NULL;
    pthread_setspecific(key, neap_new(node));
    return NULL;
}

static void *new_late(void *arg)
{
    (void)arg;
    (void)neap_thread_attach("leaver");
    pthread_setspecific(key, &key);
    return NULL;
}

static void make_late(void *unused)
{
    (void)unused;
    if (++rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(key, &key);
    else
        neap_release(neap_new(node));
}

static void new_after_exit(void *arg)
{
    (void)arg;
    pthread_t thread;
    if (neap_init(NULL) != NEAP_OK || pthread_key_create(&key, make_late) != 0 ||
        pthread_create(&thread, NULL, new_late, NULL) != 0)
        exit(1);
    neap_thread_join(thread, NULL);
}

static void test_late_release(void)
{
    harness_begin();
    if (pthread_key_create(&key, release_late) != 0)
        bail("pthread_key_create");
    atomic_store(&disposed, 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, exit_with_object, NULL) != 0)
            bail("pthread_create");
        neap_thread_join(thread, NULL);
    }
    is_int(disposed, 100, "what a thread releases after its exit detached it dies at once");
    pthread_key_delete(key);
}
#endif

int main(void)
{
    plan_lazy();
    unsetenv("NEAP_OPTIONS");
    test_auto_attach();
    dies_with(block_and_retain, NULL, "blocking region",
              "a blocking region is one with auto_attach too");
    dies_with(after_shutdown, NULL, "not running", "and after neap_shutdown nothing attaches");
#if defined(__SANITIZE_THREAD__)
    skip(1, "ThreadSanitizer has forgotten a thread that runs its last destructors");
    harness_begin();
#else
    dies_with(new_after_exit, NULL, "has exited",
              "making an object after the exit is an error that says so");
    test_late_release();
#endif
    return harness_end();
}
