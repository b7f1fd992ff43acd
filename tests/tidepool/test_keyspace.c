/* SPDX-License-Identifier: MIT
 *
 * tidepool's keyspace: one thread against an array, several threads against each other, and what is
 * left over by removing and by flushing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "examples/tidepool/keyspace.h"
#include "tests/harness.h"

#define KEYS     20000
#define THREADS  8
#define COUNTERS 64

static struct key key_of(unsigned number, char text[32])
{
    size_t length = (size_t)snprintf(text, 32, "key:%u", number);
    return keyspace_key((struct slice){text, length});
}

static bool put(unsigned number, int64_t value)
{
    char text[32];
    struct key key = key_of(number, text);
    struct graveyard dead = {.count = 0};
    keyspace_lock(keyspace_lock_of(key));
    bool done_ = keyspace_put(key, (struct value *)number_new(value), &dead);
    keyspace_unlock(keyspace_lock_of(key));
    graveyard_release(&dead);
    return done_;
}

static bool drop(unsigned number)
{
    char text[32];
    struct key key = key_of(number, text);
    struct graveyard dead = {.count = 0};
    keyspace_lock(keyspace_lock_of(key));
    bool removed = keyspace_remove(key, &dead);
    keyspace_unlock(keyspace_lock_of(key));
    graveyard_release(&dead);
    return removed;
}

/* The number at the key, or -1. */
static int64_t look(unsigned number)
{
    char text[32];
    struct key key = key_of(number, text);
    int64_t value = -1;
    keyspace_lock(keyspace_lock_of(key));
    struct entry *entry = keyspace_find(key);
    if (entry != NULL)
        value = ((struct number *)entry->value)->value;
    keyspace_unlock(keyspace_lock_of(key));
    return value;
}

static void test_model(void)
{
    static int64_t model[KEYS]; /* value + 1, 0 for none */
    uint64_t state = harness_seed();
    unsigned wrong = 0;
    uint64_t count = 0;
    for (int i = 0; i < 300000; i++) {
        uint64_t random = harness_random(&state);
        unsigned number = (unsigned)(random >> 8) % KEYS;
        if (random % 3 == 0) {
            wrong += drop(number) != (model[number] != 0);
            count -= model[number] != 0;
            model[number] = 0;
        } else if (random % 3 == 1) {
            wrong += !put(number, i);
            count += model[number] == 0;
            model[number] = i + 1;
        } else {
            wrong += look(number) != model[number] - 1;
        }
        neap_safepoint();
    }
    is_int(wrong, 0, "300,000 random operations do what an array does");
    is_int(keyspace_count(), count, "and the keys are counted");
    neap_gc_disable();
    for (unsigned i = 0; i < KEYS; i++)
        drop(i);
    for (int i = 0; i < 100; i++)
        neap_safepoint();
    is_int(neap_collect(2), 0, "removed entries leave no cycle behind");
    neap_gc_enable();
    is_int(keyspace_count(), 0, "nothing is left");
}

/* All threads add to the same few counters and make and drop keys of each other. */
static void hammer(void *arg, unsigned index)
{
    (void)arg;
    uint64_t state = index + 1;
    for (unsigned i = 0; i < 20000; i++) {
        char text[32];
        struct key key = key_of((unsigned)(harness_random(&state) % COUNTERS), text);
        struct graveyard dead = {.count = 0};
        keyspace_lock(keyspace_lock_of(key));
        struct entry *entry = keyspace_find(key);
        if (entry == NULL)
            keyspace_put(key, (struct value *)number_new(1), &dead);
        else
            ((struct number *)entry->value)->value++;
        keyspace_unlock(keyspace_lock_of(key));
        unsigned other = COUNTERS + (unsigned)(harness_random(&state) % 500);
        if (i % 2 == 0)
            put(other, i);
        else
            drop(other);
        neap_safepoint();
    }
}

static void test_threads(void)
{
    harness_run(THREADS, hammer, NULL);
    int64_t sum = 0;
    for (unsigned i = 0; i < COUNTERS; i++)
        sum += look(i);
    is_int(sum, THREADS * 20000, "no increment is lost by %d threads on %d keys", THREADS,
           COUNTERS);
}

/* Two commands that need the same two stripes in opposite order. */
static void cross(void *arg, unsigned index)
{
    (void)arg;
    for (unsigned i = 0; i < 20000; i++) {
        char a[32], b[32];
        keyspace_locks locks = keyspace_lock_of(key_of(index % 2 ? 1 : 2, a));
        locks |= keyspace_lock_of(key_of(index % 2 ? 2 : 1, b));
        keyspace_lock(locks);
        keyspace_unlock(locks);
        neap_safepoint();
    }
}

static void test_flush(void)
{
    for (unsigned i = 0; i < 1000; i++)
        put(i, i);
    struct graveyard dead = {.count = 0};
    keyspace_lock(KEYSPACE_LOCKS_ALL);
    keyspace_flush(&dead);
    keyspace_unlock(KEYSPACE_LOCKS_ALL);
    graveyard_release(&dead);
    is_int(keyspace_count(), 0, "a flush empties every stripe");
    ok(neap_collect(2) > 0, "the ring it left is the collector's");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    is_int(keyspace_init(), 0, "the keyspace begins");
    test_model();
    test_threads();
    harness_run(2, cross, NULL);
    pass("two stripes taken in opposite order do not deadlock");
    test_flush();
    keyspace_fini();
    return harness_end();
}
