/* SPDX-License-Identifier: MIT
 *
 * Disciplines, memory, threads, the collector, fork. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/stress/hands.h"
#include "tools/stress/story.h"

_Atomic long blocks_alive;

/* ---- disciplines ---- */

void act_defer(struct worker *worker)
{
    struct node *object = any_hand(worker);
    if (object != NULL) {
        story_note("defer", object->head.id, 0);
        bool silent = record_is_silent(&records[object->head.id]);
        if (!silent)
            atomic_store(&records[object->head.id].deferred, true);
        (void)neap_defer(object);
        if (silent) /* nobody will learn whether it still lives: until the next stop */
            neap_undefer(object);
    }
}

void act_undefer(struct worker *worker)
{
    struct node *object = any_hand(worker);
    if (object != NULL)
        neap_undefer(object);
}

void act_immortalize(struct worker *worker)
{
    struct node *object = any_hand(worker);
    if (object == NULL || object_slots(object) > 0)
        return;
    (void)neap_mutex_lock(&shared.lock);
    bool may = shared.immortals < IMMORTALS_MOST;
    if (may) {
        shared.immortals++;
        records[object->head.id].immortal = true;
    }
    pthread_mutex_unlock(&shared.lock);
    if (may) {
        story_note("immortalize", object->head.id, 0);
        neap_immortalize(object);
    }
}

void act_lock(struct worker *worker)
{
    static _Atomic uint8_t held[RECORDS];
    struct node *a = any_hand(worker), *b = any_hand(worker);
    if (a == NULL || b == NULL)
        return;
    neap_lock2(a, b);
    if (atomic_fetch_add(&held[a->head.id], 1) != 0 ||
        (a != b && atomic_fetch_add(&held[b->head.id], 1) != 0))
        story_lie(a->head.id, b->head.id, "two threads hold one object's lock");
    atomic_fetch_sub(&held[a->head.id], 1);
    if (a != b)
        atomic_fetch_sub(&held[b->head.id], 1);
    neap_unlock2(a, b);
}

/* ---- memory ---- */

void block_free(struct block *block)
{
    if (block->memory == NULL)
        return;
    pattern_check(block->memory, block->bytes, block->key, "block");
    neap_free(block->memory);
    block->memory = NULL;
    atomic_fetch_sub(&blocks_alive, 1);
}

void act_block(struct worker *worker)
{
    struct block *block = &worker->blocks[roll(worker, BLOCKS)];
    block_free(block);
    block->bytes = roll(worker, 24) == 0 ? 16 + roll(worker, 100000) : 16 + roll(worker, 480);
    block->key = harness_random(&worker->random);
    block->memory =
        roll(worker, 8) == 0 ? neap_aligned_alloc(64, block->bytes) : neap_alloc(block->bytes);
    if (block->memory == NULL)
        return;
    atomic_fetch_add(&blocks_alive, 1);
    pattern_fill(block->memory, block->bytes, block->key);
}

void act_block_resize(struct worker *worker)
{
    struct block *block = &worker->blocks[roll(worker, BLOCKS)];
    if (block->memory == NULL)
        return;
    size_t bytes = 16 + roll(worker, 1000);
    void *memory = neap_realloc(block->memory, bytes);
    if (memory == NULL)
        return;
    block->memory = memory;
    size_t kept = bytes < block->bytes ? bytes : block->bytes;
    pattern_check(memory, kept, block->key, "resized block");
    block->bytes = bytes;
    pattern_fill(memory, bytes, block->key);
}

/* Blocks change hands, so that they are freed by others than who made them. */
void act_block_pass(struct worker *worker)
{
    struct block *mine = &worker->blocks[roll(worker, BLOCKS)];
    (void)neap_mutex_lock(&shared.lock);
    struct block *place = &shared.blocks[roll(worker, MAIL)], other = *place;
    *place = *mine;
    *mine = other;
    pthread_mutex_unlock(&shared.lock);
}

void act_trim(struct worker *worker)
{
    (void)worker;
    (void)neap_trim();
}

/* ---- threads and the collector ---- */

void act_safepoint(struct worker *worker)
{
    (void)worker;
    neap_safepoint();
}

void act_block_region(struct worker *worker)
{
    uint32_t microseconds = roll(worker, 200);
    NEAP_BLOCKING
    {
        if (microseconds > 100)
            usleep(microseconds);
    }
}

