/* SPDX-License-Identifier: MIT
 *
 * Grace periods and giving memory back: pools change class only after their grace period, arenas
 * are chosen so that others empty out, idle memory goes back in time and by trim, and a sleeping
 * thread's cache goes home. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/arena.h"
#include "alloc/stats.h"
#include "base/options.h"
#include "neap/block.h"
#include "tests/unit/alloc/slots.h"

static uint64_t idle_calls; /* (x) times the allocator asked for np_alloc_decay */

static struct np_alloc_stats read_stats(void)
{
    struct np_alloc_stats stats;
    np_alloc_stats_read(&stats);
    return stats;
}

/* Objects of one class, all freed, so that their pools wait. */
static void use_and_free(size_t bytes, unsigned count)
{
    void **objects = calloc(count, sizeof *objects);
    for (unsigned i = 0; i < count; i++)
        objects[i] = slots_object(bytes, 3);
    for (unsigned i = 0; i < count; i++)
        slots_object_free(objects[i]);
    free(objects);
    (void)neap_trim();
}

static void test_pools_wait(void)
{
    slots_passed = 0;
    slots_clock = 10;
    use_and_free(64, 2000);
    struct np_alloc_stats stats = read_stats();
    uint64_t waiting = stats.waiting_bytes / NP_POOL_BYTES;
    ok(waiting >= 7, "empty object pools wait for their grace period: %llu",
       (unsigned long long)waiting);
    is_int(stats.returned_bytes + stats.idle_bytes + stats.waiting_bytes, NP_ARENA_BYTES,
           "and are no other class's meanwhile");

    void *untyped = neap_alloc(100);
    ok(np_pool_of(untyped)->state == NP_POOL_PARTIAL &&
           read_stats().waiting_bytes / NP_POOL_BYTES == waiting,
       "another class takes a pool that does not wait");

    struct neap_header *object = slots_object(64, 3);
    is_int(read_stats().waiting_bytes / NP_POOL_BYTES, waiting - 1,
           "the same class takes a waiting one at once");
    np_pool_check(np_pool_of(object));

    slots_passed = 10;
    np_arena_sweep();
    stats = read_stats();
    is_int(stats.waiting_bytes, 0, "after the grace period none waits");
    is_int(stats.idle_bytes / NP_POOL_BYTES, waiting - 1, "they are idle, and anybody's");
    slots_object_free(object);
    neap_free(untyped);
    slots_passed = UINT64_MAX;
    (void)neap_trim();
}

static void test_fullest_arena_first(void)
{
    enum { COUNT = 3 * NP_ARENA_POOLS * 32 };
    static void *blocks[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = neap_alloc(500);
    /* The first arena keeps one pool in eight, the second half of them, the rest nothing. */
    uint32_t first = np_pool_index_of(blocks[0]) / NP_ARENA_POOLS, half = first + 1;
    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t pool = np_pool_index_of(blocks[i]);
        bool keep = (pool / NP_ARENA_POOLS == first && pool % 8 == 0) ||
                    (pool / NP_ARENA_POOLS == half && pool % 2 == 0);
        if (!keep) {
            neap_free(blocks[i]);
            blocks[i] = NULL;
        }
    }
    (void)neap_trim();
    bool from_fullest = true;
    void *more[10];
    for (unsigned i = 0; i < 10; i++) {
        more[i] = neap_alloc(16 * (i + 1)); /* a pool each */
        from_fullest &= np_pool_index_of(more[i]) / NP_ARENA_POOLS == half;
    }
    ok(from_fullest, "new pools come from the fullest arena with room");
    for (unsigned i = 0; i < 10; i++)
        neap_free(more[i]);
    for (unsigned i = 0; i < COUNT; i++)
        neap_free(blocks[i]);
    (void)neap_trim();
}

static void test_decay(void)
{
    enum { COUNT = 100000 };
    static void *blocks[COUNT];
    np_options.decay_ms = 10000; /* longer than the loops below take under a sanitizer */
    uint64_t decay_ns = np_options.decay_ms * 1000000;
    for (unsigned i = 0; i < COUNT; i++)
        memset(blocks[i] = neap_alloc(100), 1, 100);
    (void)np_alloc_decay(np_os_now_ns());
    uint64_t calls = idle_calls;
    for (unsigned i = 0; i < COUNT; i++)
        neap_free(blocks[i]);
    is_int(idle_calls - calls, 1, "when memory becomes idle, decay is asked for, once");
    uint64_t now_ns = np_os_now_ns();
    uint64_t wait_ns = np_alloc_decay(now_ns);
    struct np_alloc_stats stats = read_stats();
    ok(stats.idle_bytes > 10 << 20, "just freed memory stays: %llu KiB",
       (unsigned long long)stats.idle_bytes >> 10);
    ok(wait_ns <= decay_ns, "decay wants to be called again within decay_ms");
    wait_ns = np_alloc_decay(now_ns + decay_ns + 1000000000);
    stats = read_stats();
    is_int(stats.idle_bytes, 0, "after decay_ms it is given back");
    ok(stats.committed_bytes < 1 << 20, "and no longer committed: %llu KiB are",
       (unsigned long long)stats.committed_bytes >> 10);
    slots_let_go(np_tls.heap); /* as in slots_block, without cleaning up */
    struct np_heap *sleeper = np_tls.heap;
    slots_enter(2);
    ok(read_stats().cached_bytes > 0, "a thread that fell asleep has blocks in its magazines");
    for (unsigned i = 0; i < 3; i++)
        wait_ns = np_alloc_decay(now_ns + (3 + i) * decay_ns + 1000000000);
    is_int(read_stats().cached_bytes, 0, "decay takes them home");
    for (unsigned i = 0; i < 9 && wait_ns != UINT64_MAX; i++)
        wait_ns = np_alloc_decay(now_ns + (10 + i) * decay_ns + 1000000000);
    ok(wait_ns == UINT64_MAX, "when nothing is left to do, decay wants no more calls");
    slots_leave();
    slots_resume(sleeper);
}

