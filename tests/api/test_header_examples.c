/* SPDX-License-Identifier: MIT
 *
 * The examples that open the public headers, word for word; tools/check-docs compares them. Here
 * they compile, run, and do what the text beside them says. */
#include "tests/harness.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/neap.h>

/* ---- <neap/type.h> ---- */

struct route {
    int hops;
};
NEAP_DEFINE_TYPE(route, ());

struct session {
    struct session *next, *prev;
    struct route *current;
    int fd;
};
static void session_dispose(void *self)
{
    close(((struct session *)self)->fd);
}
NEAP_DEFINE_TYPE(session, (next, prev, NEAP_ATOMIC(current)), .dispose = session_dispose);

static void type_example(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        bail("pipe");
    struct session *session = neap_new(session);
    struct route *route = neap_new(route);
    session->fd = ends[1];
    neap_store(&session->current, route);
    neap_set(&session->next, session);
    neap_release(route);
    neap_release(session);
    is_int(neap_collect(2), 1, "type.h: the session that refers to itself is found");
    char byte;
    is_int(read(ends[0], &byte, 1), 0, "type.h: its dispose closed the file");
    close(ends[0]);
}

/* ---- <neap/object.h>, <neap/slot.h> ---- */

struct node {
    struct node *next;
};
static int nodes_gone;
static void node_dispose(void *self)
{
    (void)self;
    nodes_gone++;
}
NEAP_DEFINE_TYPE(node, (next), .dispose = node_dispose);

struct list {
    struct node *head;
};
NEAP_DEFINE_TYPE(list, (head));

static void object_example(void)
{
    nodes_gone = 0;
    struct node *n = neap_new(node);
    struct node *m = neap_retain(n);
    ok(m == n, "object.h: a second reference to the same object");
    neap_release(m);
    is_int(nodes_gone, 0, "object.h: one of two references is not the last");
    neap_release(n);
    is_int(nodes_gone, 1, "object.h: n is gone");
}

static void slot_example(void)
{
    nodes_gone = 0;
    struct list *list = neap_new(list);
    struct node *node = neap_new(node), *rest = neap_new(node);
    neap_set(&list->head, node);
    neap_give(&node->next, rest);
    is_int(neap_refcount(node), 2, "slot.h: the slot counts its node");
    is_int(neap_refcount(rest), 1, "slot.h: a given reference is not counted again");
    neap_release(node);
    struct node *first = neap_get(&list->head);
    struct node *only = neap_take(&list->head);
    ok(first == only && list->head == NULL, "slot.h: taken, the slot is NULL");
    neap_clear(&list->head);
    neap_release(first);
    is_int(nodes_gone, 0, "slot.h: the taken reference is still held");
    neap_release(only);
    is_int(nodes_gone, 2, "slot.h: the node and what it held are gone");
    neap_release(list);
}

/* ---- <neap/weak.h>, <neap/gc.h>, <neap/stats.h>, <neap/block.h> ---- */

struct page {
    int number;
};
NEAP_DEFINE_TYPE(page, ());

static void weak_example(void)
{
    struct page *page = neap_new(page);
    struct neap_weak *watch = neap_weak_new(page);
    struct page *seen = neap_weak_get(watch);
    ok(seen == page, "weak.h: the page while it lives");
    neap_release(seen);
    neap_release(page);
    seen = neap_weak_get(watch);
    ok(seen == NULL, "weak.h: and nothing afterwards");
    neap_release(watch);
}

static void collect_example(void)
{
    struct node *node = neap_new(node);
    neap_set(&node->next, node);
    neap_release(node);
    ptrdiff_t found = neap_collect(2);
    is_int(found, 1, "gc.h: the node that refers to itself is found");
    struct neap_gc_stats old;
    neap_gc_get_stats(2, &old);
    ok(old.collections > 0 && old.collected > 0, "gc.h: and counted");
}

static void stats_example(void)
{
    struct page *page = neap_new(page);
    struct neap_stats stats;
    neap_stats_get(&stats);
    printf("# %" PRIu64 " objects\n", stats.objects);
    ok(stats.objects > 0, "stats.h: one is alive");
    neap_metrics_write(stderr);
    neap_release(page);
}

