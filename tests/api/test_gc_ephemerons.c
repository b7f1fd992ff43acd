/* SPDX-License-Identifier: MIT
 *
 * Weak maps in a heap large enough for the whole crew: what several workers find is what the test's
 * own search finds, in random graphs of nodes, maps and entries; chains of 100,000 entries, in
 * order and out of order, cost each object a few visits; so do weak maps behind an immortal object.
 */
#include <neap/neap.h>

#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

/* Pools of blocks that nobody writes to make the heap large. */
enum { BALLAST_BYTES = 2000, BALLAST_COUNT = (24 << 20) / BALLAST_BYTES };

struct node {
    void *a, *b;
    uint64_t id;
};
NEAP_DEFINE_TYPE(node, (a, b));
struct large {
    void *a, *b;
    uint64_t id;
    char payload[40000];
};
NEAP_DEFINE_TYPE(large, (a, b));
struct leaf {
    void *unused[2];
    uint64_t id;
};
NEAP_DEFINE_TYPE(leaf, ());

static void *ballast[BALLAST_COUNT];

static void make_heap_large(void)
{
    for (size_t i = 0; i < BALLAST_COUNT; i++)
        if ((ballast[i] = neap_alloc(BALLAST_BYTES)) == NULL)
            bail("out of memory");
}

static void drop_ballast(void)
{
    for (size_t i = 0; i < BALLAST_COUNT; i++)
        neap_free(ballast[i]);
}

static void *made(void *object)
{
    if (object == NULL)
        bail("out of memory");
    return object;
}

static void enter(struct neap_weak_map *map, void *key, void *value)
{
    if (neap_weak_map_set(map, key, value) != NEAP_OK)
        bail("out of memory");
}

/* ---- random graphs against a search of our own ---- */

enum {
    NODES = HARNESS_SLOW ? 4000 : 12000,
    MAPS = 12,
    ALL = NODES + MAPS,
    ENTRIES = 2 * NODES,
    ROUNDS = HARNESS_SLOW ? 2 : 4,
    LEAF = 5 /* one node in so many has no slots */
};

struct graph_entry {
    uint32_t map, key, value;
    uint32_t next_of_map, next_of_key; /* index + 1 */
};

static struct {
    void *objects[ALL]; /* nodes, then maps */
    uint32_t edges[NODES][2];
    struct graph_entry entries[ENTRIES];
    uint32_t entry_count;
    uint32_t first_of[ALL]; /* entry index + 1: of a map, of a key */
    bool taken[MAPS][NODES];
    bool held[ALL], reached[ALL];
    uint32_t stack[ALL], top;
} graph;

static bool is_leaf(uint32_t i)
{
    return i < NODES && i % LEAF == 0;
}

static void make_objects(void)
{
    memset(&graph, 0, sizeof graph);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = is_leaf(i)      ? made(neap_new(leaf))
                            : i % 2000 == 1 ? made(neap_new(large))
                                            : made(neap_new(node));
        node->id = i;
        graph.objects[i] = node;
    }
    for (uint32_t i = NODES; i < ALL; i++)
        graph.objects[i] = made(neap_weak_map_new());
}

static void add_entry(uint32_t map, uint32_t key, uint32_t value)
{
    if (graph.taken[map - NODES][key] || graph.entry_count == ENTRIES)
        return;
    graph.taken[map - NODES][key] = true;
    uint32_t index = graph.entry_count++;
    graph.entries[index] =
        (struct graph_entry){map, key, value, graph.first_of[map], graph.first_of[key]};
    graph.first_of[map] = graph.first_of[key] = index + 1;
    enter(graph.objects[map], graph.objects[key], graph.objects[value]);
}

/* Few references, many entries; some values and targets are maps; keys near and far. */
static void connect(uint64_t *random)
{
    for (uint32_t i = 0; i < NODES; i++)
        for (int k = 0; k < 2 && !is_leaf(i); k++) {
            uint64_t r = harness_random(random);
            if (r % 4 != 0)
                continue;
            uint32_t target =
                r / 4 % 100 == 0 ? NODES + (uint32_t)(r / 400 % MAPS) : (uint32_t)(r / 400 % NODES);
            struct node *node = graph.objects[i];
            neap_set(k == 0 ? &node->a : &node->b, graph.objects[target]);
            graph.edges[i][k] = target + 1;
        }
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint64_t r = harness_random(random);
        uint32_t map = NODES + (uint32_t)(r % MAPS), key = (uint32_t)(r / MAPS % NODES);
        if (i % 50 == 0)
            key = 7; /* in every map */
        uint64_t s = harness_random(random);
        uint32_t value = s % 50 == 0  ? NODES + (uint32_t)(s / 50 % MAPS)
                         : s % 3 == 0 ? (key + 1) % NODES
                                      : (uint32_t)(s / 50 % NODES);
        add_entry(map, key, value);
    }
}

