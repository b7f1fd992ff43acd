/* SPDX-License-Identifier: MIT
 *
 * Statistics of stops: each stop is counted once under its cause, in every histogram. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

enum { ROUNDS = 20 };

struct node {
    struct node *next;
};
NEAP_DEFINE_TYPE(node, (next));

static atomic_bool finish;

static void *poll_until_end(void *arg)
{
    while (!atomic_load(&finish))
        neap_safepoint();
    return arg;
}

static bool go_on(void *object, void *arg)
{
    (void)object;
    (void)arg;
    return true;
}

static struct neap_stop_stats stats_of(int cause)
{
    struct neap_stop_stats stats;
    if (neap_stop_stats_get(cause, &stats) != NEAP_OK)
        bail("neap_stop_stats_get");
    return stats;
}

static bool is_consistent(const struct neap_durations *durations)
{
    uint64_t sum = 0;
    for (int i = 0; i < NEAP_DURATION_BUCKETS; i++)
        sum += durations->buckets[i];
    return sum == durations->count && durations->p50_ns <= durations->p99_ns &&
           durations->p99_ns <= durations->max_ns && durations->max_ns <= durations->total_ns;
}

static void test_cause(int cause, const char *name, void (*act)(void), uint64_t least)
{
    struct neap_stop_stats before = stats_of(cause), after;
    for (int i = 0; i < ROUNDS; i++)
        act();
    after = stats_of(cause);
    is_str(neap_stop_cause_name(cause), name, "the name of %s", name);
    uint64_t stops = after.to_safepoint.count - before.to_safepoint.count;
    ok(stops >= least && stops <= 3 * least, "%s: %d rounds are counted (%d)", name, ROUNDS,
       (int)stops);
    ok(is_consistent(&after.to_safepoint) && is_consistent(&after.stopped) &&
           is_consistent(&after.turn),
       "%s: each histogram has what was counted", name);
    ok(after.turn.count == after.to_safepoint.count &&
           after.stopped.count == (cause == NEAP_STOP_HANDSHAKE ? 0 : after.to_safepoint.count),
       "%s: each stop is in each of them", name);
    ok(after.to_safepoint.max_ns > 0, "%s: a thread that polls takes time", name);
}

static void collect(void)
{
    (void)neap_collect(2);
}

static void walk(void)
{
    (void)neap_gc_each_object(-1, go_on, NULL);
}

static void fork_once(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid < 0 || NEAP_BLOCKED(waitpid(pid, &status, 0)) != pid || status != 0)
        bail("fork");
}

struct leaf {
    long value;
};
NEAP_DEFINE_TYPE(leaf, ());

static atomic_bool recycling, recycled_enough;

/* The same blocks again and again: no magazine runs empty, and nobody says neap_safepoint. */
static void *recycle(void *arg)
{
    size_t untyped_bytes = *(size_t *)arg;
    while (!atomic_load(&recycled_enough)) {
        neap_release(neap_new(leaf));
        if (untyped_bytes > 0)
            neap_free(neap_alloc(untyped_bytes));
        atomic_store(&recycling, true);
    }
    return arg;
}

static void test_recycler(size_t untyped_bytes)
{
    pthread_t thread;
    atomic_store(&recycling, false);
    atomic_store(&recycled_enough, false);
    if (neap_thread_create(&thread, "recycle", recycle, &untyped_bytes) != 0)
        bail("neap_thread_create");
    while (!atomic_load(&recycling))
        neap_safepoint();
    (void)neap_collect(2);
    ok(true,
       "a thread that makes and drops one object and %zu bytes, and does not poll, is stopped",
       untyped_bytes);
    atomic_store(&recycled_enough, true);
    neap_thread_join(thread, NULL);
}

static void test_json(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        bail("open_memstream");
    void *block = neap_alloc(24), *large = neap_alloc(5000);
    struct neap_stats stats;
    neap_stats_get(&stats);
    is_int(neap_stats_write_json(out), NEAP_OK, "the statistics are written");
    fclose(out);
    char slack[100];
    snprintf(slack, sizeof slack, "\"slack_bytes\":%zu,\"classes\":[{\"kind\":\"",
             (size_t)stats.slack_bytes);
    ok(stats.slack_bytes >= neap_usable_size(large) - 5000 && stats.metadata_bytes > 0,
       "slack of a large block, and metadata, are counted");
    neap_free(large);
    neap_free(block);
    const char *const members[] = {
        "\"stops\":{\"collect\":{\"to_safepoint\":{\"count\":",
        "},\"stopped\":{\"count\":",
        "},\"turn\":{\"count\":",
        "\"fork\":{",
        "\"walk\":{",
        "\"handshake\":{",
        "\"late_threads\":0",
        "\"stuck_objects\":0",
        slack,
        "{\"kind\":\"untyped\",\"block_bytes\":32,\"live\":",
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        ok(strstr(text, members[i]) != NULL, "in JSON: %s", members[i]);
    int depth = 0;
    for (const char *c = text; *c != '\0'; c++)
        depth += (*c == '{' || *c == '[') - (*c == '}' || *c == ']');
    is_int(depth, 0, "its brackets are balanced");
    free(text);
}

int main(void)
{
    plan_lazy();
    harness_begin();
    struct neap_stop_stats stats;
    is_int(neap_stop_stats_get(-1, &stats), NEAP_EINVAL, "no cause below 0");
    is_int(neap_stop_stats_get(NEAP_STOP_CAUSES, &stats), NEAP_EINVAL, "nor beyond the last");
    ok(neap_stop_cause_name(NEAP_STOP_CAUSES) == NULL, "nor a name for it");
    uint64_t count = 0;
    is_int(neap_stop_stats_get_sized(NEAP_STOP_COLLECT, (void *)&count, sizeof count), NEAP_OK,
           "a program that knows a shorter struct gets that much");
    struct node *node = neap_new(node);
    pthread_t thread;
    if (neap_thread_create(&thread, "poller", poll_until_end, NULL) != NEAP_OK)
        bail("no thread");
    test_cause(NEAP_STOP_COLLECT, "collect", collect, ROUNDS);
    test_cause(NEAP_STOP_HANDSHAKE, "handshake", collect, ROUNDS);
    test_cause(NEAP_STOP_WALK, "walk", walk, 2 * ROUNDS);
    test_cause(NEAP_STOP_FORK, "fork", fork_once, ROUNDS);
    static const size_t untyped_bytes[] = {0, 24, 64, 256, 512, 1000, 100000};
    for (size_t i = 0; i < sizeof untyped_bytes / sizeof untyped_bytes[0]; i++)
        test_recycler(untyped_bytes[i]);
    test_json();
    atomic_store(&finish, true);
    neap_thread_join(thread, NULL);
    neap_release(node);
    return harness_end();
}
