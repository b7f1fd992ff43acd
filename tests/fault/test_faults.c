/* SPDX-License-Identifier: MIT
 *
 * What the system refuses: every mapping, every thread and, at a hard limit, every block, at every
 * moment of a mixed program, in collections and merges too. The program goes on with what it has,
 * ends with nothing alive, and the next one, which is refused nothing, finds a library that works.
 *
 * The calls are refused by functions of the same name in this program, which the library's calls
 * come to; sanitizers have functions of that name themselves, so there the test is skipped. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include <neap/neap.h>

#include "tests/tap.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED 1
#    endif
#endif

#ifdef SANITIZED

int main(void)
{
    skip_all("a sanitizer stands between the library and the system");
}

#else

enum { MOST_RUNS = 400, LINKS = 300, ROUNDS = 6 };

/* ---- refusing ---- */

static atomic_long maps_left = -1, threads_left = -1; /* calls until one is refused; -1: never */
static atomic_bool refuse_all;                        /* from then on every call */
static atomic_long refused;

/* The countdown reaches 0 at this call, or has reached it and all later calls are refused too. */
static bool refuses(atomic_long *left)
{
    long now = atomic_load(left);
    if (now < 0)
        return false;
    if (now == 0 && !atomic_load(&refuse_all))
        return false;
    if (now > 0 && atomic_fetch_sub(left, 1) != 1)
        return false;
    atomic_fetch_add(&refused, 1);
    return true;
}

