/* SPDX-License-Identifier: MIT
 *
 * Who asked is told that memory is short: once per step of growth, where user code may run, and not
 * when a collection has made room. */
#include <neap/neap.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

enum { MIB = 1 << 20, LIMIT = 16 * MIB, BLOCK = 64 << 10, BLOCKS_MOST = 1024 };

struct large {
    struct large *self;
    char payload[4000];
};
NEAP_DEFINE_TYPE(large, (self));

static struct {
    int calls, refusals;
    struct neap_pressure last;
    bool inside; /* an allocation */
    bool nested; /* ... in which a call came */
    ptrdiff_t collected;
} told;

static void note(const struct neap_pressure *pressure, void *arg)
{
    (void)arg;
    told.calls++;
    told.refusals += pressure->refused;
    told.last = *pressure;
    told.nested |= told.inside;
    told.collected = neap_collect(2);
}

static void *blocks[BLOCKS_MOST];
static int block_count;

static bool grow(void)
{
    told.inside = true;
    void *block = neap_alloc(BLOCK);
    told.inside = false;
    if (block != NULL)
        blocks[block_count++] = block;
    neap_safepoint();
    return block != NULL;
}

/* A cache that gives half of what it has. */
static void shrink(const struct neap_pressure *pressure, void *arg)
{
    (void)pressure;
    (void)arg;
    for (int half = block_count / 2; block_count > half;)
        neap_free(blocks[--block_count]);
}

static void drop_all(void)
{
    while (block_count > 0)
        neap_free(blocks[--block_count]);
    (void)neap_trim();
    neap_safepoint();
    told.calls = told.refusals = 0;
}

static void told_once_per_step(void)
{
    while ((size_t)block_count * BLOCK < LIMIT / 2 && grow())
        ;
    is_int(told.calls, 0, "below the limit nobody is called");
    while (told.calls == 0 && block_count < BLOCKS_MOST && grow())
        ;
    is_int(told.calls, 1, "beyond it somebody is");
    ok(told.last.used_bytes > LIMIT, "with what is used");
    is_int(told.last.soft_limit_bytes, LIMIT, "and the limit");
    ok(!told.last.refused, "nothing has been refused");
    ok(!told.nested, "not inside the allocation");
    is_int(told.collected, NEAP_ESTATE, "it may not collect");
    (void)grow();
    is_int(told.calls, 1, "not again for a little more");
    for (int i = 0; i < LIMIT / 16 / BLOCK + 2; i++)
        (void)grow();
    is_int(told.calls, 2, "but for a sixteenth more");
    drop_all();
    while (told.calls == 0 && block_count < BLOCKS_MOST && grow())
        ;
    ok((size_t)block_count * BLOCK < LIMIT + LIMIT / 16,
       "after it has fallen below, the limit counts anew");
    drop_all();
}

static void refused(void)
{
    while (block_count < BLOCKS_MOST && grow())
        ;
    ok(block_count < BLOCKS_MOST, "the hard limit refuses");
    is_int(told.refusals, 1, "and that is told");
    ok(told.last.refused, "by the last call");
    drop_all();
}

static void cache_gives(void)
{
    is_int(neap_pressure_add_callback(shrink, NULL), NEAP_OK, "a cache that shrinks");
    for (int i = 0; i < 4 * BLOCKS_MOST && block_count < BLOCKS_MOST; i++)
        if (!grow())
            break;
    is_int(told.refusals, 0, "keeps the program from its hard limit");
    ok(told.calls > 1, "again and again (%d)", told.calls);
    neap_pressure_remove_callback(shrink, NULL);
    drop_all();
}

/* Few objects that hold much. */
static void external(void)
{
    struct large *holder = neap_new(large);
    neap_external_bytes(holder, 2 * LIMIT);
    neap_safepoint();
    is_int(told.calls, 1, "what is held outside counts");
    ok(told.last.used_bytes >= 2 * (uint64_t)LIMIT, "whole");
    neap_external_bytes(holder, MIB / 2);
    neap_safepoint();
    is_int(told.calls, 1, "a little more of it is not told");
    neap_external_bytes(holder, -2 * LIMIT - MIB / 2);
    neap_release(holder);
    drop_all();
}

