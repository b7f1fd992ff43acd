/* SPDX-License-Identifier: MIT
 *
 * Random graphs against an oracle: the test keeps its own picture of who refers to whom and which
 * nodes it holds. Nothing reachable is ever disposed of; after a full collection nothing else is
 * left. */
#include <neap/neap.h>

#include <string.h>
#include <unistd.h>

#include "tests/harness.h"

enum { NODES = 400, SLOTS = 3, STEPS = 30000 };

struct node {
    unsigned id;
    struct node *slots[SLOTS];
};
struct watched {
    unsigned id;
    struct node *slots[SLOTS];
};
struct big {
    unsigned id;
    struct node *slots[SLOTS];
    char payload[700];
};

/* The oracle's picture. */
static struct {
    bool alive, held;
    int slots[SLOTS]; /* id + 1; 0: NULL */
    struct node *object;
} shadow[NODES];
/* Written where the object dies: on any thread that collects. */
static _Atomic bool disposed[NODES];
static _Atomic unsigned finalized_count, wrong;

static void node_dispose(void *self)
{
    struct node *node = self;
    wrong += disposed[node->id];
    disposed[node->id] = true;
}
static void node_finalize(void *self)
{
    (void)self;
    finalized_count++;
}
NEAP_DEFINE_TYPE(node, (slots), .dispose = node_dispose);
NEAP_DEFINE_TYPE(watched, (slots), .dispose = node_dispose, .finalize = node_finalize);
NEAP_DEFINE_TYPE(big, (slots), .dispose = node_dispose);

static void reach(bool *reached, int id)
{
    int stack[NODES * SLOTS + 1], top = 0;
    stack[top++] = id;
    while (top > 0) {
        id = stack[--top];
        if (reached[id])
            continue;
        reached[id] = true;
        for (int s = 0; s < SLOTS; s++)
            if (shadow[id].slots[s] != 0)
                stack[top++] = shadow[id].slots[s] - 1;
    }
}

/* A collection on another thread may have found some of it, and be about to dispose of it. */
static void await_disposals(const bool *reached)
{
    for (int tries = 0; tries < 5000; tries++) {
        bool missing = false;
        for (int i = 0; i < NODES; i++)
            missing |= shadow[i].alive && !reached[i] && !disposed[i];
        if (!missing)
            return;
        neap_run_pending(SIZE_MAX);
        (void)NEAP_BLOCKED(usleep(1000));
    }
}

static void check(bool exact, const char *when)
{
    static bool reached[NODES];
    memset(reached, 0, sizeof reached);
    for (int i = 0; i < NODES; i++)
        if (shadow[i].alive && shadow[i].held)
            reach(reached, i);
    if (exact)
        await_disposals(reached);
    for (int i = 0; i < NODES; i++) {
        if (!shadow[i].alive)
            continue;
        if (reached[i] && disposed[i]) {
            wrong++;
            diag("%s: node %d is reachable and was disposed of", when, i);
        }
        if (exact && !reached[i] && !disposed[i]) {
            wrong++;
            diag("%s: node %d is unreachable and still there", when, i);
        }
        if (disposed[i]) {
            shadow[i].alive = false;
            disposed[i] = false;
        }
    }
}

static void create(uint64_t *random)
{
    unsigned i = (unsigned)(harness_random(random) % NODES);
    if (shadow[i].alive)
        return;
    struct node *node;
    switch (harness_random(random) % 8) {
    case 0:
        node = (struct node *)neap_new(watched);
        break;
    case 1:
        node = (struct node *)neap_new(big);
        break;
    default:
        node = neap_new(node);
    }
    node->id = i;
    memset(&shadow[i], 0, sizeof shadow[i]);
    shadow[i].alive = shadow[i].held = true;
    shadow[i].object = node;
}

/* A node that the test can reach: a held one, and a few steps from there. */
static int somebody(uint64_t *random)
{
    for (int tries = 0; tries < 20; tries++) {
        int i = (int)(harness_random(random) % NODES);
        if (!shadow[i].alive || !shadow[i].held)
            continue;
        for (uint64_t hops = harness_random(random) % 4; hops > 0; hops--) {
            int next = shadow[i].slots[harness_random(random) % SLOTS];
            if (next != 0)
                i = next - 1;
        }
        return i;
    }
    return -1;
}

static void step(uint64_t *random)
{
    unsigned slot = (unsigned)(harness_random(random) % SLOTS);
    int a = somebody(random), b = somebody(random);
    uint64_t action = harness_random(random) % 100;
    if (action < 30 || a < 0) {
        create(random);
    } else if (action < 65) {
        neap_set(&shadow[a].object->slots[slot], b < 0 ? NULL : shadow[b].object);
        shadow[a].slots[slot] = b + 1;
    } else if (action < 75) {
        neap_clear(&shadow[a].object->slots[slot]);
        shadow[a].slots[slot] = 0;
    } else if (action < 97) {
        if (shadow[a].held) {
            shadow[a].held = false;
            neap_release(shadow[a].object);
        }
    } else {
        int generation = (int)(harness_random(random) % 3);
        ptrdiff_t found = neap_collect(generation);
        wrong += found < 0;
        /* what survived one collection as garbage, hidden behind an older one, waits for its turn
         */
        check(generation == 2, "after a collection");
    }
    check(false, "after a step");
}

int main(void)
{
    plan_lazy();
    uint64_t random = harness_seed();
    harness_begin();
    for (int i = 0; i < STEPS && wrong == 0; i++)
        step(&random);
    is_int(wrong, 0, "%d random steps agree with the oracle", STEPS);
    ok(finalized_count > 0, "some of the garbage had finalizers");
    for (int i = 0; i < NODES; i++)
        if (shadow[i].alive && shadow[i].held) {
            shadow[i].held = false;
            neap_release(shadow[i].object);
        }
    (void)neap_collect(2);
    check(true, "at the end");
    is_int(wrong, 0, "at the end nothing is left");
    return harness_end();
}