void act_attach(struct worker *worker)
{
    (void)worker;
    neap_thread_detach();
    int status;
    while (refused(status = neap_thread_attach("worker")))
        ;
    if (status != NEAP_OK)
        story_lie(0, 0, "a thread cannot attach itself again");
}

static void *live_shortly(void *arg)
{
    struct worker *parent = arg;
    for (int i = 0; i < 20; i++) {
        struct node *object = make_any(parent);
        if (object == NULL)
            break;
        edge_exchange(shared.boards[i % BOARDS], BOARD_FIRST + roll(parent, BOARD_SLOTS), object);
        hand_give(object);
    }
    ids_give_back();
    return NULL;
}

/* A thread that makes objects, shares them and is gone. The parent waits, so its numbers are the
 * child's to use. */
void act_thread(struct worker *worker)
{
    pthread_t thread;
    if (neap_thread_create(&thread, "short", live_shortly, worker) == NEAP_OK)
        (void)neap_thread_join(thread, NULL);
}

void act_collect(struct worker *worker)
{
    uint32_t choice = roll(worker, 8);
    ptrdiff_t found = neap_collect(choice < 5 ? 0 : choice < 7 ? 1 : 2);
    if (found < 0 && !refused((int)found))
        story_lie(0, 0, "neap_collect says %td", found);
}

void act_pending(struct worker *worker)
{
    (void)neap_run_pending(roll(worker, 20));
}

/* Where objects come from is recorded, or not, or just no longer. */
void act_trace(struct worker *worker)
{
    uint32_t choice = roll(worker, 8);
    struct node *object = any_hand(worker);
    unsigned line;
    if (choice < 3)
        (void)neap_trace_start(1 + roll(worker, 3), roll(worker, 2) * 4096);
    else if (choice < 5)
        neap_trace_stop();
    else if (choice < 6)
        neap_snapshot_free(neap_trace_snapshot());
    else if (object != NULL)
        (void)neap_trace_site_of(object, NULL, &line);
}

static bool see_object(void *object, void *arg)
{
    (void)arg;
    if (neap_type_of(object) == NULL)
        story_lie(0, 0, "a walker gives out an object without a type");
    return true;
}

void act_walker(struct worker *worker)
{
    struct node *object = any_hand(worker);
    if (roll(worker, 8) == 0)
        (void)neap_gc_each_object(-1, see_object, NULL);
    else if (object != NULL && roll(worker, 2) == 0)
        (void)neap_referrers(object, see_object, NULL);
    else if (object != NULL)
        (void)neap_referents(object, see_object, NULL);
}

void act_freeze(struct worker *worker)
{
    if (roll(worker, 3) == 0)
        neap_gc_freeze();
    else
        neap_gc_unfreeze();
}

void act_list(struct worker *worker)
{
    struct node *held[12];
    uint32_t count = 0;
    struct neap_list *list = neap_list_new();
    while (list != NULL && count < 12) {
        struct node *object = any_hand(worker);
        if (neap_list_append(list, object) != NEAP_OK)
            break;
        held[count++] = object;
    }
    while (count-- > 0) {
        struct node *object = neap_list_pop(list);
        if (object != held[count])
            story_lie(object_id(held[count]), object_id(object), "a list gave back another object");
        neap_release(object);
    }
    neap_release(list);
}

/* The child has one thread and a runtime that works; what it holds is whole. */
static _Noreturn void live_as_child(struct worker *worker)
{
    story_in_child();
    stress_revives = false;
    for (uint32_t i = 0; i < HANDS; i++)
        if (worker->hands[i] != NULL)
            (void)object_check(worker->hands[i], "child");
    ptrdiff_t found = neap_collect(2);
    if (found < 0 && !refused((int)found))
        _exit(1);
    for (uint32_t i = 0; i < HANDS; i++)
        if (worker->hands[i] != NULL)
            (void)object_check(worker->hands[i], "child, later");
    _exit(0);
}

void act_fork(struct worker *worker)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        live_as_child(worker);
    story_child(child);
    int status = 0;
    if (child > 0 && NEAP_BLOCKED(waitpid(child, &status, 0)) == child && status != 0)
        story_lie(0, 0, "the child of a fork ended with status %#x", (unsigned)status);
    story_child(0);
}