static void block_example(void)
{
    char *line = neap_alloc(100);
    strcpy(line, "kept");
    line = neap_realloc(line, 200);
    is_str(line, "kept", "block.h: a longer block has what the shorter one had");
    neap_free(line);
}

/* ---- <neap/trace.h> ---- */

static void run_the_suspect(void)
{
    neap_release(neap_new(node));
}

static void trace_example(void)
{
    neap_trace_start(1, 0);
    struct neap_snapshot *before = neap_trace_snapshot();
    run_the_suspect();
    struct neap_snapshot *after = neap_trace_snapshot();
    struct neap_trace_stats *stats;
    if (neap_snapshot_compare(after, before, NEAP_TRACE_BY_LINE, &stats) == NEAP_OK)
        neap_trace_stats_print(stats, 10, stderr);
    is_int(stats->count, 1, "trace.h: one line has allocated");
    neap_trace_stats_free(stats);
    neap_snapshot_free(before);
    neap_snapshot_free(after);
    neap_trace_stop();
}

/* ---- <neap/profile.h> ---- */

static void serve(void)
{
    neap_release(neap_new(node));
}

static void profile_example(void)
{
    char folder[] = "/tmp/neap-examples-XXXXXX", before[4096];
    if (mkdtemp(folder) == NULL || getcwd(before, sizeof before) == NULL || chdir(folder) != 0)
        bail("no folder for the files");
    neap_heap_snapshot_write("heap.heapsnapshot");
    neap_trace_start(1, 512 << 10);
    serve();
    neap_pprof_write("profile.pb.gz");
    neap_collapsed_write("profile.txt");
    neap_trace_stop();
    int removed = unlink("heap.heapsnapshot") + unlink("profile.pb.gz") + unlink("profile.txt");
    is_int(removed, 0, "profile.h: three files are written");
    if (chdir(before) != 0 || rmdir(folder) != 0)
        bail("the folder stays");
}

/* ---- <neap/line_profile.h> ---- */

static struct route *pick(int count)
{
    struct route *best = neap_new(route);
    best->hops = count;
    return best;
}

static void load(int count)
{
    NEAP_PROFILE;
    struct route *best = pick(count);
    neap_release(best);
}

static void line_profile_example(void)
{
    char text[4096] = "";
    neap_trace_start(1, 0);
    load(3);
    FILE *out = fmemopen(text, sizeof text, "w");
    is_int(out != NULL ? neap_profile_print(out) : NEAP_EIO, NEAP_OK, "line_profile.h: a table");
    if (out != NULL)
        fclose(out);
    ok(strstr(text, "Function: load\n") != NULL, "line_profile.h: of the marked function");
    neap_trace_stop();
}

/* ---- <neap/list.h> ---- */

static void list_example(void)
{
    struct node *node = neap_new(node);
    struct neap_list *list = neap_list_new();
    neap_list_append(list, node);
    struct node *first = neap_list_get(list, 0);
    ok(first == node, "list.h: the element that was appended");
    neap_release(first);
    neap_release(list);
    is_int(neap_refcount(node), 1, "list.h: the list gives its reference back");
    neap_release(node);
}

/* ---- <neap/discipline.h> ---- */

static struct node *message;

static void *consumer(void *arg)
{
    neap_adopt(message);
    ok(!neap_adopt(message), "discipline.h: the consumer is owner, once");
    neap_release(message);
    return arg;
}

static void discipline_example(void)
{
    pthread_t thread;
    nodes_gone = 0;
    message = neap_new(node);
    neap_give(&message->next, neap_new(node));
    neap_hand_over_graph(message, 16);
    if (neap_thread_create(&thread, "consumer", consumer, NULL) != NEAP_OK)
        bail("neap_thread_create");
    neap_thread_join(thread, NULL);
    is_int(nodes_gone, 2, "discipline.h: released there, the message and what it held are gone");
}

/* ---- <neap/thread.h> ---- */

static int fd;
static char buffer[16];
static bool running;
static ssize_t handled;

static void handle(const char *bytes, ssize_t count)
{
    running = count > 0 && memcmp(bytes, "end", 3) != 0;
    handled += count;
}