static void reach(uint32_t i)
{
    if (graph.reached[i])
        return;
    graph.reached[i] = true;
    graph.stack[graph.top++] = i;
}

static size_t search(void)
{
    size_t found = 0;
    memset(graph.reached, 0, sizeof graph.reached);
    for (uint32_t i = 0; i < ALL; i++)
        if (graph.held[i])
            reach(i);
    while (graph.top > 0) {
        uint32_t i = graph.stack[--graph.top];
        found++;
        for (int k = 0; k < 2 && i < NODES; k++)
            if (graph.edges[i][k] != 0)
                reach(graph.edges[i][k] - 1);
        for (uint32_t e = graph.first_of[i]; e != 0;) {
            const struct graph_entry *entry = &graph.entries[e - 1];
            if (graph.reached[entry->map] && graph.reached[entry->key])
                reach(entry->value);
            e = i < NODES ? entry->next_of_key : entry->next_of_map;
        }
    }
    return found;
}

/* Entries that are not where they should be, or are where they should not. */
static size_t misplaced_entries(void)
{
    size_t wrong = 0;
    uint32_t count[MAPS] = {0};
    for (uint32_t e = 0; e < graph.entry_count; e++) {
        const struct graph_entry *entry = &graph.entries[e];
        if (!graph.reached[entry->map] || !graph.reached[entry->key])
            continue;
        count[entry->map - NODES]++;
        void *value = neap_weak_map_get(graph.objects[entry->map], graph.objects[entry->key]);
        wrong += value != graph.objects[entry->value];
        neap_release(value);
    }
    for (uint32_t m = 0; m < MAPS; m++)
        if (graph.reached[NODES + m])
            wrong += neap_weak_map_count(graph.objects[NODES + m]) != count[m];
    return wrong;
}

/* keep: one node in so many stays held; maps: one in so many. */
static void random_graph(uint64_t *random, int round, uint64_t keep, uint64_t keep_map)
{
    struct neap_stats stats;
    make_objects();
    connect(random);
    is_int(neap_collect(2), 0, "round %d: everything is held", round);
    for (uint32_t i = 0; i < ALL; i++)
        graph.held[i] = harness_random(random) % (i < NODES ? keep : keep_map) == 0;
    size_t left = search();
    for (uint32_t i = 0; i < ALL; i++)
        if (!graph.held[i])
            neap_release(graph.objects[i]);
    ok(neap_collect(2) >= 0, "round %d: %u entries, %zu objects are left", round, graph.entry_count,
       left);
    neap_stats_get(&stats);
    is_int(stats.objects, left, "round %d: exactly what can be reached is alive", round);
    is_int(misplaced_entries(), 0, "round %d: and each map has its entries", round);
    for (uint32_t i = 0; i < ALL; i++)
        if (graph.held[i])
            neap_release(graph.objects[i]);
    (void)neap_collect(2);
    neap_stats_get(&stats);
    is_int(stats.objects, 0, "round %d: nothing is left", round);
}

/* ---- long chains ---- */

enum {
    LENGTH = HARNESS_SLOW ? 10000 : 100000,
    MOST_VISITS = 12 /* two as a rule; the verifier has its own */
};

static uint64_t visits;

struct counted {
    void *a;
};
static void counted_visit(void *self, struct neap_visitor *visitor)
{
    __atomic_fetch_add(&visits, 1, __ATOMIC_RELAXED);
    neap_visit(visitor, &((struct counted *)self)->a);
}
NEAP_DEFINE_TYPE(counted, (), .visit = counted_visit);

static void *chain[LENGTH];

