/* SPDX-License-Identifier: MIT
 *
 * The rows about attributes (containers.c tells what they ask), for neap's program and CPython's.
 */
#ifndef BENCH_CONTAINERS_H
#define BENCH_CONTAINERS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <neap/thread.h>

#include "bench/measure.h"
#include "bench/shim.h"

enum { CONTAINERS_MANY = 1000000, CONTAINERS_HOT = 1000, CONTAINERS_READS = 1 << 21 };

struct containers_peer {
    void *(*make)(void); /* an instance with its three attributes */
    int64_t (*get)(void *one);
    void (*drop)(void *one);
    void (*begin)(void), (*end)(void); /* before and after all instances of a run */
    int64_t many;
    bool attached;
};

static inline void containers_poll(const struct containers_peer *peer)
{
    if (peer->attached)
        neap_safepoint();
}

static void **containers_room(int64_t count)
{
    void **all = (void **)calloc((size_t)count, sizeof *all);
    if (all == NULL)
        abort();
    for (int64_t i = 0; i < count; i++)
        all[i] = &all[i]; /* resident before it is counted */
    return all;
}

static void containers_instances(struct bench_state *state, const void *arg)
{
    const struct containers_peer *peer = (const struct containers_peer *)arg;
    void **all = containers_room(peer->many);
    peer->begin();
    peer->drop(peer->make()); /* what the first one needs besides */
    while (bench_keep_running(state, peer->many)) {
        uint64_t before = bench_resident_kib();
        for (int64_t i = 0; i < peer->many; i++) {
            all[i] = peer->make();
            if (i % 64 == 0)
                containers_poll(peer);
        }
        double grown = (double)bench_resident_kib() - (double)before;
        bench_counter(state, "bytes", grown * 1024 / (double)peer->many, BENCH_SUM);
        bench_pause(state);
        for (int64_t i = 0; i < peer->many; i++)
            peer->drop(all[i]);
        bench_resume(state);
    }
    peer->end();
    free(all);
}

static void containers_get(struct bench_state *state, const void *arg)
{
    const struct containers_peer *peer = (const struct containers_peer *)arg;
    void *hot[CONTAINERS_HOT];
    int64_t sum = 0;
    peer->begin();
    for (int i = 0; i < CONTAINERS_HOT; i++)
        hot[i] = peer->make();
    while (bench_keep_running(state, 1024)) {
        for (int i = 0; i < 1024; i++)
            sum += peer->get(hot[i % CONTAINERS_HOT]);
        containers_poll(peer);
    }
    bench_use(sum);
    for (int i = 0; i < CONTAINERS_HOT; i++)
        peer->drop(hot[i]);
    peer->end();
}

static void containers_add(const char *peer_name, const struct containers_peer *peer)
{
    char name[64];
    struct bench_case one = {name, containers_instances, peer,  NULL,
                             0,    peer->attached,       false, peer->many};
    strcat(strcpy(name, "containers/instances/"), peer_name);
    bench_add(&one);
    one.run = containers_get;
    one.iterations = CONTAINERS_READS;
    strcat(strcpy(name, "containers/get/"), peer_name);
    bench_add(&one);
}

#endif
