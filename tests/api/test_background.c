/* SPDX-License-Identifier: MIT
 *
 * What nobody's call does in time: the helper thread runs forgotten user code, or neap_tick does.
 */
#include <neap/neap.h>

#include <stdatomic.h>
#include <unistd.h>

#include "tests/tap.h"

struct forgotten {
    long value;
};
static atomic_int disposed;
static pthread_t disposed_by;

static void forgotten_dispose(void *self)
{
    (void)self;
    disposed_by = pthread_self();
    atomic_store(&disposed, 1);
}
NEAP_DEFINE_TYPE(forgotten, (), .dispose = forgotten_dispose);

static struct forgotten *made;
static int go_pipe[2], ready_pipe[2];

static void *owner(void *arg)
{
    (void)arg;
    char byte = 0;
    made = neap_new(forgotten);
    ssize_t moved = NEAP_BLOCKED(write(ready_pipe[1], &byte, 1) + read(go_pipe[0], &byte, 1));
    (void)moved;
    return NULL;
}

/* Drops the last reference of a blocked owner's object, then never reaches a safepoint: the death
 * is found on entering the blocking region, where no user code may run. */
static pthread_t drop_and_sleep(void)
{
    pthread_t thread;
    char byte = 0;
    atomic_store(&disposed, 0);
    if (neap_thread_create(&thread, "owner", owner, NULL) != NEAP_OK)
        bail("neap_thread_create");
    ssize_t moved = NEAP_BLOCKED(read(ready_pipe[0], &byte, 1));
    is_int(moved, 1, "the owner waits");
    neap_release(made);
    return thread;
}

static void finish(pthread_t thread)
{
    char byte = 0;
    ssize_t moved = write(go_pipe[1], &byte, 1);
    (void)moved;
    neap_thread_join(thread, NULL);
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.finalize_ms = 20;
    if (pipe(go_pipe) != 0 || pipe(ready_pipe) != 0 || neap_init(&options) != NEAP_OK)
        bail("set-up");
    pthread_t thread = drop_and_sleep();
    for (int i = 0; i < 1000 && !atomic_load(&disposed); i++)
        (void)NEAP_BLOCKED(usleep(10000));
    ok(atomic_load(&disposed) && !pthread_equal(disposed_by, pthread_self()),
       "the helper disposes of what nobody took");
    finish(thread);

    options.helper = 0;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init again");
    thread = drop_and_sleep();
    for (int i = 0; i < 10; i++)
        (void)NEAP_BLOCKED(usleep(10000));
    ok(!atomic_load(&disposed), "without the helper it waits");
    for (int i = 0; i < 1000 && !atomic_load(&disposed); i++) {
        neap_tick();
        (void)NEAP_BLOCKED(usleep(1000));
    }
    ok(atomic_load(&disposed) && pthread_equal(disposed_by, pthread_self()),
       "until the program's own tick has been patient enough");
    finish(thread);
    return done();
}
