/* SPDX-License-Identifier: MIT
 *
 * The other ways to count: handing over, immortal, deferred, peeked; cleanups. */
#include <neap/neap.h>

#include <stdatomic.h>

#include "tests/harness.h"

struct message {
    struct message *a, *b;
    uint64_t canary;
};
enum { CANARY = 0x6D657373 };
static atomic_int disposed, bad;

static void message_dispose(void *self)
{
    struct message *message = self;
    if (message->canary != CANARY)
        atomic_fetch_add(&bad, 1);
    message->canary = 0;
    atomic_fetch_add(&disposed, 1);
}
NEAP_DEFINE_TYPE(message, (a, b), .dispose = message_dispose);

static struct message *make(void)
{
    struct message *message = neap_new(message);
    if (message == NULL)
        bail("out of memory");
    message->canary = CANARY;
    return message;
}

/* ---- handing over ---- */

static void handing_over_alone(void)
{
    struct message *m = make();
    neap_hand_over(m);
    ok(neap_adopt(m), "what was handed over can be adopted");
    ok(!neap_adopt(m), "once");
    is_int(neap_refcount(m), 1, "with its one reference");
    neap_hand_over(m);
    neap_retain(m);
    is_int(neap_refcount(m), 2, "the first retain adopts too");
    neap_hand_over(m);
    ok(!neap_adopt(m), "a shared object is merged, not handed over");
    is_int(neap_refcount(m), 2, "and keeps its count");
    neap_release(m);
    int before = atomic_load(&disposed);
    neap_release(m);
    is_int(atomic_load(&disposed) - before, 1, "and dies by its last release");
    m = make();
    neap_hand_over(m);
    before = atomic_load(&disposed);
    neap_release(m);
    is_int(atomic_load(&disposed) - before, 1,
           "the first release of a handed object may be the last");

    struct message *root = make(), *shared = make();
    neap_give(&root->a, make());
    neap_give(&root->a->a, make());
    neap_set(&root->b, shared);
    is_int(neap_hand_over_graph(root, 16), 3, "a graph goes without what others hold");
    ok(neap_adopt(root) && neap_adopt(root->a) && !neap_adopt(shared),
       "each exclusive object is handed");
    is_int(neap_hand_over_graph(root, 1), 1, "the limit holds");
    neap_release(root);
    neap_release(shared);
}

/* A bounded ring under a mutex: producer makes, hands over; consumer reads and drops. */
enum { RING = 64, MESSAGES = 20000 };
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct message *slots[RING];
    unsigned put, got;
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void pipeline(void *arg, unsigned index)
{
    int manner = *(int *)arg;
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct message *m = NULL;
        if (index == 0) {
            m = make();
            neap_give(&m->a, make());
            if (manner == 1)
                neap_hand_over(m);
            else if (manner == 2)
                neap_hand_over_graph(m, 8);
        }
        neap_mutex_lock(&ring.lock);
        while (index == 0 ? ring.put - ring.got == RING : ring.put == ring.got)
            neap_cond_wait(&ring.changed, &ring.lock);
        if (index == 0)
            ring.slots[ring.put++ % RING] = m;
        else
            m = ring.slots[ring.got++ % RING];
        pthread_cond_signal(&ring.changed);
        pthread_mutex_unlock(&ring.lock);
        if (index == 1) {
            if (m->canary != CANARY || m->a->canary != CANARY)
                atomic_fetch_add(&bad, 1);
            neap_release(m);
        }
        neap_safepoint();
    }
}

static void producer_consumer(void)
{
    static const char *const names[] = {"plain", "handed over", "handed over as a graph"};
    for (int manner = 0; manner < 3; manner++) {
        int before = atomic_load(&disposed);
        harness_run(2, pipeline, &manner);
        neap_safepoint();
        neap_run_pending(SIZE_MAX);
        is_int(atomic_load(&disposed) - before, 2 * MESSAGES, "%s: every message dies once",
               names[manner]);
    }
}

/* ---- immortal and deferred ---- */

static void hold_and_drop(void *arg, unsigned index)
{
    for (int i = 0; i < 5000; i++) {
        struct message *m = neap_retain((struct message *)arg);
        if (m->canary != CANARY)
            atomic_fetch_add(&bad, 1);
        if ((i + (int)index) % 50 == 0)
            neap_safepoint();
        neap_release(m);
    }
}

static void message_of_zero(void *arg, unsigned index)
{
    (void)index;
    struct message **place = arg;
    *place = make();
    neap_retain(*place);
}

