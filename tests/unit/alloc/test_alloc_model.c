/* SPDX-License-Identifier: MIT
 *
 * A random walk over one thread's untyped blocks and objects beside a model: no two live blocks
 * overlap, contents survive, sizes and alignments hold, and the statistics agree with the model
 * exactly at every check. Repeat a run with NEAP_TEST_SEED. */
#include <string.h>

#include "alloc/large.h"
#include "alloc/meta.h"
#include "alloc/sample.h"
#include "alloc/stats.h"
#include "neap/block.h"
#include "tests/unit/alloc/slots.h"

enum { ENTRIES = 4000, STEPS = 400000 };

static struct entry {
    unsigned char *block;
    size_t bytes;
    uint8_t fill;
    bool is_object;
    bool is_large;
} entries[ENTRIES];

static uint64_t random_state;
static bool contents_right = true, sizes_right = true, aligned_right = true;

static uint64_t below(uint64_t limit)
{
    return harness_random(&random_state) % limit;
}

static size_t random_size(void)
{
    switch (below(20)) {
    case 0:
        return below(200000);
    case 1:
    case 2:
        return below(5000);
    case 3:
        return 0;
    default:
        return below(NP_SMALL_MAX + 1);
    }
}

static size_t body_offset(const struct entry *entry)
{
    return entry->is_object ? sizeof(struct neap_header) : 0;
}

static void fill(struct entry *entry)
{
    entry->fill = (uint8_t)below(256);
    memset(entry->block + body_offset(entry), entry->fill, entry->bytes);
}

static void check_contents(const struct entry *entry, size_t bytes)
{
    const unsigned char *body = entry->block + body_offset(entry);
    for (size_t i = 0; i < bytes; i++)
        contents_right &= body[i] == entry->fill;
}

static void make_untyped(struct entry *entry)
{
    entry->bytes = random_size();
    size_t alignment = 16;
    switch (below(8)) {
    case 0:
        alignment = (size_t)1 << below(13);
        entry->block = neap_aligned_alloc(alignment, entry->bytes);
        break;
    case 1:
        entry->block = neap_calloc(entry->bytes, 1);
        for (size_t i = 0; entry->block != NULL && i < entry->bytes; i++)
            contents_right &= entry->block[i] == 0;
        break;
    default:
        entry->block = neap_alloc(entry->bytes);
    }
    if (entry->block == NULL)
        bail("no memory for %zu bytes", entry->bytes);
    aligned_right &= (uintptr_t)entry->block % alignment == 0 && (uintptr_t)entry->block % 16 == 0;
    sizes_right &= neap_usable_size(entry->block) >= entry->bytes;
    fill(entry);
}

static void make_object(struct entry *entry)
{
    entry->is_object = true;
    entry->bytes = random_size();
    size_t total = entry->bytes + sizeof(struct neap_header);
    if (total < NP_OBJECT_MIN)
        total = NP_OBJECT_MIN;
    if (total <= NP_SMALL_MAX) {
        entry->block = (unsigned char *)slots_object(total, 7);
    } else {
        entry->is_large = true;
        entry->block = np_large_new(total, 16, true, true);
        if (entry->block != NULL)
            ((struct neap_header *)(void *)entry->block)->type = 7;
    }
    if (entry->block == NULL)
        bail("no memory for %zu bytes", total);
    fill(entry);
}

static void release(struct entry *entry)
{
    check_contents(entry, entry->bytes);
    if (!entry->is_object)
        neap_free(entry->block);
    else if (entry->is_large)
        np_large_free(entry->block, below(2) == 0);
    else
        slots_object_free((struct neap_header *)(void *)entry->block);
    *entry = (struct entry){0};
}

static void resize(struct entry *entry)
{
    size_t bytes = random_size();
    unsigned char *block = neap_realloc(entry->block, bytes);
    if (block == NULL)
        bail("no memory for %zu bytes", bytes);
    entry->block = block;
    check_contents(entry, bytes < entry->bytes ? bytes : entry->bytes);
    sizes_right &= neap_usable_size(block) >= bytes;
    entry->bytes = bytes;
    fill(entry);
}

/* What of a large block nobody asked for; 0 for others. */
static uint64_t slack_of(const struct entry *entry)
{
    if (np_region_has(entry->block) || np_sample_has(entry->block))
        return 0;
    size_t asked = entry->bytes + (!entry->is_object && entry->bytes + NP_GUARD_TAIL == 0);
    size_t usable = entry->is_object ? np_large_of(entry->block)->bytes - sizeof(struct neap_header)
                                     : neap_usable_size(entry->block);
    return usable - asked;
}