static void use_each_class(void)
{
    for (unsigned i = 0; i < 1000; i++)
        neap_free(neap_alloc(i));
    (void)neap_trim();
}

/* More than the system could take back within decay_ms once that has passed. */
static void test_burst(void)
{
    enum { COUNT = 500000, KEPT = 2 << 20 };
    void **blocks = malloc(COUNT * sizeof *blocks);
    np_options.decay_ms = 1;
    use_each_class(); /* magazines get their arrays, which stay */
    uint64_t metadata = read_stats().metadata_bytes;
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = neap_alloc(100);
    uint64_t before_ns = np_os_now_ns(), idle = 0, calls = 0, most = 0; /* none is old by then */
    for (unsigned i = 0; i < COUNT; i++)
        neap_free(blocks[i]);
    free(blocks);
    for (uint64_t was = read_stats().idle_bytes; np_alloc_decay(before_ns) == 0; was = idle) {
        idle = read_stats().idle_bytes;
        most = was - idle > most ? was - idle : most;
        calls++;
    }
    idle = read_stats().idle_bytes;
    ok(idle <= KEPT && idle > 0, "a burst of memory goes without waiting, all but %d KiB: %llu KiB",
       KEPT >> 10, (unsigned long long)idle >> 10);
    ok(calls > 1 && most < 20 << 20, "in %llu calls of at most %llu KiB, with stop points between",
       (unsigned long long)calls, (unsigned long long)most >> 10);
    uint64_t before = read_stats().metadata_bytes;
    (void)neap_trim();
    uint64_t after = read_stats().metadata_bytes;
    ok(after < before && after <= metadata + COUNT * 100 / 128,
       "metadata of unused arenas goes back too: %llu KiB of %llu",
       (unsigned long long)(before - after) >> 10, (unsigned long long)before >> 10);
    use_each_class();
    /* magazines may have got larger arrays, of less than an arena's share */
    ok(read_stats().metadata_bytes < after + (16 << 10), "and again after use");
}

static void test_memory_is_zero_and_usable(void)
{
    enum { COUNT = 20000 };
    static void *blocks[COUNT];
    bool dead = true;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = round % 2 == 0 ? neap_alloc(200) : (void *)slots_object(96, 3);
            if (round % 2 == 0)
                memset(blocks[i], 0xCC, 200);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            if (round % 2 == 0) {
                neap_free(blocks[i]);
            } else {
                dead &= ((struct neap_header *)blocks[i])->type == 3;
                slots_object_free(blocks[i]);
            }
        }
        (void)neap_trim();
    }
    ok(dead, "given back and taken again, pools serve either kind");
}

static unsigned count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned lines = 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static void test_mappings(void)
{
    enum { COUNT = 50000 };
    static void *blocks[COUNT];
    uint64_t state = 7;
    unsigned before = count_mappings(), most = before;
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            blocks[i] = neap_alloc(harness_random(&state) % 513);
        for (unsigned i = 0; i < COUNT; i++)
            if (harness_random(&state) % 50 != 0) {
                neap_free(blocks[i]);
                blocks[i] = NULL;
            }
        (void)neap_trim();
        unsigned now = count_mappings();
        most = now > most ? now : most;
        for (unsigned i = 0; i < COUNT; i++)
            neap_free(blocks[i]);
    }
    ok(most <= before + 4, "giving back splits no mapping: %u before, %u at most", before, most);
}

static void count_idle(void)
{
    np_fetch_add_relaxed(&idle_calls, (uint64_t)1);
}

int main(void)
{
    plan_lazy();
    struct np_alloc_hooks hooks = slots_hooks;
    hooks.idle = count_idle;
    slots_init_with(&hooks);
    slots_enter(1);
    test_pools_wait();
    test_fullest_arena_first();
    test_decay();
    test_burst();
    test_memory_is_zero_and_usable();
    test_mappings();
    slots_leave();
    (void)neap_trim();
    struct np_alloc_stats stats = read_stats();
    is_int(stats.object_blocks + stats.untyped_blocks, 0, "nothing is live at the end");
    is_int(stats.idle_bytes + stats.free_bytes + stats.cached_bytes, 0, "or resident");
    return done();
}
