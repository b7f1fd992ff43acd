/* SPDX-License-Identifier: MIT
 *
 * Endings that are easy to get wrong: long objects whose release is interrupted, owners that are
 * gone, disciplines changed back and forth, what outlives a runtime. Each part has a runtime of its
 * own. */
#include <neap/neap.h>

#include <stdatomic.h>

#include "tests/tap.h"

struct leaf {
    int value;
};
NEAP_DEFINE_TYPE(leaf, ());
struct cell {
    void *held;
};
NEAP_DEFINE_TYPE(cell, (held));

static atomic_int disposed, prompt_disposed, cleaned;

static void watched_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&disposed, 1);
}
struct watched {
    void *held;
};
NEAP_DEFINE_TYPE(watched, (held), .dispose = watched_dispose);

static void urgent_dispose(void *self)
{
    (void)self;
    atomic_fetch_add(&prompt_disposed, 1);
}
struct urgent {
    void *held;
};
NEAP_DEFINE_TYPE(urgent, (held), .dispose = urgent_dispose, .flags = NEAP_PROMPT);

static void begin(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0; /* what is shown here happens on the program's own threads */
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    disposed = prompt_disposed = cleaned = 0;
}

static void end(size_t leaked)
{
    is_int(neap_shutdown(NULL), leaked, "%zu objects outlive the runtime", leaked);
}

/* A prompt long object dies while another long object waits, half released, for the next budget. */
static void two_long_objects(void)
{
    enum { MANY = 3000 };
    begin();
    struct leaf *leaf = neap_new(leaf);
    struct cell *cells = neap_new_array(cell, MANY);
    struct urgent *urgent = neap_new_array(urgent, 3);
    for (int i = 1; i < MANY; i++)
        neap_set(&cells[i].held, (void *)leaf);
    for (int i = 0; i < 3; i++)
        neap_give(&urgent[i].held, (void *)neap_new(watched));
    neap_give(&cells[0].held, (void *)urgent);
    neap_release(cells);
    is_int(prompt_disposed, 1, "the prompt one is disposed of at once");
    for (int i = 0; i < 20; i++)
        neap_safepoint();
    is_int(neap_refcount(leaf), 1, "the other gives each reference back once");
    is_int(disposed, 3, "and what the prompt one held is gone");
    neap_release(leaf);
    end(0);
}

static void clean(void *arg)
{
    (void)arg;
    atomic_fetch_add(&cleaned, 1);
}

static void no_user_code_in_new(void)
{
    enum { MANY = 1050, NEW = 20000 };
    static struct leaf *keep[NEW];
    begin();
    struct cell *cells = neap_new_array(cell, MANY);
    for (int i = 0; i < MANY; i++)
        neap_give(&cells[i].held, (void *)neap_new(leaf));
    neap_cleanup_add(cells, clean, NULL);
    neap_release(cells);
    for (int i = 0; i < NEW; i++)
        keep[i] = neap_new(leaf);
    is_int(cleaned, 0, "no cleanup runs inside neap_new");
    neap_safepoint();
    is_int(cleaned, 1, "but at the next safepoint");
    for (int i = 0; i < NEW; i++)
        neap_release(keep[i]);
    end(0);
}

static void *made[2];

static void *make_two(void *arg)
{
    made[0] = neap_new(watched);
    made[1] = neap_new(urgent);
    return arg;
}

static void owner_gone(void)
{
    begin();
    pthread_t thread;
    if (neap_thread_create(&thread, "maker", make_two, NULL) != NEAP_OK)
        bail("neap_thread_create");
    neap_thread_join(thread, NULL);
    neap_release(made[0]);
    is_int(disposed, 1, "an object whose owner is gone dies before the release returns");
    neap_release(made[1]);
    is_int(prompt_disposed, 1, "a prompt one too");
    end(0);
}

static void back_and_forth(void)
{
    begin();
    struct watched *watched = neap_new(watched);
    is_int(neap_defer(watched), NEAP_OK, "deferred");
    neap_undefer(watched);
    is_int(neap_defer(watched), NEAP_OK, "undeferred and deferred again");
    neap_collect(2);
    int before = disposed;
    neap_release(watched);
    is_int(disposed, before, "it is still deferred after the stop");
    neap_collect(2);
    is_int(disposed, before + 1, "and dies at the next one");
    watched = neap_new(watched);
    is_int(neap_defer(watched), NEAP_OK, "deferred");
    neap_immortalize(watched);
    neap_release(watched);
    neap_release(watched);
    neap_collect(2);
    is_int(disposed, before + 1, "a deferred object can be made immortal");
    end(0);
}

static void outlives_a_runtime(void)
{
    begin();
    struct leaf *leaked = neap_new(leaf);
    is_int(neap_defer(leaked), NEAP_OK, "a deferred object leaks");
    end(1);
    begin();
    neap_release(leaked);
    struct watched *held = neap_new(watched);
    is_int(neap_defer(held), NEAP_OK, "another is deferred in the next runtime");
    neap_collect(2);
    neap_safepoint();
    is_int(disposed, 0, "and lives while it is held");
    neap_release(held);
    neap_collect(2);
    is_int(disposed, 1, "but no longer");
    end(0);
}

static void end_in_dispose_dispose(void *self)
{
    (void)self;
    ok(neap_shutdown(NULL) == SIZE_MAX, "the last shutdown inside a dispose changes nothing");
    ok(neap_init(NULL) == NEAP_OK && neap_shutdown(NULL) == 0, "a nested pair is fine there");
}
struct end_in_dispose {
    int value;
};
NEAP_DEFINE_TYPE(end_in_dispose, (), .dispose = end_in_dispose_dispose);

int main(void)
{
    plan_lazy();
    two_long_objects();
    no_user_code_in_new();
    owner_gone();
    back_and_forth();
    outlives_a_runtime();
    begin();
    neap_release(neap_new(end_in_dispose));
    end(0);
    return done();
}
