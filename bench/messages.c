/* SPDX-License-Identifier: MIT
 *
 * What does a message cost from the thread that makes it to the thread that drops it?
 *
 * Models: a producer/consumer server. The producer makes a message (one: 48 bytes; five: a root of
 * 48 bytes with four parts of 48), fills it in and passes it through a ring in plain memory; the
 * consumer reads all of it and drops the last reference, so that each message dies on a thread that
 * does not own it.
 *
 * neap: as any object is passed (neap: the consumer's release asks the producer, who owns the
 * counts), and with neap_hand_over or, for five, neap_hand_over_graph (neap_hand_over: the consumer
 * becomes the owner).
 *
 * Peers: the same structs from malloc, freed by the consumer (root and parts each), with glibc,
 * jemalloc, mimalloc, tcmalloc. There is no counting in the peers: they show what ownership by
 * convention costs.
 *
 * Leaves out: a consumer that sleeps, more than one producer, and the queue itself (bench/ring.h
 * costs little).
 *
 * Reading: nanoseconds per message (both threads work at the same time). peak_rss_kib as in
 * alloc.c: it tells whether memory stays flat. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NEAP_INLINE
#include <neap/neap.h>

#include "bench/measure.h"
#include "bench/peers.h"
#include "bench/ring.h"
#include "bench/shim.h"

enum { BATCH = 1024, PARTS = 4 };

struct message {
    struct message *parts[PARTS];
    int64_t value, spare;
};
struct leaf {
    int64_t value, spare[5];
};
_Static_assert(sizeof(struct message) == 48 && sizeof(struct leaf) == 48, "as the header says");
NEAP_DEFINE_TYPE(message, (parts));
NEAP_DEFINE_TYPE(leaf, ());

struct plan {
    struct bench_allocator *peer; /* NULL: neap objects */
    bool parts, hands_over;
};

static struct bench_ring ring;
static uint64_t resident_at_start; /* KiB */

static const char *prepare(const void *arg)
{
    const struct plan *plan = arg;
    return bench_allocator_load(plan->peer);
}

static void *make_object(const struct plan *plan, int64_t value)
{
    if (!plan->parts) {
        struct leaf *only = neap_new(leaf);
        only->value = value;
        if (plan->hands_over)
            neap_hand_over(only);
        return only;
    }
    struct message *root = neap_new(message);
    root->value = value;
    for (int i = 0; i < PARTS; i++) {
        struct message *part = neap_new(message);
        part->value = value;
        neap_give(&root->parts[i], part);
    }
    if (plan->hands_over)
        (void)neap_hand_over_graph(root, PARTS + 1);
    return root;
}

static int64_t drop_object(const struct plan *plan, void *object)
{
    int64_t sum;
    if (plan->parts) {
        const struct message *root = object;
        sum = root->value;
        for (int i = 0; i < PARTS; i++)
            sum += root->parts[i]->value;
    } else {
        sum = ((struct leaf *)object)->value;
    }
    neap_release(object);
    return sum;
}

static void *make_block(const struct plan *plan, int64_t value)
{
    if (!plan->parts) {
        struct leaf *only = plan->peer->zeroed(1, sizeof *only);
        only->value = value;
        return only;
    }
    struct message *root = plan->peer->zeroed(1, sizeof *root);
    root->value = value;
    for (int i = 0; i < PARTS; i++) {
        root->parts[i] = plan->peer->zeroed(1, sizeof *root);
        root->parts[i]->value = value;
    }
    return root;
}

static int64_t drop_block(const struct plan *plan, void *block)
{
    int64_t sum;
    if (plan->parts) {
        struct message *root = block;
        sum = root->value;
        for (int i = 0; i < PARTS; i++) {
            sum += root->parts[i]->value;
            plan->peer->free(root->parts[i]);
        }
    } else {
        sum = ((struct leaf *)block)->value;
    }
    plan->peer->free(block);
    return sum;
}

/* Both kinds of peer share this loop; the branch on attached is the same way every time. */
static void run(struct bench_state *state, const void *arg)
{
    const struct plan plan = *(const struct plan *)arg;
    bool producer = bench_thread(state) == 0, attached = plan.peer == NULL;
    uint64_t *mine = producer ? &ring.put : &ring.taken;
    uint64_t at = bench_ring_at(mine);
    int64_t sum = 0;
    while (bench_keep_running(state, BATCH)) {
        for (int hands = 0; hands < BATCH / BENCH_HAND; hands++) {
            uint64_t end = at + BENCH_HAND;
            if (producer) {
                bench_ring_wait_room(&ring, at, attached);
                for (; at < end; at++)
                    ring.entries[at % BENCH_RING] =
                        attached ? make_object(&plan, (int64_t)at) : make_block(&plan, (int64_t)at);
            } else {
                bench_ring_wait_full(&ring, at, attached);
                for (; at < end; at++) {
                    void *message = ring.entries[at % BENCH_RING];
                    sum += attached ? drop_object(&plan, message) : drop_block(&plan, message);
                }
            }
            bench_ring_done(mine, at);
            if (attached)
                neap_safepoint();
        }
    }
    bench_use(sum);
    if (producer)
        bench_counter(state, "peak_rss_kib", (double)(bench_peak_kib() - resident_at_start),
                      BENCH_SUM);
}

static void add(const char *row, const char *peer, const struct plan *plan)
{
    char name[128];
    strcat(strcat(strcpy(name, row), "/"), peer);
    bench_add(&(struct bench_case){.name = name,
                                   .run = run,
                                   .arg = plan,
                                   .prepare = plan->peer == NULL ? NULL : prepare,
                                   .threads = 2,
                                   .attached = plan->peer == NULL});
}

int main(int argc, char **argv)
{
    static struct plan plans[2][BENCH_ALLOCATORS], handed[2];
    bench_peers_prepare(argv);
    for (int row = 0; row < 2; row++) {
        const char *name = row == 0 ? "messages/one" : "messages/five";
        for (int p = 0; p < BENCH_ALLOCATORS; p++) {
            plans[row][p] = (struct plan){p == 0 ? NULL : &bench_allocators[p], row == 1, false};
            add(name, bench_allocators[p].name, &plans[row][p]);
        }
        handed[row] = (struct plan){NULL, row == 1, true};
        add(name, "neap_hand_over", &handed[row]);
    }
    resident_at_start = bench_resident_kib();
    return bench_main(argc, argv);
}