static void immortal(void)
{
    struct message *m = make();
    neap_give(&m->a, make());
    neap_immortalize(m);
    neap_immortalize(m);
    int before = atomic_load(&disposed);
    neap_release(m);
    neap_release(m);
    neap_release(m);
    neap_collect(2);
    is_int(atomic_load(&disposed) - before, 0,
           "an immortal object lives on, and so does what it holds");
    harness_run(4, hold_and_drop, m);
    neap_clear(&m->a);
    is_int(atomic_load(&disposed) - before, 1, "its slots may change, and what they held dies");
    /* made by a thread that is gone, and by a running one (handshake) */
    static struct message *other; /* Valgrind sees who has it */
    harness_run(1, message_of_zero, &other);
    neap_immortalize(other);
    neap_release(other);
    neap_release(other);
    neap_release(other);
    pass("an object of another thread becomes immortal");
}

static void deferred(void)
{
    struct message *m = make();
    neap_give(&m->a, make());
    is_int(neap_defer(m), NEAP_OK, "defer");
    is_int(neap_defer(m), NEAP_OK, "twice");
    is_int(neap_refcount(m), 1, "the sum is the count");
    neap_retain(m);
    is_int(neap_refcount(m), 2, "counted in a cell");
    neap_release(m);
    int before = atomic_load(&disposed);
    harness_run(8, hold_and_drop, m);
    before = atomic_load(&disposed) - before;
    is_int(neap_refcount(m), 1, "eight threads come out even");
    neap_collect(0);
    ok(m->canary == CANARY, "a stop with a reference left keeps it");
    int dead = atomic_load(&disposed);
    neap_release(m);
    is_int(atomic_load(&disposed), dead, "it does not die by its last release");
    neap_collect(0);
    neap_safepoint();
    is_int(atomic_load(&disposed) - dead, 2, "but at the next stop, with what it held");

    m = make();
    neap_defer(m);
    neap_undefer(m);
    neap_collect(0);
    dead = atomic_load(&disposed);
    neap_release(m);
    is_int(atomic_load(&disposed) - dead, 1, "undeferred, it dies at once again");
}

/* ---- peeking ---- */

struct entry {
    uint64_t value, check;
};
NEAP_DEFINE_TYPE(entry, (), .flags = NEAP_PEEKABLE);
struct table {
    struct entry *current;
};
NEAP_DEFINE_TYPE(table, (NEAP_ATOMIC(current)));
static atomic_bool end;

static void peek_or_replace(void *arg, unsigned index)
{
    struct table *table = arg;
    if (index == 0) {
        for (uint64_t i = 0; i < 5000; i++) {
            struct entry *entry = neap_new(entry);
            entry->value = i;
            entry->check = ~i;
            neap_store(&table->current, entry);
            neap_release(entry);
            neap_safepoint();
        }
        atomic_store(&end, true);
        return;
    }
    while (!atomic_load(&end)) {
        struct entry *peeked = neap_peek(&table->current);
        for (int i = 0; peeked != NULL && i < 20; i++)
            if (peeked->value != ~peeked->check)
                atomic_fetch_add(&bad, 1);
        struct entry *kept = neap_try_retain(peeked);
        if (kept != NULL) {
            neap_safepoint();
            if (kept->value != ~kept->check)
                atomic_fetch_add(&bad, 1);
            neap_release(kept);
        }
        neap_safepoint();
    }
}

static void peeking(void)
{
    struct table *table = neap_new(table);
    struct entry *entry = neap_new(entry);
    entry->check = ~entry->value;
    neap_store(&table->current, entry);
    neap_release(entry);
    ok(neap_peek(&table->current) == entry, "a peek sees what is there");
    harness_run(6, peek_or_replace, table);
    neap_release(table);
}

/* ---- cleanups ---- */

static int cleaned;
static void clean(void *arg)
{
    cleaned += *(int *)arg;
}

static void cleanups(void)
{
    static int one = 1, ten = 10;
    struct message *m = make();
    struct neap_weak *weak = neap_weak_new(m);
    is_int(neap_cleanup_add(m, clean, &one), NEAP_OK, "a cleanup");
    is_int(neap_cleanup_add(m, clean, &ten), NEAP_OK, "and another");
    is_int(neap_cleanup_add(m, NULL, NULL), NEAP_EINVAL, "but not nothing");
    is_int(cleaned, 0, "do not run while the object lives");
    neap_release(m);
    is_int(cleaned, 11, "and run once when it is dead");
    ok(neap_weak_get(weak) == NULL, "weak references are dead too");
    neap_release(weak);
}

int main(void)
{
    plan_lazy();
    harness_begin();
    handing_over_alone();
    producer_consumer();
    immortal();
    deferred();
    peeking();
    cleanups();
    is_int(atomic_load(&bad), 0, "nobody saw a dead object");
    return harness_end();
}
