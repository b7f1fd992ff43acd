/* SPDX-License-Identifier: MIT
 *
 * How long does a program stand still when a big structure dies?
 *
 * Models: a linked list of a million and of ten million nodes (48 bytes each: next and 24 bytes)
 * whose head is released by a thread that then goes on with its work: it makes and releases small
 * objects and polls. neap runs with its default release_budget, so the head's release takes a
 * thousand nodes and the rest follows, a budget per poll, until the list is gone.
 *
 * Peers: a loop that frees every node at once, with each malloc: the least total time, in one long
 * stop. (The obvious std::shared_ptr list overflows its stack.)
 *
 * Leaves out: lists whose nodes belong to another thread, dispose functions.
 *
 * Reading: time is nanoseconds per node from the head's release until all nodes are free. The
 * counters are nanoseconds of single neap_release calls and of single polls meanwhile (_cpu: of
 * processor time); longest is the longest stop of either kind (for the peers: all of it). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "bench/measure.h"
#include "bench/peers.h"
#include "bench/shim.h"

struct link {
    struct link *next;
    int64_t payload[3];
};
NEAP_DEFINE_TYPE(link, (next));

struct plan {
    struct bench_allocator *peer;
    int64_t nodes;
};

static const char *prepare(const void *arg)
{
    const struct plan *plan = arg;
    return bench_allocator_load(plan->peer);
}

static struct link *make_list(int64_t nodes)
{
    struct link *head = NULL;
    for (int64_t i = 0; i < nodes; i++) {
        struct link *fresh = neap_new(link);
        if (fresh == NULL)
            abort();
        neap_give(&fresh->next, head);
        head = fresh;
    }
    return head;
}

static uint64_t objects_alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

static void tell(struct bench_state *state, const char *name, uint64_t value)
{
    bench_counter(state, name, (double)value, BENCH_SUM);
}

/* The shim's batch is the list, so that time is per node. The list is built before the clock
 * starts. */
static void run_neap(struct bench_state *state, const void *arg)
{
    const struct plan *plan = arg;
    static struct bench_histogram releases, release_work, polls;
    memset(&releases, 0, sizeof releases);
    memset(&release_work, 0, sizeof release_work);
    memset(&polls, 0, sizeof polls);
    neap_gc_disable(); /* the question is counting's; collections are collect_rows.h's */
    uint64_t alive = objects_alive();
    struct link *work =
        make_list(plan->nodes); /* the first to go; then small ones, one alive at a time */
    while (bench_keep_running(state, plan->nodes)) {
        for (uint64_t round = 0; round % 64 != 0 || round == 0 || objects_alive() > alive + 1;
             round++) {
            uint64_t work_before = bench_thread_ns(), before = bench_now_ns();
            neap_release(work);
            uint64_t between = bench_now_ns();
            bench_histogram_add(&releases, between - before);
            bench_histogram_add(&release_work, bench_thread_ns() - work_before);
            between = bench_now_ns();
            neap_safepoint();
            bench_histogram_add(&polls, bench_now_ns() - between);
            work = neap_new(link);
        }
    }
    neap_release(work);
    neap_gc_enable();
    tell(state, "release_p50_ns", bench_histogram_at(&releases, 0.5));
    tell(state, "release_p999_ns", bench_histogram_at(&releases, 0.999));
    tell(state, "release_p999_cpu_ns", bench_histogram_at(&release_work, 0.999));
    tell(state, "release_max_ns", releases.maximum);
    tell(state, "poll_p50_ns", bench_histogram_at(&polls, 0.5));
    tell(state, "poll_p999_ns", bench_histogram_at(&polls, 0.999));
    tell(state, "longest_ns", polls.maximum > releases.maximum ? polls.maximum : releases.maximum);
}

static void run_peer(struct bench_state *state, const void *arg)
{
    const struct plan *plan = arg;
    const struct bench_allocator peer = *plan->peer;
    struct link *head = NULL;
    uint64_t longest = 0;
    for (int64_t i = 0; i < plan->nodes; i++) {
        struct link *fresh = peer.zeroed(1, sizeof *fresh);
        if (fresh == NULL)
            abort();
        fresh->next = head;
        head = fresh;
    }
    while (bench_keep_running(state, plan->nodes)) {
        uint64_t before = bench_now_ns();
        while (head != NULL) {
            struct link *next = head->next;
            peer.free(head);
            head = next;
        }
        longest = bench_now_ns() - before;
    }
    tell(state, "longest_ns", longest);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int64_t nodes;
    } rows[] = {{"death/list_1m/", 1000000}, {"death/list_10m/", 10000000}};
    static struct plan plans[2][BENCH_ALLOCATORS];
    bench_peers_prepare(argv);
    for (int row = 0; row < 2; row++)
        for (int p = 0; p < BENCH_ALLOCATORS; p++) {
            char name[128];
            plans[row][p] = (struct plan){&bench_allocators[p], rows[row].nodes};
            strcat(strcpy(name, rows[row].name), bench_allocators[p].name);
            bench_add(&(struct bench_case){.name = name,
                                           .run = p == 0 ? run_neap : run_peer,
                                           .arg = &plans[row][p],
                                           .prepare = prepare,
                                           .attached = p == 0,
                                           .iterations = rows[row].nodes});
        }
    return bench_main(argc, argv);
}