enum { ROUNDS = 30000 };

static struct large *shared_holder;
static atomic_int turn; /* 3 for each round: both tell, both have told, it is looked at */

static void wait_for(int wanted)
{
    for (int spins = 0; atomic_load(&turn) != wanted; spins++)
        if (spins > 1000)
            sched_yield();
}

static void *tell_too(void *unused)
{
    if (neap_thread_attach("teller") != NEAP_OK)
        bail("not attached");
    for (int i = 0; i < ROUNDS; i++) {
        wait_for(3 * i + 1);
        neap_external_bytes(shared_holder, LIMIT);
        atomic_fetch_add(&turn, 1);
    }
    wait_for(3 * ROUNDS); /* leaving would run the callback here */
    neap_thread_detach();
    return unused;
}

/* Two threads tell at the same moment: neither is lost. */
static void external_at_once(void)
{
    pthread_t thread;
    int lost = 0;
    shared_holder = neap_new(large);
    if (pthread_create(&thread, NULL, tell_too, NULL) != 0)
        bail("no thread");
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&turn, 1);
        for (volatile int behind = i % 128; behind > 0; behind--)
            ; /* the other has to see it first */
        neap_external_bytes(shared_holder, LIMIT);
        wait_for(3 * i + 2);
        told.last.used_bytes = 0;
        (void)neap_run_pending(1);
        lost += told.last.used_bytes < 2 * (uint64_t)LIMIT;
        neap_external_bytes(shared_holder, -2 * LIMIT);
        atomic_fetch_add(&turn, 1);
    }
    (void)NEAP_BLOCKED(pthread_join(thread, NULL));
    is_int(lost, 0, "what two threads tell at once is counted whole");
    neap_release(shared_holder);
    drop_all();
}

/* Garbage that a collection frees before anybody has to be called. */
static void collected_first(void)
{
    for (int i = 0; i < 20000; i++) {
        struct large *large = neap_new(large);
        neap_set(&large->self, large);
        neap_release(large);
    }
    (void)neap_collect(2);
    (void)neap_trim();
    int before = told.calls;
    neap_safepoint();
    is_int(told.calls, before, "when there is room again nobody is called");
    drop_all();
}

static void *allocate(void *arg)
{
    void **ret_block = arg;
    *ret_block = neap_alloc(LIMIT + MIB);
    return NULL;
}

static void by_a_stranger(void)
{
    pthread_t thread;
    void *block = NULL;
    if (pthread_create(&thread, NULL, allocate, &block) != 0 || neap_thread_join(thread, NULL) != 0)
        bail("no thread");
    ok(block != NULL, "a thread that is not attached takes it all");
    neap_safepoint();
    is_int(told.calls, 1, "who is attached is told at the next safepoint");
    neap_free(block);
    drop_all();
}

/* Tells how many calls its safepoint and its leaving have brought. */
static void *come_by(void *arg)
{
    int *ret_calls = arg;
    if (neap_thread_attach("passer") != NEAP_OK)
        bail("not attached");
    neap_safepoint();
    ret_calls[0] = told.calls;
    void *block = NEAP_BLOCKED(neap_alloc(LIMIT / 4));
    neap_thread_detach();
    ret_calls[1] = told.calls;
    neap_free(block);
    return NULL;
}

static void let_one_come_by(int *ret_calls)
{
    pthread_t thread;
    if (NEAP_BLOCKED(pthread_create(&thread, NULL, come_by, ret_calls) +
                     pthread_join(thread, NULL)) != 0)
        bail("no thread");
}

/* The only attached thread sleeps; another one comes, in a slot that has its heap. */
static void while_all_sleep(void)
{
    int calls[2];
    let_one_come_by(calls);
    is_int(calls[1], 0, "below the limit nobody is told");
    void *block = NEAP_BLOCKED(neap_alloc(LIMIT + MIB));
    ok(block != NULL, "a thread takes it all in a blocking region");
    let_one_come_by(calls);
    is_int(calls[0], 1, "who is attached later is told at its first safepoint");
    is_int(calls[1], 2, "and as it leaves");
    neap_free(block);
    drop_all();
}