static void *thread_example(void *arg)
{
    neap_thread_attach("worker");
    while (running) {
        ssize_t n = NEAP_BLOCKED(read(fd, buffer, sizeof buffer));
        handle(buffer, n);
        neap_safepoint();
    }
    neap_thread_detach();
    return arg;
}

static void run_thread_example(void)
{
    int ends[2];
    pthread_t thread;
    if (pipe(ends) != 0)
        bail("pipe");
    fd = ends[0];
    running = true;
    if (pthread_create(&thread, NULL, thread_example, NULL) != 0)
        bail("pthread_create");
    ok(neap_collect(2) >= 0, "thread.h: a collection does not wait for a reader");
    is_int(write(ends[1], "end", 3), 3, "thread.h: the reader gets its bytes");
    is_int(neap_thread_join(thread, NULL), NEAP_OK, "thread.h: and ends");
    is_int(handled, 3, "thread.h: having handled them");
    close(ends[0]);
    close(ends[1]);
}

/* ---- <neap/wait.h> ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    int length;
} the_queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}, *queue = &the_queue;

static void *fill_queue(void *arg)
{
    neap_mutex_lock(&queue->mutex);
    queue->length++;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
    return arg;
}

static void wait_example(void)
{
    pthread_t thread;
    if (neap_thread_create(&thread, "filler", fill_queue, NULL) != NEAP_OK)
        bail("neap_thread_create");
    neap_mutex_lock(&queue->mutex);
    while (queue->length == 0)
        neap_cond_wait(&queue->filled, &queue->mutex);
    pthread_mutex_unlock(&queue->mutex);
    is_int(queue->length, 1, "wait.h: waits until the queue is filled");
    neap_thread_join(thread, NULL);
}

/* ---- <neap/stops.h> ---- */

static void stops_example(void)
{
    struct neap_stop_stats stops;
    neap_stop_stats_get(NEAP_STOP_COLLECT, &stops);
    printf("# ");
    printf("worst time to safepoint: %llu us\n",
           (unsigned long long)stops.to_safepoint.max_ns / 1000);
    ok(stops.to_safepoint.count > 0, "stops.h: collections are counted");
}

/* ---- <neap/lock.h> ---- */

struct account {
    long balance;
};
NEAP_DEFINE_TYPE(account, ());

static void lock_example(void)
{
    struct account *account = neap_new(account);
    long amount = 7;
    neap_lock(account);
    account->balance += amount;
    neap_unlock(account);
    is_int(account->balance, 7, "lock.h: the account is credited");
    neap_release(account);
}

/* ---- <neap/string.h> ---- */

static void string_example(void)
{
    struct neap_string *name = neap_string_from("tern");
    struct neap_string *line = neap_string_format("%s: %d", neap_string_data(name), 3);
    struct neap_string *key = neap_string_intern(name);
    is_str(neap_string_data(line), "tern: 3", "string.h: format prints");
    ok(neap_string_equal(key, name), "string.h: the interned string has the same bytes");
    neap_release(key);
    neap_release(line);
    neap_release(name);
}

/* ---- <neap/map.h> ---- */

static void map_example(void)
{
    struct neap_string *name = neap_string_from("north");
    struct route *route = neap_new(route);
    struct neap_map *routes = neap_map_new();
    neap_map_set(routes, name, route);
    struct route *found = neap_map_get(routes, name);
    ok(found == route, "map.h: what was put in is found");
    neap_map_remove(routes, name);
    is_int(neap_map_count(routes), 0, "map.h: and taken out");
    neap_release(found);
    neap_release(routes);
    neap_release(route);
    neap_release(name);
}

/* ---- <neap/weak_map.h> ---- */

struct note {
    int line;
};
NEAP_DEFINE_TYPE(note, ());

static void weak_map_example(void)
{
    struct node *page = neap_new(node);
    struct note *note = neap_new(note);
    struct neap_weak_map *notes = neap_weak_map_new();
    neap_weak_map_set(notes, page, note);
    struct note *found = neap_weak_map_get(notes, page);
    ok(found == note, "weak_map.h: the page has its note");
    neap_release(found);
    neap_release(page);
    is_int(neap_weak_map_count(notes), 0, "weak_map.h: which goes with it");
    neap_release(note);
    neap_release(notes);
}

/* ---- <neap/channel.h> ---- */

static int worked;

