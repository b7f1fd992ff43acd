/* SPDX-License-Identifier: MIT
 *
 * Large blocks: alignment and zeroing of used memory, sizes that change, blocks that wait for a
 * grace period, the list of all of them, double frees, and memory that goes back. */
#include <string.h>

#include "alloc/large.h"
#include "alloc/large_cache.h"
#include "alloc/stats.h"
#include "base/shadow.h"
#include "neap/block.h"
#include "tests/unit/alloc/slots.h"
#include "tests/death.h"

static bool reads(const unsigned char *block, size_t bytes, uint8_t value)
{
    for (size_t i = 0; i < bytes; i++)
        if (block[i] != value)
            return false;
    return true;
}

static void test_alignment(void)
{
    bool aligned = true, whole = true;
    for (size_t alignment = 16; alignment <= (size_t)1 << 20; alignment *= 2) {
        unsigned char *block = np_large_new(1000, alignment, false, false);
        aligned &= (uintptr_t)block % alignment == 0 && (uintptr_t)block % 32 == 0;
        memset(block, 1, 1000);
        whole &= np_large_of(block)->bytes >= 1000;
        np_large_free(block, false);
    }
    ok(aligned, "blocks are aligned to 32 and to what is asked, up to 1 MiB");
    ok(whole, "and hold what is asked");
}

/* Memory that was written, freed, given back or not, joined and cut again. */
static void test_zeroing(void)
{
    enum { COUNT = 64 };
    uint64_t state = slots_seed();
    unsigned char *blocks[COUNT] = {NULL};
    bool zero = true;
    for (unsigned round = 0; round < 4000; round++) {
        unsigned char **place = &blocks[harness_random(&state) % COUNT];
        if (*place != NULL) {
            memset(*place, 0xEE, np_large_of(*place)->bytes);
            np_large_free(*place, false);
            *place = NULL;
        } else {
            size_t bytes = 600 + harness_random(&state) % (1 << (10 + harness_random(&state) % 11));
            *place = np_large_new(bytes, 16, false, true);
            zero &= reads(*place, bytes, 0);
        }
        if (round % 500 == 0)
            (void)neap_trim();
    }
    for (unsigned i = 0; i < COUNT; i++)
        if (blocks[i] != NULL)
            np_large_free(blocks[i], false);
    ok(zero, "zeroed blocks are zero, whatever their memory went through");
}

static void test_resize(void)
{
    unsigned char *block = neap_alloc(600);
    memset(block, 7, neap_usable_size(block));
    bool kept = true;
    for (size_t bytes = 700; bytes < (size_t)8 << 20; bytes += bytes / 3) {
        size_t before = neap_usable_size(block);
        block = neap_realloc(block, bytes);
        kept &= block != NULL && reads(block, before < bytes ? before : bytes, 7);
        memset(block, 7, neap_usable_size(block));
    }
    while (neap_usable_size(block) > 40) {
        block = neap_realloc(block, neap_usable_size(block) / 3);
        kept &= block != NULL && reads(block, neap_usable_size(block) > 16 ? 16 : 1, 7);
    }
    ok(kept, "content survives growing to 8 MiB and shrinking to a small block");
    neap_free(block);
}

static void test_waiting(void)
{
    struct np_alloc_stats stats;
    slots_passed = 0;
    slots_clock = 5;
    unsigned char *block = np_large_new(100000, 16, true, true);
    memset(block + 16, 9, 1000);
    struct neap_header *header = (struct neap_header *)(void *)block;
    header->type = 0;
    np_large_free(block, true);
    np_large_reclaim();
    np_alloc_stats_read(&stats);
    ok(stats.waiting_bytes >= 100000, "a published block waits for its grace period");
    is_int(stats.large_blocks, 0, "it counts as freed");
    np_shadow_show(block, 1016); /* a program may not look at more than the header */
    ok(reads(block + 16, 1000, 9), "and its body stays");
    slots_passed = 5;
    np_large_reclaim();
    np_alloc_stats_read(&stats);
    is_int(stats.waiting_bytes, 0, "then it goes back to the backend");
    slots_passed = UINT64_MAX;
}