/* RTLD_NEXT gives data pointers; POSIX says that they fit. */
static void next_of(const char *name, void *ret_function)
{
    *(void **)ret_function = dlsym(RTLD_NEXT, name);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    static void *(*next)(void *, size_t, int, int, int, off_t);
    if (next == NULL)
        next_of("mmap", (void *)&next);
    if (refuses(&maps_left)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return next(address, bytes, protection, flags, file, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (next == NULL)
        next_of("pthread_create", (void *)&next);
    return refuses(&threads_left) ? EAGAIN : next(thread, attributes, run, arg);
}

/* ---- the program ---- */

struct link {
    struct link *next, *other, *shared;
};
static atomic_long disposed, made, watches;
static void link_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(link, (next, other, NEAP_ATOMIC(shared)), .dispose = link_dispose);

struct last {
    struct link *link;
};
static void last_finalize(void *self)
{
    (void)self;
    struct link *link = neap_new(link); /* may be refused */
    atomic_fetch_add(&made, link != NULL);
    neap_release(link);
}
NEAP_DEFINE_TYPE(last, (link), .finalize = last_finalize);

static struct link *board; /* holds what the worker shares */

static struct link *new_link(void)
{
    struct link *link = neap_new(link);
    if (link != NULL)
        atomic_fetch_add(&made, 1);
    return link;
}

/* Rings that only a collection ends, large objects, weak references, what others drop. */
static void work(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct link *first = new_link();
        for (int i = 0; first != NULL && i < LINKS; i++) {
            struct link *link = new_link();
            if (link == NULL)
                break;
            neap_set(&link->other, first);
            neap_give(&link->next, neap_take(&first->next));
            neap_give(&first->next, link);
        }
        if (first != NULL && board != NULL)
            neap_store(&board->shared, first);
        struct neap_weak *weak = first != NULL ? neap_weak_new(first) : NULL;
        struct last *last = neap_new(last);
        if (last != NULL)
            neap_set(&last->link, first);
        neap_release(last);
        neap_release(first);
        neap_release(weak);
        neap_release(neap_new_array(last, 5000));
        void *block = neap_alloc(200000);
        neap_free(block);
        if (neap_collect(round % 3) < 0)
            bail("neap_collect");
        neap_safepoint();
    }
}

static void *work_beside(void *arg)
{
    (void)arg;
    work();
    if (board != NULL)
        for (int i = 0; i < 200; i++)
            neap_release(neap_exchange(&board->shared, NULL));
    return NULL;
}

/* The program under the eyes of tracemalloc and of the timeline, as far as these could begin. */
static void watched(void)
{
    bool traced = neap_trace_start(2, 0) == NEAP_OK;
    bool timed = neap_timeline_start("/dev/null") == NEAP_OK;
    atomic_fetch_add(&watches, traced + timed);
    work();
    struct neap_snapshot *snapshot = neap_trace_snapshot();
    if (snapshot != NULL && !traced)
        bail("a snapshot of what was not traced");
    neap_snapshot_free(snapshot);
    if (timed && neap_timeline_stop() != NEAP_OK)
        bail("neap_timeline_stop");
    neap_trace_stop();
}

/* Objects alive at the end, SIZE_MAX if it could not even begin for another reason than memory. */
static size_t run(uint64_t hard_limit)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.heap_hard_limit = hard_limit;
    options.collector_threads = 2;
    options.threshold_young = 100;
    atomic_store(&disposed, 0);
    atomic_store(&made, 0);
    atomic_store(&watches, 0);
    int status = neap_init(&options);
    if (status != NEAP_OK)
        return status == NEAP_ENOMEM ? 0 : SIZE_MAX;
    board = new_link();
    pthread_t thread;
    bool beside = neap_thread_create(&thread, "beside", work_beside, NULL) == NEAP_OK;
    watched();
    if (beside && neap_thread_join(thread, NULL) != NEAP_OK)
        bail("neap_thread_join");
    neap_release(board);
    board = NULL;
    /* Without room for its list a set that needs user code is left for the next collection; the
     * last one has no next. */
    atomic_store(&maps_left, -1);
    struct neap_leaks *leaks = NULL;
    size_t alive = neap_shutdown(&leaks);
    if (alive != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    return alive;
}

/* One more call succeeds in every run, until a run is refused nothing. */
static void refuse_each(atomic_long *left, bool all_after, const char *what)
{
    size_t alive = 0;
    long nth = 0, refusals = 0, lost = 0, unwatched = 0;
    do {
        atomic_store(&refused, 0);
        atomic_store(&refuse_all, all_after);
        atomic_store(left, ++nth);
        alive = run(0);
        atomic_store(left, -1);
        atomic_store(&refuse_all, false);
        refusals += atomic_load(&refused);
        unwatched += atomic_load(&watches) < 2;
        lost = atomic_load(&made) - atomic_load(&disposed);
    } while (alive == 0 && lost == 0 && atomic_load(&refused) > 0 && nth < MOST_RUNS);
    is_int((long long)alive, 0, "%s%s: nothing is alive at the end of run %ld", what,
           all_after ? ", and all that follow" : "", nth);
    is_int(lost, 0, "and all that was made was disposed of");
    /* of threads it is chance which one is refused */
    ok(refusals > 0 && (unwatched > 0 || left == &threads_left),
       "%ld refusals in %ld runs, %ld of them without a trace", refusals, nth, unwatched);
    is_int((long long)run(0), 0, "afterwards the library works");
}

static void limit_each(void)
{
    for (uint64_t limit = 64 << 10; limit <= 4 << 20; limit = limit * 3 / 2) {
        size_t alive = run(limit);
        long lost = atomic_load(&made) - atomic_load(&disposed);
        ok(alive == 0 && lost == 0, "with a hard limit of %llu KiB %zu are alive, %ld lost",
           (unsigned long long)limit >> 10, alive, lost);
    }
}

int main(void)
{
    plan_lazy();
    is_int((long long)run(0), 0, "refused nothing, the program ends with nothing alive");
    ok(atomic_load(&made) >= (long)2 * ROUNDS * LINKS, "and made all it wanted: %ld",
       atomic_load(&made));
    is_int(atomic_load(&watches), 2, "traced and timed");
    refuse_each(&threads_left, false, "a thread is refused");
    refuse_each(&threads_left, true, "a thread is refused");
    refuse_each(&maps_left, false, "a mapping is refused");
    refuse_each(&maps_left, true, "a mapping is refused");
    limit_each();
    return done();
}

#endif