static void work(struct node *job)
{
    worked++;
    neap_release(job);
}

static void channel_example(void)
{
    struct neap_channel *jobs = neap_channel_new(4);
    struct node *job = neap_new(node);
    neap_channel_send(jobs, job);
    neap_channel_close(jobs);
    while ((job = neap_channel_receive(jobs)) != NULL)
        work(job);
    neap_channel_close(jobs);
    is_int(worked, 1, "channel.h: what was sent is received");
    neap_release(jobs);
}

/* ---- <neap/dynamic.h> ---- */

static void dynamic_example(void)
{
    struct neap_string *name = neap_string_from("tern");
    struct neap_dynamic *bird = neap_dynamic_new();
    neap_attr_set(bird, "name", name);
    struct neap_string *found = neap_attr_get(bird, "name");
    ok(found == name, "dynamic.h: the attribute has its value");
    neap_release(found);
    neap_release(bird);
    neap_release(name);
}

/* ---- <neap/generator.h> ---- */

struct evens {
    struct neap_generator generator;
    int next, end;
};
NEAP_GENERATOR(evens, ())
{
    NEAP_BEGIN();
    for (; self->next < self->end; self->next += 2)
        NEAP_YIELD(neap_string_format("%d", self->next));
    NEAP_END();
}

static void generator_example(void)
{
    struct evens *numbers = neap_new(evens);
    struct neap_string *number;
    int count = 0;
    numbers->end = 10;
    while ((number = neap_next(numbers)) != NULL) {
        count++;
        neap_release(number);
    }
    is_int(count, 5, "generator.h: five even numbers below ten");
    neap_release(numbers);
}

/* ---- <neap/scope.h> ---- */

static bool start(struct session *session)
{
    session->fd = -1;
    return true;
}

static struct session *open_session(void)
{
    NEAP_AUTO struct session *s = neap_new(session);
    if (!start(s))
        return NULL;
    return NEAP_STEAL(s);
}

static void close_file(FILE *file)
{
    if (file != NULL)
        fclose(file);
}

static void scope_example(void)
{
    struct session *session = open_session();
    is_int(neap_refcount(session), 1, "scope.h: what is stolen is kept");
    neap_release(session);
    const char *path = "/proc/self/comm";
    int first = EOF;
    NEAP_WITH(FILE *, f, fopen(path, "r"), close_file)
    {
        first = fgetc(f);
    }
    ok(first != EOF, "scope.h: the file was open inside");
}

/* ---- <neap/pressure.h> ---- */

enum { PRESSURE_LIMIT = 64 << 20 };

struct cache {
    void *oldest;
};

static void cache_drop_oldest(struct cache *cache, uint64_t bytes)
{
    if (bytes > 0)
        neap_free(cache->oldest);
    cache->oldest = NULL;
}

static void shrink(const struct neap_pressure *pressure, void *arg)
{
    cache_drop_oldest(arg, pressure->used_bytes / 8);
}

static void pressure_example(void)
{
    struct cache cache;
    neap_pressure_add_callback(shrink, &cache);
    cache.oldest = neap_alloc(PRESSURE_LIMIT);
    neap_safepoint();
    ok(cache.oldest == NULL, "pressure.h: what can be done without is dropped");
    neap_pressure_remove_callback(shrink, &cache);
}

/* ---- <neap/runtime.h> ---- */

static int runtime_example(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.release_budget = 0;
    options.heap_soft_limit = PRESSURE_LIMIT;
    if (neap_init(&options) != NEAP_OK)
        return 1;
    type_example();
    object_example();
    slot_example();
    weak_example();
    collect_example();
    stats_example();
    block_example();
    list_example();
    trace_example();
    profile_example();
    line_profile_example();
    pressure_example();
    discipline_example();
    run_thread_example();
    wait_example();
    stops_example();
    lock_example();
    string_example();
    scope_example();
    map_example();
    weak_map_example();
    channel_example();
    dynamic_example();
    generator_example();
    struct neap_leaks *leaks;
    if (neap_shutdown(&leaks) != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    return leaks == NULL ? 0 : 2;
}

int main(void)
{
    plan_lazy();
    is_int(runtime_example(), 0, "runtime.h: started, and ended with nothing alive");
    return done();
}
