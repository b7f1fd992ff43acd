/* SPDX-License-Identifier: MIT
 *
 * Foreign frees. Threads pass objects and untyped blocks to each other through a table of slots,
 * free what they take, block, leave and come back under other slots: every block has one holder at
 * a time, ends in a pool, and is in use again soon. The stamps in the blocks tell when two had the
 * same one. */
#include <string.h>

#include "alloc/stats.h"
#include "neap/block.h"
#include "tests/unit/alloc/slots.h"

enum { THREADS = 8, TABLE = 512, ROUNDS = 100000 };

static void *table[TABLE]; /* (x) tagged: bit 0 set for objects */
static uint64_t seed;
static uint32_t clashes; /* (x) blocks whose stamp was not as left */

static void stamp(void *block, bool is_object)
{
    uint64_t *words = block;
    unsigned first = is_object ? 2 : 0;
    words[first] = (uintptr_t)block;
    words[first + 1] = ~(uintptr_t)block;
}

static void check_stamp(const void *block, bool is_object)
{
    const uint64_t *words = block;
    unsigned first = is_object ? 2 : 0;
    if (words[first] != (uintptr_t)block || words[first + 1] != ~(uintptr_t)block)
        np_fetch_add_relaxed(&clashes, 1u);
}

static void free_tagged(void *tagged)
{
    bool is_object = (uintptr_t)tagged & 1;
    void *block = (void *)((uintptr_t)tagged & ~(uintptr_t)1);
    check_stamp(block, is_object);
    if (is_object)
        slots_object_free(block);
    else
        neap_free(block);
}

static void one_exchange(uint64_t *state)
{
    uint64_t number = harness_random(state);
    void *tagged = NULL;
    if (number % 8 != 0) {
        bool is_object = number >> 8 & 1;
        size_t bytes = 32 + (number >> 16) % 300;
        void *block = is_object ? (void *)slots_object(bytes, 3) : neap_alloc(bytes);
        if (block == NULL)
            bail("no memory");
        stamp(block, is_object);
        tagged = (char *)block + is_object;
    }
    /* acq_rel: passes the block's content on */
    tagged = np_exchange_acq_rel(&table[(number >> 32) % TABLE], tagged);
    if (tagged != NULL)
        free_tagged(tagged);
}

static void *run(void *arg)
{
    uint16_t id = (uint16_t)(uintptr_t)arg;
    uint64_t state = seed + id;
    slots_enter(id);
    for (unsigned i = 0; i < ROUNDS; i++) {
        one_exchange(&state);
        slots_poll();
        switch (harness_random(&state) % 512) {
        case 0: /* leave, and come back in a slot that another thread may have had */
            slots_leave();
            id = (uint16_t)(1 + harness_random(&state) % (SLOTS - 1));
            slots_enter(id);
            break;
        case 1: /* untyped blocks in a blocking region */
            slots_block();
            neap_free(neap_alloc(100));
            slots_resume(np_tls.heap);
            break;
        case 2:
            np_heap_flush_outgoing(np_tls.heap);
            break;
        }
    }
    slots_leave();
    return NULL;
}

/* Neither attached nor known: untyped blocks only. */
static void *run_unattached(void *arg)
{
    uint64_t state = seed + 1000 + (uintptr_t)arg;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        uint64_t number = harness_random(&state);
        void **place = &table[(number >> 32) % TABLE], *tagged = np_load_acquire(place);
        void *block = NULL;
        if (number % 2) {
            block = neap_alloc(32 + (number >> 16) % 300);
            stamp(block, false);
        }
        if (((uintptr_t)tagged & 1) || !np_cas_acq_rel(place, &tagged, block)) {
            neap_free(block);
            continue;
        }
        if (tagged != NULL)
            free_tagged(tagged);
    }
    return NULL;
}

static void run_all(void)
{
    pthread_t threads[THREADS + 2];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, (void *)(i + 1));
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&threads[THREADS + i], NULL, run_unattached, (void *)i);
    for (unsigned i = 0; i < THREADS + 2; i++)
        pthread_join(threads[i], NULL);
}

static void free_the_rest(void)
{
    slots_enter(1);
    for (unsigned i = 0; i < TABLE; i++)
        if (table[i] != NULL)
            free_tagged(table[i]);
    slots_leave();
}

/* A consumer frees what a producer makes; the producer never polls, only allocates. */
enum { PASSED = 200000, WINDOW = 1000 };
static void *ring[WINDOW];