/* Each class's row: live blocks as in the model, and with those that are not, whole pools. */
static bool classes_agree(void)
{
    static struct np_class_stats rows[NP_CLASS_COUNT];
    uint64_t live[NP_CLASS_COUNT] = {0};
    bool right = true;
    for (unsigned i = 0; i < ENTRIES; i++)
        if (entries[i].block != NULL && np_region_has(entries[i].block))
            live[np_pool_of(entries[i].block)->class_index]++;
    np_alloc_classes_read(rows);
    for (unsigned i = 0; i < NP_CLASS_COUNT; i++) {
        uint64_t blocks = rows[i].live + rows[i].cached + rows[i].free;
        right &= rows[i].live == live[i];
        right &= blocks == rows[i].pools * np_size_classes[i].capacity;
    }
    return right;
}

static bool agrees(void)
{
    struct np_alloc_stats stats;
    uint64_t slack = 0;
    uint64_t objects = 0, object_bytes = 0, untyped = 0, untyped_bytes = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        const struct entry *entry = &entries[i];
        if (entry->block == NULL)
            continue;
        slack += slack_of(entry);
        if (entry->is_object) {
            objects++;
            object_bytes += entry->is_large ? np_large_of(entry->block)->bytes
                                            : np_pool_of(entry->block)->block_bytes;
        } else {
            untyped++;
            untyped_bytes += neap_usable_size(entry->block);
            if (!np_sample_has(entry->block))
                untyped_bytes += NP_GUARD_TAIL;
        }
    }
    np_alloc_stats_read(&stats);
    return stats.object_blocks == objects && stats.object_bytes == object_bytes &&
           stats.untyped_blocks == untyped && stats.untyped_bytes == untyped_bytes &&
           stats.large_slack_bytes == slack;
}

static bool accounts_for_pools(void)
{
    struct np_alloc_stats s;
    np_alloc_stats_read(&s);
    struct np_sample_counts sampled;
    np_sample_count(&sampled);
    uint64_t small = s.object_bytes + s.untyped_bytes - s.large_bytes - sampled.bytes;
    uint64_t in_pools = small + s.cached_bytes - s.large_cached_bytes + s.free_bytes;
    return in_pools % NP_POOL_BYTES == 0 &&
           in_pools + s.idle_bytes <= s.committed_bytes - s.large_bytes - s.large_cached_bytes;
}

int main(void)
{
    plan_lazy();
    slots_init();
    slots_enter(1);
    random_state = slots_seed();
    bool counts_right = true, pools_right = true, classes_right = true;
    for (unsigned step = 0; step < STEPS; step++) {
        struct entry *entry = &entries[below(ENTRIES)];
        if (entry->block == NULL) {
            if (below(2))
                make_untyped(entry);
            else
                make_object(entry);
        } else if (!entry->is_object && below(4) == 0) {
            resize(entry);
        } else {
            release(entry);
        }
        if (step % 20000 == 0) {
            counts_right &= agrees();
            pools_right &= accounts_for_pools();
            classes_right &= classes_agree();
            if (below(2))
                (void)neap_trim();
            np_large_reclaim();
        }
    }
    for (unsigned i = 0; i < ENTRIES; i++)
        if (entries[i].block != NULL)
            release(&entries[i]);
    ok(contents_right, "no block's content was changed by another's use");
    ok(sizes_right, "blocks hold what was asked for");
    ok(aligned_right, "blocks are aligned as asked");
    ok(counts_right, "statistics agreed with the model all the way");
    ok(pools_right, "live, cached and free bytes add up to whole pools");
    ok(classes_right, "so did each class's row, whose blocks make whole pools");
    struct np_alloc_stats stats;
    np_large_reclaim();
    np_alloc_stats_read(&stats);
    is_int(stats.object_blocks, 0, "at the end no object is live");
    is_int(stats.untyped_blocks, 0, "and no untyped block");
    is_int(stats.waiting_bytes - stats.waiting_bytes % NP_POOL_BYTES, stats.waiting_bytes,
           "no large block waits");
    slots_leave();
    (void)neap_trim();
    np_alloc_stats_read(&stats);
    is_int(stats.cached_bytes + stats.free_bytes + stats.idle_bytes, 0,
           "when the thread has left, every pool is back and given back");
    is_int(stats.committed_bytes, np_meta_bytes(), "only metadata is committed");
    return done();
}