static void test_list(void)
{
    void *first = np_large_new(5000, 16, true, true), *untyped = neap_alloc(5000);
    void *second = np_large_new(50000, 16, true, true);
    struct np_large *seen[3] = {NULL};
    unsigned count = 0;
    np_large_lock();
    NP_LIST_EACH (node, np_large_all()) {
        if (count < 3)
            seen[count] = np_container_of(node, struct np_large, link);
        count++;
    }
    np_large_unlock();
    is_int(count, 2, "the list has the objects, not the untyped block");
    ok(seen[0] == np_large_of(second) && seen[1] == np_large_of(first), "newest first");
    np_large_free(first, false);
    np_large_free(second, false);
    neap_free(untyped);
}

static void test_cache(void)
{
    bool fits = true, next_fits = true;
    for (size_t total = NP_SMALL_MAX + 1; total <= NP_LARGE_CACHED_MOST; total++) {
        size_t step = np_large_step_bytes(np_large_step(total));
        fits &= step >= total && step <= total + total / 4;
        next_fits &= np_large_step(step) == np_large_step(total);
    }
    ok(fits, "every size has a step that holds it and wastes at most a quarter");
    ok(next_fits, "and that is the step's own");
    struct np_alloc_stats before, after;
    void *block = neap_alloc(4000);
    np_alloc_stats_read(&before);
    neap_free(block);
    np_alloc_stats_read(&after);
    ok(after.large_cached_bytes > before.large_cached_bytes && after.large_blocks == 0,
       "a freed block is kept, and counts as freed");
    is_ptr(neap_alloc(4010), block, "the next one of about its size gets it");
    unsigned char *zeroed = block;
    memset(block, 1, 4000);
    neap_free(block);
    zeroed = neap_calloc(1, 4000);
    ok(zeroed == block && reads(zeroed, 4000, 0), "zeroed when asked for");
    neap_free(zeroed);
    (void)neap_trim();
    np_alloc_stats_read(&after);
    is_int(after.large_cached_bytes, 0, "a trim gives back what is kept");
}

static void test_memory_goes_back(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(NP_VALGRIND)
    skip(2, "the sanitizer's shadow is resident too");
    return;
#endif
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    (void)neap_trim();
    size_t before = np_os_resident_bytes();
    for (unsigned i = 0; i < COUNT; i++)
        memset(blocks[i] = neap_alloc(20000 + i), 1, 20000);
    size_t most = np_os_resident_bytes();
    for (unsigned i = 0; i < COUNT; i++)
        neap_free(blocks[i]);
    (void)neap_trim();
    size_t after = np_os_resident_bytes();
    ok(most > before + ((size_t)30 << 20), "40 MB of large blocks are resident");
    ok(after < before + ((size_t)4 << 20), "after a trim they are not: %zu KiB more than before",
       (after > before ? after - before : 0) >> 10);
}

static void free_twice(void *block)
{
    neap_free(block);
    neap_free(block);
}

static void free_object(void *unused)
{
    (void)unused;
    neap_free((char *)np_large_new(5000, 16, true, true));
}

static void test_misuse(void)
{
    void *kept = neap_alloc(3000), *block = neap_alloc(3000);
    dies_with(free_twice, block, "freed twice", "a second free panics");
    dies_with(free_object, NULL, "not a block of neap_alloc", "freeing an object panics");
    neap_free(block);
    neap_free(kept);
}

int main(void)
{
    plan_lazy();
    slots_init();
    slots_enter(1);
    test_alignment();
    test_zeroing();
    test_resize();
    test_waiting();
    test_list();
    test_cache();
    test_memory_goes_back();
    test_misuse();
    struct np_alloc_stats stats;
    np_alloc_stats_read(&stats);
    is_int(stats.large_blocks, 0, "at the end nothing is live");
    slots_leave();
    return done();
}