static void *consume(void *arg)
{
    (void)arg;
    slots_enter(2);
    for (unsigned i = 0; i < PASSED; i++) {
        void *block;
        while ((block = np_exchange_acq_rel(&ring[i % WINDOW], NULL)) == NULL)
            sched_yield();
        slots_object_free(block);
    }
    slots_leave();
    return NULL;
}

static void test_producer_and_consumer(void)
{
    pthread_t thread;
    struct np_alloc_stats stats;
    uint64_t peak = 0;
    slots_enter(1);
    pthread_create(&thread, NULL, consume, NULL);
    for (unsigned i = 0; i < PASSED; i++) {
        struct neap_header *header = slots_object(48, 3);
        while (np_load_acquire(&ring[i % WINDOW]) != NULL)
            sched_yield();
        np_store_release(&ring[i % WINDOW], header);
        if (i % 10000 == 0) {
            np_alloc_stats_read(&stats);
            peak = stats.committed_bytes > peak ? stats.committed_bytes : peak;
        }
    }
    pthread_join(thread, NULL);
    slots_leave();
    np_alloc_stats_read(&stats);
    is_int(stats.object_blocks, 0, "all that a consumer freed is back");
    ok(peak - stats.metadata_bytes < 4 << 20,
       "the producer uses it again: %llu KiB for a live set of 48", (unsigned long long)peak >> 10);
}

static void test_blocked_owner(void)
{
    struct np_heap *owner = slots_enter(1);
    void *blocks[1000];
    for (unsigned i = 0; i < 1000; i++)
        blocks[i] = slots_object(64, 3);
    slots_block();
    slots_enter(2);
    uint64_t claims = slots_claims;
    struct np_alloc_stats stats;
    for (unsigned i = 0; i < 1000; i++)
        slots_object_free(blocks[i]);
    np_heap_flush_outgoing(np_tls.heap);
    ok(slots_claims - claims >= 1000 / 64, "chains to a sleeper are drained by their sender");
    np_alloc_stats_read(&stats);
    ok(stats.waiting_bytes + stats.idle_bytes >= 2 * NP_POOL_BYTES,
       "and the pools that are empty now go back");
    is_int(stats.object_blocks, 0, "nothing of it is live");
    ok(!np_heap_has_remote(owner), "nothing is left in its queue");
    slots_leave();
    slots_resume(owner);
    slots_leave();
}

/* A chain reaches the queue of a heap that does not own the pool any more. */
static void test_owner_changes_on_the_way(void)
{
    struct np_heap *old = slots_enter(1);
    struct neap_header *first = slots_object(80, 3), *second = slots_object(80, 3);
    struct np_pool *pool = np_pool_of(first);
    slots_block();
    struct np_heap *sender = slots_enter(2);
    slots_object_free(first); /* gathered for slot 1 */
    slots_let_go(sender);
    slots_resume(old);
    slots_leave();
    is_int(pool->owner, 0, "the pool of a thread that left is nobody's");
    struct np_heap *adopter = slots_enter(3);
    struct neap_header *third = slots_object(80, 3);
    is_ptr(np_pool_of(third), pool, "it is adopted before a fresh pool is taken");
    is_int(pool->owner, 3, "and is the adopter's then");
    slots_block();
    slots_resume(sender);
    uint64_t claims = slots_claims;
    np_heap_flush_outgoing(sender);
    ok(!np_heap_has_remote(old), "the chain for the old owner is drained");
    is_int(slots_claims - claims, 2, "and its block sent on to the new one at once");
    slots_object_free(second);
    slots_leave();
    slots_resume(adopter);
    slots_object_free(third);
    struct np_alloc_stats stats;
    np_alloc_stats_read(&stats);
    is_int(stats.object_blocks, 0, "where they are home");
    slots_leave();
    ok(pool->state == NP_POOL_WAITING || pool->state == NP_POOL_IN_ARENA,
       "the pool, empty, is in its arena");
}

int main(void)
{
    plan_lazy();
    slots_init();
    seed = slots_seed();
    test_blocked_owner();
    test_owner_changes_on_the_way();
    test_producer_and_consumer();
    run_all();
    is_int(clashes, 0, "no two threads ever held the same block");
    free_the_rest();
    struct np_alloc_stats stats;
    slots_enter(1);
    (void)neap_trim(); /* sends what unattached threads have gathered */
    slots_leave();
    (void)neap_trim();
    np_alloc_stats_read(&stats);
    is_int(stats.object_blocks, 0, "no object is left");
    is_int(stats.untyped_blocks, 0, "no untyped block is left");
    is_int(stats.cached_bytes, 0, "nothing is stranded in magazines, chains or queues");
    is_int(stats.free_bytes + stats.idle_bytes, 0, "every pool is back in its arena");
    return done();
}
