/* SPDX-License-Identifier: MIT
 *
 * What does a concurrent map cost, when nine of ten calls read?
 *
 * Models: an index of a million entries that 1, 2 or 4 threads use at once, each with keys in
 * random order; a read finds the value, reads a word of it and lets it go; a write replaces the
 * value by a new one (map/mixed_*). And reads alone (map/read_*).
 *
 * Peers: a mutex around a std::unordered_map of std::shared_ptr; liburcu's cds_lfht under QSBR,
 * raw: no counting, values live until a grace period has passed. neap: neap_map_get and a release.
 *
 * Leaves out: insertions and deletions, growth (map/grow has it), keys of other sizes than about
 * ten bytes.
 *
 * Reading: nanoseconds per call, as each thread sees it; with four threads on two processors that
 * is twice what one waits. On a busy machine compare processor time (--by cpu).
 *
 * map/grow: inserts into one map up to a million entries, one thread, the table growing meanwhile.
 * The counters are processor time of single inserts: what growth does to the inserting thread; and
 * then of the polls that take part in dropping the map (drop_*). */
#include "bench/map.h"

#include <neap/neap.h>

#include "bench/measure.h"
#include "bench/shim.h"

enum { GROW_TO = 1000000 };

struct item {
    int64_t value;
};
NEAP_DEFINE_TYPE(item, ());

/* Drops the map. The polls that had a part in it are those that took more than 2 us. */
static void drop(struct neap_map *map, struct bench_histogram *histogram)
{
    enum { POLLS = 20000 };
    *histogram = (struct bench_histogram){0};
    uint64_t began = bench_thread_ns();
    neap_release(map);
    for (int i = 0; i < POLLS; i++) {
        uint64_t now = bench_thread_ns();
        if (now - began > 2000)
            bench_histogram_add(histogram, now - began);
        began = now;
        neap_safepoint();
    }
}

static void run_grow(struct bench_state *state, const void *arg)
{
    (void)arg;
    while (bench_keep_running(state, 1)) {
        static struct bench_histogram histogram;
        histogram = (struct bench_histogram){0};
        struct neap_map *map = neap_map_new();
        struct item *item = neap_new(item);
        for (int i = 0; i < GROW_TO; i++) {
            struct neap_string *key = neap_string_format("%d", i);
            uint64_t began = bench_thread_ns();
            (void)neap_map_set(map, key, item);
            bench_histogram_add(&histogram, bench_thread_ns() - began);
            neap_release(key);
            if (i % 64 == 0)
                neap_safepoint();
        }
        bench_counter(state, "insert_p50_ns", (double)bench_histogram_at(&histogram, 0.5),
                      BENCH_MEAN);
        bench_counter(state, "insert_p999_ns", (double)bench_histogram_at(&histogram, 0.999),
                      BENCH_MEAN);
        bench_counter(state, "insert_max_ns", (double)histogram.maximum, BENCH_MEAN);
        neap_release(item);
        drop(map, &histogram);
        bench_counter(state, "drop_p999_ns", (double)bench_histogram_at(&histogram, 0.999),
                      BENCH_MEAN);
        while (neap_collect(0) < 0)
            continue;
    }
}

int main(int argc, char **argv)
{
    map_add_neap();
    map_add_unordered();
#ifdef BENCH_HAS_QSBR
    map_add_lfht();
#endif
    bench_add(&(struct bench_case){
        .name = "map/grow/neap", .run = run_grow, .attached = true, .iterations = 1});
    return bench_main(argc, argv);
}
