/* SPDX-License-Identifier: MIT
 *
 * Young lists: a pool is on one list at most, and on one exactly while bit 0 of its generations is
 * set; also across the ends of the runtime, which heaps outlive, with fewer threads each time. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdlib.h>

#include "alloc/heap.h"
#include "tests/random.h"
#include "tests/tap.h"

enum { THREADS = 6, OBJECTS = 400, RUNTIMES = 5, ROUNDS = 6 };

struct node {
    struct node *next;
    int64_t value[3];
};
NEAP_DEFINE_TYPE(node, (next));

/* ---- the invariant ---- */

static uint8_t *listed; /* per pool */
static size_t wrong;

static void mark_listed(struct np_heap *heap, void *unused)
{
    (void)unused;
    for (uint32_t link = heap->young_head; link != 0; link = np_region.pools[link - 1].young_next) {
        if (listed[link - 1]++ != 0) {
            wrong++; /* and the walk might never end */
            return;
        }
    }
}

static size_t count_wrong(void)
{
    wrong = 0;
    listed = calloc(np_region.used_count, 1);
    if (listed == NULL)
        abort();
    np_heap_each(mark_listed, NULL);
    for (uint32_t i = 0; wrong == 0 && i < np_region.used_count; i++)
        wrong += listed[i] != (np_region.pools[i].generations & 1);
    free(listed);
    return wrong;
}

/* ---- threads that hold their slots together ---- */

static uint64_t random_state;

static unsigned below(unsigned limit)
{
    return (unsigned)(harness_random(&random_state) % limit);
}

static pthread_barrier_t barrier;
static struct node *left_over[THREADS]; /* what each leaves behind, for main */

static void meet(void)
{
    NEAP_BLOCKED(pthread_barrier_wait(&barrier));
}

static void *work(void *arg)
{
    unsigned self = (unsigned)(uintptr_t)arg;
    uint64_t random = harness_seed() + self;
    struct node *chain = NULL;
    meet(); /* all are attached: as many slots */
    for (int i = 0; i < OBJECTS; i++) {
        struct node *node = neap_new(node);
        if (node == NULL)
            abort();
        if (harness_random(&random) % 3 != 0) {
            neap_give(&node->next, chain);
            chain = node;
        } else {
            neap_release(node);
        }
    }
    meet();
    if (left_over[self] == NULL)
        left_over[self] = chain;
    else
        neap_release(chain);
    return NULL;
}

static void run_threads(unsigned count)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, count);
    for (unsigned i = 0; i < count; i++)
        if (neap_thread_create(&threads[i], "worker", work, (void *)(uintptr_t)i) != NEAP_OK)
            abort();
    for (unsigned i = 0; i < count; i++)
        (void)neap_thread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void drop_left_over(void)
{
    for (unsigned i = 0; i < THREADS; i++) {
        neap_release(left_over[i]);
        left_over[i] = NULL;
    }
}

static size_t live(unsigned most_threads)
{
    size_t found = 0;
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    if (neap_init(&options) != NEAP_OK)
        abort();
    for (int round = 0; round < ROUNDS; round++) {
        run_threads(1 + below(most_threads));
        for (int i = 0; i < 3 && found == 0; i++) {
            (void)neap_collect((int)below(3));
            found += count_wrong();
        }
        if (below(2) == 0)
            drop_left_over();
        found += count_wrong();
    }
    drop_left_over();
    found += count_wrong();
    if (neap_shutdown(NULL) != 0)
        abort();
    return found + count_wrong();
}

int main(void)
{
    plan_lazy();
    random_state = harness_seed();
    for (unsigned i = 0; i < RUNTIMES; i++) {
        /* many threads and few in turn */
        is_int(live(i % 2 == 0 ? THREADS : 2), 0,
               "random threads, runtime %u: bit 0 says which pools are listed, once each", i + 1);
    }
    return done();
}