static void make_chain(uint64_t *random, bool in_order, bool counted)
{
    for (uint32_t i = 0; i < LENGTH; i++)
        chain[i] = counted ? made(neap_new(counted)) : made(neap_new(node));
    for (uint32_t i = LENGTH - 1; i > 0 && !in_order; i--) {
        uint32_t k = (uint32_t)(harness_random(random) % (i + 1));
        void *other = chain[k];
        chain[k] = chain[i];
        chain[i] = other;
    }
}

/* The value of each key is the next key, and refers to the key before: of all the first alone is
 * held. ring: nothing is, and the last leads to the first. */
static void long_chain(uint64_t *random, bool in_order, bool counted, bool ring)
{
    struct neap_weak_map *maps[2] = {made(neap_weak_map_new()), made(neap_weak_map_new())};
    make_chain(random, in_order, counted);
    for (uint32_t i = 1; i < LENGTH; i++) {
        neap_set((void **)chain[i], chain[i - 1]);
        enter(maps[i % 2], chain[i - 1], chain[i]);
    }
    if (ring) {
        neap_set((void **)chain[0], chain[LENGTH - 1]);
        enter(maps[0], chain[LENGTH - 1], chain[0]);
    }
    const char *order = in_order ? "in order" : "out of order";
    for (uint32_t i = 1; i < LENGTH; i++)
        neap_release(chain[i]);
    visits = 0;
    is_int(neap_collect(2), 0, "a %s of entries %s hangs on one key", ring ? "ring" : "chain",
           order);
    if (counted)
        ok(visits >= LENGTH && visits <= (uint64_t)MOST_VISITS * LENGTH,
           "each is visited a few times (%.1f)", (double)visits / LENGTH);
    is_int(neap_weak_map_count(maps[0]) + neap_weak_map_count(maps[1]), LENGTH - 1 + ring,
           "its entries are there");
    neap_release(chain[0]);
    is_int(neap_collect(2), LENGTH, "and it dies whole");
    is_int(neap_weak_map_count(maps[0]) + neap_weak_map_count(maps[1]), 0, "with its entries");
    neap_release(maps[0]);
    neap_release(maps[1]);
}

/* ---- what immortal objects reach is not counted; what hangs on keys there is ---- */

enum { HUNG = HARNESS_SLOW ? 2000 : 20000 };

struct table {
    struct neap_weak_map *map;
    void *keys[HUNG];
};
NEAP_DEFINE_TYPE(table, (map, keys));

static void behind_an_immortal(void)
{
    struct table *table = made(neap_new(table));
    neap_give(&table->map, made(neap_weak_map_new()));
    for (uint32_t i = 0; i < HUNG; i++) {
        neap_give(&table->keys[i], made(neap_new(node)));
        struct node *value = made(neap_new(node)), *second = made(neap_new(node));
        neap_set(&value->a, table->keys[i]);
        enter(table->map, table->keys[i], value);
        enter(table->map, value, second); /* a key that is no more than a value */
        neap_set(&second->a, value);
        neap_release(value);
        neap_release(second);
    }
    neap_immortalize(table);
    for (int i = 0; i < 3; i++)
        is_int(neap_collect(2), 0, "a weak map and its keys behind an immortal object live");
    for (uint32_t i = 0; i < HUNG / 2; i++)
        neap_clear(&table->keys[i]);
    is_int(neap_collect(2), 3 * (HUNG / 2), "keys that it lets go die with their values");
    is_int(neap_weak_map_count(table->map), HUNG, "and their entries");
    is_int(neap_collect(2), 0, "the others live");
    neap_clear(&table->map);
    is_int(neap_collect(2), 0, "a map that goes takes its values with it, by counting");
    struct neap_stats stats;
    neap_stats_get(&stats);
    is_int(stats.objects, 1 + HUNG / 2, "the keys are left, and the table");
    for (uint32_t i = HUNG / 2; i < HUNG; i++)
        neap_clear(&table->keys[i]);
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "collector_threads=4", 0);
    uint64_t random = harness_seed();
    harness_begin();
    neap_gc_disable();
    make_heap_large();
    for (int round = 0; round < ROUNDS; round++)
        random_graph(&random, round, round % 2 == 0 ? 400 : 20, round < 2 ? 2 : 5);
    long_chain(&random, true, false, false);
    long_chain(&random, false, false, false);
    long_chain(&random, false, true, false);
    long_chain(&random, false, false, true);
    behind_an_immortal();
    drop_ballast();
    return harness_end();
}
