/* SPDX-License-Identifier: MIT
 *
 * A walk from the hands over the records' edges, which compares every slot on the way with its
 * edge; then the count of objects that neap says it has. What must be dead may need a little time:
 * the helper thread frees some of it. It gets PATIENCE looks, some milliseconds apart. */
#include "tools/stress/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/stress/story.h"

enum { PATIENCE = 200, PAUSE_US = 10000, GARBAGE_ROUNDS = 50, SLACK_BYTES = 6 << 20 };

atomic_ulong verify_looks;
static uint32_t *stack;
static size_t base_objects, base_heap_bytes;

static void settle(void)
{
    neap_gc_unfreeze();
    for (unsigned round = 0, quiet = 0; round < GARBAGE_ROUNDS && quiet < 2; round++) {
        neap_safepoint();
        size_t ran = neap_run_pending(SIZE_MAX);
        ptrdiff_t found = neap_collect(2);
        if (found < 0 && !refused((int)found))
            story_lie(0, 0, "neap_collect says %td", found);
        quiet = found == 0 && ran == 0 ? quiet + 1 : 0;
    }
    for (unsigned i = 0; i < 100; i++)
        neap_safepoint();
}

/* ---- what is alive ---- */

static void push(uint32_t id, uint32_t from, size_t *depth)
{
    struct record *record = &records[id];
    if (record->reached)
        return;
    if (id >= RECORDS || atomic_load(&record->state) != ALIVE)
        story_lie(id, from, "object %u is dead, and object %u refers to it", id, from);
    record->reached = true;
    stack[(*depth)++] = id;
}

static void push_root(uint32_t id, void *arg)
{
    push(id, 0, arg);
}

static void follow(struct record *record, size_t *depth)
{
    uint32_t id = (uint32_t)(record - records);
    struct node *object = record->object;
    (void)object_check(object, "quiet");
    ward_check(object);
    uint32_t ward = atomic_load(&record->ward);
    if (ward != 0)
        push(ward, id, depth);
    for (uint32_t i = 0; i < record->edge_count; i++) {
        uint32_t expected = atomic_load(&record->edges[i]);
        const struct node *child = __atomic_load_n(object_slot(object, i), __ATOMIC_ACQUIRE);
        if (expected != 0)
            push(expected, id, depth);
        if (child != (expected != 0 ? records[expected].object : NULL))
            story_lie(id, expected, "slot %u of object %u holds %p, which is not object %u", i, id,
                      (const void *)child, expected);
    }
}

/* Objects reached. */
static size_t reach(void)
{
    size_t depth = 0, count = 0;
    for (uint32_t id = 1; id < RECORDS; id++)
        records[id].reached = false;
    for (uint32_t id = 1; id < RECORDS; id++) {
        struct record *record = &records[id];
        if (atomic_load(&record->state) == UNUSED)
            continue;
        int32_t hands = atomic_load(&record->hands);
        if (hands < 0)
            story_lie(id, 0, "the driver itself is wrong: %d hands on object %u", hands, id);
        if (hands > 0 || record->immortal)
            push(id, 0, &depth);
    }
    containers_each_root(push_root, &depth);
    while (depth > 0) {
        follow(&records[stack[--depth]], &depth);
        count++;
    }
    return count;
}

/* ---- what is dead ---- */

/* The first object that must be dead and has not been disposed of; 0: none. */
static uint32_t find_undead(void)
{
    for (uint32_t id = 1; id < RECORDS; id++)
        if (atomic_load(&records[id].state) == ALIVE && !records[id].reached &&
            !record_is_silent(&records[id]))
            return id;
    return 0;
}

/* The collector takes deferred objects for roots: those in cycles go once they are not any more. */
static void undefer_unreached(void)
{
    for (uint32_t id = 1; id < RECORDS; id++)
        if (!records[id].reached)
            record_undefer(&records[id]);
}

static size_t objects_now(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

static void expect_dead(void)
{
    uint32_t undead = 0;
    size_t expected = 0, counted = 0, before = 0;
    for (unsigned look = 0; look < PATIENCE; look++) {
        size_t reached = reach();
        undead = find_undead();
        expected = base_objects + reached + (size_t)atomic_load(&weaks_alive);
        counted = objects_now();
        if (undead == 0 && counted == expected)
            return;
        if (counted < before) /* a chain of peekable objects dies one grace period after another */
            look = 0;
        else
            usleep(PAUSE_US);
        before = counted;
        undefer_unreached();
        settle();
    }
    if (undead != 0)
        story_lie(undead, 0,
                  "nothing refers to object %u (%s, count %zu), and it is not dead after %d "
                  "collections",
                  undead, neap_type_name(neap_type_of(records[undead].object)),
                  neap_refcount(records[undead].object), PATIENCE);
    story_lie(0, 0, "%zu objects must be alive, and neap has %zu", expected, counted);
}

static void expect_weak(struct weak_entry *entry, void *arg)
{
    (void)arg;
    const struct record *record = &records[entry->id];
    bool alive = record->serial == entry->serial && record->reached && !entry->dead;
    /* what a finalizer brings back stays dead to the weak references it had */
    if (!alive)
        entry->dead = true;
    weak_look(entry, !alive ? SURELY_DEAD : stress_revives ? UNKNOWN : SURELY_ALIVE, "quiet weak");
}

static void expect_memory_back(void)
{
    struct neap_stats stats;
    for (unsigned look = 0; look < PATIENCE; look++) {
        (void)neap_trim();
        neap_safepoint();
        neap_stats_get(&stats);
        if (stats.heap_bytes < base_heap_bytes + SLACK_BYTES)
            return;
        usleep(PAUSE_US);
    }
    story_lie(0, 0, "%zu objects are alive and %ld blocks, and neap keeps %zu KiB for them",
              (size_t)stats.objects, (long)atomic_load(&blocks_alive),
              (size_t)stats.heap_bytes >> 10);
}

static void recycle(void)
{
    for (uint32_t id = 1; id < RECORDS; id++) {
        uint32_t state = atomic_load(&records[id].state);
        if (state == DISPOSED || (state == ALIVE && !records[id].reached))
            record_recycle(&records[id]);
    }
}

void verify_begin(void)
{
    if (stack == NULL)
        stack = malloc(RECORDS * sizeof *stack);
    if (stack == NULL)
        abort();
    settle();
    struct neap_stats stats;
    neap_stats_get(&stats);
    base_objects = stats.objects - reach() - (size_t)atomic_load(&weaks_alive);
    base_heap_bytes = stats.heap_bytes;
}

void verify_quiet(struct worker *workers, unsigned count, bool all_gone)
{
    settle();
    expect_dead();
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < WEAKS; j++)
            if (workers[i].weaks[j].weak != NULL)
                expect_weak(&workers[i].weaks[j], NULL);
    actions_each_weak(expect_weak, NULL);
    if (all_gone)
        expect_memory_back();
    recycle();
    atomic_fetch_add(&verify_looks, 1);
}
