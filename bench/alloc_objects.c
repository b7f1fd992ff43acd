/* SPDX-License-Identifier: MIT
 *
 * neap's side of the objects row (alloc_objects.h). Compiled twice, without and with NEAP_INLINE;
 * the peers' side goes with the first. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef NEAP_INLINE
#    define neap_typeof_point neap_typeof_point_inline /* one descriptor per compilation */
#endif

#include <neap/neap.h>

#include "bench/alloc_objects.h"
#include "bench/peers.h"
#include "bench/shim.h"

struct point {
    int64_t x, y, z;
};
NEAP_DEFINE_TYPE(point, ());

enum { BATCH = 1024, MANY = 1000 };

static struct point *make(void)
{
    struct point *made = neap_new(point);
    made->x = 1;
    bench_use(made);
    return made;
}

static void run_lifo(struct bench_state *state, const void *unused)
{
    (void)unused;
    while (bench_keep_running(state, BATCH)) {
        for (int i = 0; i < BATCH; i++)
            neap_release(make());
        neap_safepoint();
    }
}

static void run_batch(struct bench_state *state, const void *unused)
{
    (void)unused;
    struct point *made[MANY];
    while (bench_keep_running(state, MANY)) {
        for (int i = 0; i < MANY; i++)
            made[i] = make();
        for (int i = 0; i < MANY; i++)
            neap_release(made[i]);
        neap_safepoint();
    }
}

#ifdef NEAP_INLINE

void alloc_objects_add_inline(void)
{
    bench_add(&(struct bench_case){
        .name = "alloc/object_24/neap_inline", .run = run_lifo, .attached = true});
    bench_add(&(struct bench_case){
        .name = "alloc/objects_24_1000/neap_inline", .run = run_batch, .attached = true});
}

#else

void alloc_objects_add(void)
{
    bench_add(
        &(struct bench_case){.name = "alloc/object_24/neap", .run = run_lifo, .attached = true});
    bench_add(&(struct bench_case){
        .name = "alloc/objects_24_1000/neap", .run = run_batch, .attached = true});
}

static struct point *make_zeroed(const struct bench_allocator *peer)
{
    struct point *made = peer->zeroed(1, sizeof *made);
    made->x = 1;
    bench_use(made);
    return made;
}

static void run_lifo_peer(struct bench_state *state, const void *arg)
{
    const struct bench_allocator peer = *(const struct bench_allocator *)arg;
    while (bench_keep_running(state, BATCH))
        for (int i = 0; i < BATCH; i++)
            peer.free(make_zeroed(&peer));
}

static void run_batch_peer(struct bench_state *state, const void *arg)
{
    const struct bench_allocator peer = *(const struct bench_allocator *)arg;
    struct point *made[MANY];
    while (bench_keep_running(state, MANY)) {
        for (int i = 0; i < MANY; i++)
            made[i] = make_zeroed(&peer);
        for (int i = 0; i < MANY; i++)
            peer.free(made[i]);
    }
}

static const char *prepare(const void *arg)
{
    return bench_allocator_load(bench_allocator_named(((const struct bench_allocator *)arg)->name));
}

void alloc_objects_add_peers(void)
{
    for (int p = 1; p < BENCH_ALLOCATORS; p++) {
        const char *rows[] = {"alloc/object_24/", "alloc/objects_24_1000/"};
        for (int r = 0; r < 2; r++) {
            char name[128];
            strcat(strcpy(name, rows[r]), bench_allocators[p].name);
            bench_add(&(struct bench_case){.name = name,
                                           .run = r == 0 ? run_lifo_peer : run_batch_peer,
                                           .arg = &bench_allocators[p],
                                           .prepare = prepare});
        }
    }
}

#endif
