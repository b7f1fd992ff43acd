/* SPDX-License-Identifier: MIT
 *
 * Memory becomes short while every attached thread sleeps: the helper, which nothing else has
 * started, tells. Where it does not, the test ends by its timeout. */
#include <neap/neap.h>

#include <semaphore.h>
#include <stdlib.h>

#include "tests/tap.h"

enum { MIB = 1 << 20, LIMIT = 16 * MIB };

static sem_t called;
static pthread_t caller;

static void note(const struct neap_pressure *pressure, void *arg)
{
    uint64_t *ret_bytes = arg;
    *ret_bytes = pressure->used_bytes;
    caller = pthread_self();
    sem_post(&called);
}

static void *allocate(void *arg)
{
    void **ret_block = arg;
    *ret_block = neap_alloc(LIMIT + MIB);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *block = NULL;
    uint64_t used = 0;
    plan_lazy();
    setenv("NEAP_OPTIONS", "heap_soft_limit=16m,finalize_ms=5", 1);
    sem_init(&called, 0, 0);
    is_int(neap_init(NULL), NEAP_OK, "init");
    is_int(neap_pressure_add_callback(note, &used), NEAP_OK, "somebody asks");
    if (pthread_create(&thread, NULL, allocate, &block) != 0)
        bail("no thread");
    int waited = NEAP_BLOCKED(pthread_join(thread, NULL) | sem_wait(&called));
    is_int(waited, 0, "told while the only attached thread sleeps");
    ok(block != NULL && used > LIMIT, "of what the other thread took");
    ok(!pthread_equal(caller, pthread_self()), "by the helper");
    neap_free(block);
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
