/* SPDX-License-Identifier: MIT
 *
 * Out of memory: the hard limit refuses and lets go again, every allocation that fails on purpose
 * leaves the allocator whole, and the address space may be smaller than asked for. */
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc/large.h"
#include "alloc/meta.h"
#include "alloc/stats.h"
#include "base/options.h"
#include "neap/block.h"
#include "tests/unit/alloc/slots.h"

static struct np_alloc_stats read_stats(void)
{
    struct np_alloc_stats stats;
    np_alloc_stats_read(&stats);
    return stats;
}

static void test_hard_limit(void)
{
    enum { COUNT = 100000, LIMIT = 8 << 20 };
    static void *blocks[COUNT];
    np_commit_limit(LIMIT);
    unsigned small = 0;
    while (small < COUNT && (blocks[small] = neap_alloc(200)) != NULL)
        small++;
    ok(small > 25000 && small < COUNT, "small blocks end at the limit: %u of 200 bytes", small);
    ok(read_stats().committed_bytes <= LIMIT, "which is not passed");
    ok(slots_object(400, 3) == NULL, "objects are refused then");
    ok(neap_alloc(20000) == NULL && np_large_new(20000, 16, true, true) == NULL,
       "and large blocks");
    ok(neap_calloc(1, 100000) == NULL && neap_aligned_alloc(65536, 100) == NULL, "of any kind");
    void *kept = blocks[0];
    ok(neap_realloc(kept, 9000) == NULL && neap_usable_size(kept) >= 200,
       "a block that cannot grow stays");
    for (unsigned i = 0; i < small; i++)
        neap_free(blocks[i]);
    void *large = neap_alloc(6 << 20);
    ok(large != NULL, "idle pools make room for a large block");
    ok(read_stats().committed_bytes <= LIMIT, "by being given back");
    ok(neap_alloc(4 << 20) == NULL, "a second one does not fit");
    neap_free(large);
    large = neap_alloc(4 << 20);
    ok(large != NULL, "until the first is freed");
    neap_free(large);
    np_commit_limit(0);
    (void)neap_trim();
}

/* What can be refused on the way, and comes again. */
static int mixed_workload(void)
{
    enum { COUNT = 60 };
    void *untyped[COUNT];
    struct neap_header *objects[COUNT];
    int refused = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        size_t bytes = i * 37 % 700;
        untyped[i] = i % 7 == 0 ? neap_calloc(1, bytes * 3) : neap_alloc(bytes);
        objects[i] = slots_object(32 + i % 5 * 100, 3);
        refused += (untyped[i] == NULL) + (objects[i] == NULL);
        if (untyped[i] != NULL)
            memset(untyped[i], 1, neap_usable_size(untyped[i]));
    }
    for (unsigned i = 0; i < COUNT; i += 3) {
        void *other = neap_realloc(untyped[i], 100 + i * 50);
        refused += other == NULL;
        untyped[i] = other != NULL ? other : untyped[i];
    }
    void *large = np_large_new(50000, 4096, true, true);
    refused += large == NULL;
    if (large != NULL)
        np_large_free(large, true);
    np_large_reclaim();
    /* another thread's slot frees half of it: parcels are allocations too */
    struct np_heap *mine = np_tls.heap;
    slots_block();
    if (np_heap_acquire(2) != NULL) {
        slots_enter(2);
        for (unsigned i = 0; i < COUNT; i += 2) {
            neap_free(untyped[i]);
            untyped[i] = NULL;
        }
        slots_leave();
    } else {
        refused++;
    }
    slots_resume(mine);
    for (unsigned i = 0; i < COUNT; i++) {
        neap_free(untyped[i]);
        if (objects[i] != NULL)
            slots_object_free(objects[i]);
    }
    return refused;
}

/* In a child, so that each run begins with an allocator that has allocated nothing. */
static int run_with_failure(int64_t nth)
{
    pid_t child = fork();
    if (child == 0) {
        np_options.fail_nth = 1;
        if (np_alloc_init(&slots_hooks) != 0)
            _exit(3);
        slots_fail_in = nth;
        if (np_heap_acquire(1) == NULL) /* may be the one that fails */
            _exit(np_heap_acquire(1) != NULL ? 1 : 4);
        slots_enter(1);
        int refused = mixed_workload();
        bool hit = slots_fail_in <= 0;
        refused += mixed_workload();
        slots_leave();
        (void)neap_trim();
        struct np_alloc_stats stats = read_stats();
        if (stats.object_blocks != 0 || stats.untyped_blocks != 0 || stats.waiting_bytes != 0)
            _exit(5);
        _exit(hit ? (refused <= 1 ? 1 : 6) : 0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void test_every_failure(void)
{
    int64_t nth = 1;
    int result;
    while ((result = run_with_failure(nth)) == 1 && nth < 5000)
        nth++;
    is_int(result, 0, "each of %lld allocations failed once; nothing was lost or refused twice",
           (long long)nth - 1);
    ok(nth > 150, "metadata and parcels among them");
}

static void test_small_address_space(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(1, "the sanitizer itself needs more address space");
    return;
#endif
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
        setrlimit(RLIMIT_AS, &limit);
        if (np_alloc_init(&slots_hooks) != 0)
            _exit(1);
        slots_enter(1);
        for (unsigned i = 0; i < 100000; i++)
            if (neap_alloc(100) == NULL)
                _exit(2);
        _exit(np_region.bytes >= (size_t)64 << 20 ? 0 : 3);
    }
    int status;
    waitpid(child, &status, 0);
    is_int(status, 0, "with 1 GiB of address space the region is smaller, and works");
}

int main(void)
{
    plan_lazy();
    for (unsigned i = 0; i < SLOTS; i++)
        pthread_mutex_init(&slots[i].lock, NULL);
    test_small_address_space();
    test_every_failure();
    slots_init();
    slots_enter(1);
    test_hard_limit();
    struct np_alloc_stats stats = read_stats();
    is_int(stats.untyped_blocks + stats.object_blocks, 0, "nothing is live at the end");
    slots_leave();
    return done();
}