/* The limit is reached by what is idle: giving that back is enough. */
static void idle_makes_room(void)
{
    enum { SMALL = 400, COUNT = 14 * MIB / SMALL };
    static void *small[COUNT];
    size_t got = 0;
    for (int i = 0; i < COUNT; i++)
        got += (small[i] = neap_alloc(SMALL)) != NULL;
    for (int i = 0; i < COUNT; i++)
        neap_free(small[i]);
    void *block = neap_alloc(14 * MIB);
    ok(got == COUNT && block != NULL, "no allocation fails");
    neap_safepoint();
    is_int(told.refusals, 0, "and no refusal is told");
    neap_free(block);
    block = neap_alloc(25 * MIB);
    neap_safepoint();
    ok(block == NULL && told.refusals == 1, "one that fails is told");
    drop_all();
}

static void not_of_the_past(void)
{
    neap_pressure_remove_callback(note, NULL);
    ok(neap_alloc(25 * MIB) == NULL, "while nobody asks an allocation fails");
    neap_safepoint();
    is_int(neap_pressure_add_callback(note, NULL), NEAP_OK, "who asks afterwards");
    while (told.calls == 0 && block_count < BLOCKS_MOST && grow())
        ;
    ok(told.calls == 1 && told.refusals == 0, "is not told of it");
    drop_all();
}

static int first_calls, second_calls;

static void second(const struct neap_pressure *pressure, void *arg)
{
    (void)pressure;
    (void)arg;
    second_calls++;
}

static void late(const struct neap_pressure *pressure, void *arg)
{
    (void)pressure;
    *(int *)arg += 1;
}

static int late_calls;

/* Removes itself and the one after it, whose memory may be gone then, and adds one. */
static void first(const struct neap_pressure *pressure, void *arg)
{
    (void)pressure;
    (void)arg;
    first_calls++;
    neap_pressure_remove_callback(second, NULL);
    neap_pressure_remove_callback(first, NULL);
    (void)neap_pressure_add_callback(late, &late_calls);
}

static void removed_in_a_round(void)
{
    int last_calls = 0;
    (void)neap_pressure_add_callback(first, NULL);
    (void)neap_pressure_add_callback(second, NULL);
    (void)neap_pressure_add_callback(late, &last_calls);
    while (told.calls == 0 && block_count < BLOCKS_MOST && grow())
        ;
    is_int(first_calls, 1, "a callback removes others");
    is_int(second_calls, 0, "which are not called afterwards");
    is_int(last_calls, 1, "the others are, each once");
    is_int(late_calls, 0, "and one that was added meanwhile waits");
    neap_pressure_remove_callback(late, &last_calls);
    neap_pressure_remove_callback(late, &late_calls);
    drop_all();
}

static void many_callbacks(void)
{
    int added = 0;
    while (added < 1000 && neap_pressure_add_callback(shrink, &blocks[added]) == NEAP_OK)
        added++;
    is_int(added, 63, "64 callbacks");
    is_int(neap_pressure_add_callback(shrink, NULL), NEAP_ENOMEM, "and no more");
    for (int i = 0; i < added; i++)
        neap_pressure_remove_callback(shrink, &blocks[i]);
    is_int(neap_pressure_add_callback(shrink, NULL), NEAP_OK, "removed ones make room");
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "heap_soft_limit=16m,heap_hard_limit=24m,helper=0,decay_ms=0", 1);
    harness_begin();
    is_int(neap_pressure_add_callback(note, NULL), NEAP_OK, "somebody asks");
    told_once_per_step();
    refused();
    cache_gives();
    external();
    external_at_once();
    collected_first();
    by_a_stranger();
    while_all_sleep();
    idle_makes_room();
    not_of_the_past();
    removed_in_a_round();
    many_callbacks();
    return harness_end();
}
