/* SPDX-License-Identifier: MIT
 *
 * What do weak references cost: the object that has some, and the reader who turns one into a
 * counted reference?
 *
 * Models: pair: retain and release of 64 objects in turn, without and with a weak reference to each
 * (a cache or an observer list holds them). upgrade: a cache lookup that finds its object alive, on
 * the object's own thread and on another one while the owner does the same.
 *
 * Peers: std::weak_ptr::lock (weak_ptr.cc). neap in inline mode.
 *
 * Leaves out: upgrade of a dead object, callbacks.
 *
 * Reading: nanoseconds per pair, or per upgrade and release; with two threads, per thread. */
#include <stdint.h>
#include <stdlib.h>

#define NEAP_INLINE
#include <neap/neap.h>

#include "bench/shim.h"
#include "bench/weak_ptr.h"

enum { BATCH = 1024, ROTATION = 64 };

struct watched {
    int64_t payload[3];
};
NEAP_DEFINE_TYPE(watched, ());

static void run_pair(struct bench_state *state, const void *with_weak)
{
    struct watched *objects[ROTATION];
    struct neap_weak *watchers[ROTATION] = {NULL};
    for (int i = 0; i < ROTATION; i++) {
        objects[i] = neap_new(watched);
        if (with_weak != NULL)
            watchers[i] = neap_weak_new(objects[i]);
    }
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            struct watched *copy = neap_retain(objects[i % ROTATION]);
            bench_use(copy);
            neap_release(copy);
        }
        neap_safepoint();
    }
    for (int i = 0; i < ROTATION; i++) {
        neap_release(watchers[i]);
        neap_release(objects[i]);
    }
}

static struct watched *shared_object; /* thread 0's, made before the start barrier */
static struct neap_weak *shared_weak;

static void run_upgrade(struct bench_state *state, const void *unused)
{
    (void)unused;
    if (bench_thread(state) == 0) {
        shared_object = neap_new(watched);
        shared_weak = neap_weak_new(shared_object);
    }
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            struct watched *found = neap_weak_get(shared_weak);
            bench_use(found);
            neap_release(found);
        }
        neap_safepoint();
    }
    if (bench_thread(state) == 0) {
        neap_release(shared_weak);
        neap_release(shared_object);
    }
}

int main(int argc, char **argv)
{
    static const bool with_weak = true;
    bench_add(
        &(struct bench_case){.name = "weak/pair/neap_without", .run = run_pair, .attached = true});
    bench_add(&(struct bench_case){
        .name = "weak/pair/neap_with", .run = run_pair, .arg = &with_weak, .attached = true});
    bench_add(
        &(struct bench_case){.name = "weak/upgrade/neap", .run = run_upgrade, .attached = true});
    bench_add(&(struct bench_case){
        .name = "weak/upgrade_2_threads/neap", .run = run_upgrade, .threads = 2, .attached = true});
    weak_ptr_add();
    return bench_main(argc, argv);
}
