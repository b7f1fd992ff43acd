/* SPDX-License-Identifier: MIT
 *
 * A pool with a traced untyped block has its blocks freed the slow way, and no longer than that. */
#include <pthread.h>

#include <neap/neap.h>

#include "alloc/pool.h"
#include "tests/tap.h"

enum { BYTES = 48 };

static bool is_slow(const struct np_pool *pool)
{
    return np_load_relaxed(&pool->traced) != 0;
}

static void *free_it(void *block)
{
    neap_free(block);
    return NULL;
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    options.guard_sample = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    void *before = neap_alloc(BYTES);
    struct np_pool *pool = np_pool_of(before);
    ok(!is_slow(pool), "nothing is traced");
    is_int(neap_trace_start(1, 0), NEAP_OK, "everything is");
    void *first = neap_alloc(BYTES), *second = neap_alloc(BYTES);
    if (np_pool_of(first) != pool || np_pool_of(second) != pool)
        bail("blocks of one pool");
    ok(is_slow(pool), "a traced block makes its pool slow");
    neap_free(first);
    ok(is_slow(pool), "one that is left keeps it so");
    neap_free(second);
    ok(!is_slow(pool), "with the last one it is as others");

    pthread_t thread;
    void *given = neap_alloc(BYTES);
    if (np_pool_of(given) != pool || neap_thread_create(&thread, "other", free_it, given) != 0)
        bail("a thread");
    neap_thread_join(thread, NULL);
    ok(is_slow(pool), "what another thread frees does not change the pool");
    neap_free(before);
    ok(!is_slow(pool), "until its owner frees something");
    neap_trace_stop();
    is_int(neap_shutdown(NULL), 0, "nothing is alive");
    return done();
}
