/* SPDX-License-Identifier: MIT
 *
 * The rows of the map benchmark, written once and compiled per peer. The including file defines,
 * before the include:
 *
 *     PEER_NAME, PEER_ADD             as in counting_rows.h
 *     PEER_ATTACHED                   its threads are attached to neap
 *     map_init(), map_fini()          MAP_KEYS entries, by the first thread that needs them; none
 *     map_read(i), map_write(i)       of key i; a read returns the value's first word
 *     thread_enter(), thread_leave(), thread_poll() */
#include <stdint.h>

#include "bench/measure.h"
#include "bench/shim.h"

enum { BATCH = 256, CALLS = 1 << 19 };

struct row {
    const char *name;
    int threads;
    uint32_t writes; /* of a thousand */
};

static bool is_made; /* all rows and repetitions use one map */

static void run(struct bench_state *state, const void *arg)
{
    const struct row *row = (const struct row *)arg;
    uint64_t seed = 12345 + (uint64_t)bench_thread(state);
    int64_t sum = 0;
    if (bench_thread(state) == 0 && !is_made) {
        map_init(); /* the others wait for it in the first bench_keep_running */
        is_made = true;
    }
    bool entered = false;
    while (bench_keep_running(state, BATCH)) {
        if (!entered)
            thread_enter();
        entered = true;
        for (int i = 0; i < BATCH; i++) {
            uint32_t key = bench_random_below(&seed, MAP_KEYS);
            if (bench_random_below(&seed, 1000) < row->writes)
                map_write(key);
            else
                sum += map_read(key);
        }
        thread_poll();
    }
    if (entered)
        thread_leave();
    bench_use(sum);
}

static void end(void)
{
    if (is_made)
        map_fini();
}

void PEER_ADD(void)
{
    static const struct row rows[] = {
        {"map/mixed_1/" PEER_NAME, 1, 100}, {"map/mixed_2/" PEER_NAME, 2, 100},
        {"map/mixed_4/" PEER_NAME, 4, 100}, {"map/read_1/" PEER_NAME, 1, 0},
        {"map/read_2/" PEER_NAME, 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench_case one = {rows[i].name,    run,           &rows[i], NULL,
                                 rows[i].threads, PEER_ATTACHED, false,    CALLS};
        bench_add(&one);
    }
    bench_at_end(end);
}
