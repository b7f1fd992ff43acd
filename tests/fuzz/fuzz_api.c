/* SPDX-License-Identifier: MIT
 *
 * Bytes as a program over the API, one thread, with a model beside it: per object its references
 * and its slots. Each byte is an operation, the next ones its operands (letters do as well as any
 * byte). Oracle after every operation: an object is gone exactly when its count in the model is 0,
 * or it was unreachable when a collection ran; counts agree; weak references agree; after a full
 * collection exactly the reachable is alive. */
#include <stdbool.h>
#include <string.h>

#include <neap/neap.h>

#include "tests/fuzz/fuzz.h"

enum { OBJECTS = 256, SLOTS = 4, VARIABLES = 8, WEAKS = 4, LONGEST = 600 };

struct node {
    struct node *plain[2];
    struct node *atomic[2];
    unsigned number;
};

/* The model: 0 is NULL. */
static struct object {
    struct node *address;
    unsigned slots[SLOTS], count;
    bool alive, reached, frozen;
} objects[OBJECTS];
static unsigned made, variables[VARIABLES], alive_count;
static struct {
    struct neap_weak *weak;
    unsigned target;
} weaks[WEAKS];

static void dispose(void *self)
{
    struct node *node = self;
    struct object *object = &objects[node->number];
    fuzz_check(object->alive && object->address == node, "object %u dies, and is dead",
               node->number);
    object->alive = false;
    alive_count--;
}
NEAP_DEFINE_TYPE(node, (plain, NEAP_ATOMIC(atomic)), .dispose = dispose);

/* ---- the model ---- */

static void forget(unsigned number);

static void drop(unsigned number)
{
    if (number != 0 && --objects[number].count == 0)
        forget(number);
}

/* Its count is 0: what it held goes. (It was found dead already when a collection took it.) */
static void forget(unsigned number)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned child = objects[number].slots[i];
        objects[number].slots[i] = 0;
        drop(child);
    }
}

static void reach(unsigned number)
{
    if (number == 0 || objects[number].reached)
        return;
    objects[number].reached = true;
    for (unsigned i = 0; i < SLOTS; i++)
        reach(objects[number].slots[i]);
}

/* Unreachable objects that a full collection frees: their counts are gone too. */
static void collect_model(void)
{
    for (unsigned i = 1; i <= made; i++)
        objects[i].reached = false;
    for (unsigned i = 0; i < VARIABLES; i++)
        reach(variables[i]);
    for (unsigned i = 1; i <= made; i++) {
        if (objects[i].reached)
            continue;
        for (unsigned j = 0; j < SLOTS; j++) {
            unsigned child = objects[i].slots[j];
            if (child != 0 && objects[child].reached)
                objects[child].count--;
            objects[i].slots[j] = 0;
        }
        objects[i].count = 0;
    }
}

static void compare(bool exact)
{
    for (unsigned i = 1; i <= made; i++)
        fuzz_check(objects[i].alive ? !exact || objects[i].count > 0 : objects[i].count == 0,
                   "object %u is %s, its count is %u", i, objects[i].alive ? "alive" : "dead",
                   objects[i].count);
    for (unsigned i = 0; i < VARIABLES; i++) {
        if (variables[i] == 0)
            continue;
        const struct object *object = &objects[variables[i]];
        fuzz_check(object->address->number == variables[i], "variable %u is not object %u", i,
                   variables[i]);
        fuzz_check(neap_refcount(object->address) == object->count, "object %u: count %zu, not %u",
                   variables[i], neap_refcount(object->address), object->count);
    }
    for (unsigned i = 0; i < WEAKS; i++) {
        if (weaks[i].weak == NULL)
            continue;
        const struct object *object = &objects[weaks[i].target];
        struct node *got = neap_weak_get(weaks[i].weak);
        fuzz_check(got == (object->alive ? object->address : NULL), "weak reference %u to %u: %p",
                   i, weaks[i].target, (void *)got);
        neap_release(got);
    }
}

/* What a younger collection found is learnt from neap: what those objects held is given back. */
static void follow_collection(void)
{
    for (unsigned i = 1; i <= made; i++) {
        if (objects[i].alive)
            continue;
        objects[i].count = 0;
        for (unsigned j = 0; j < SLOTS; j++) {
            unsigned child = objects[i].slots[j];
            objects[i].slots[j] = 0;
            if (child != 0 && objects[child].alive)
                objects[child].count--;
        }
    }
}

/* ---- the program ---- */

static const uint8_t *code;
static size_t left;

static unsigned operand(unsigned below)
{
    if (left == 0)
        return 0;
    left--;
    return *code++ % below;
}

static void set_variable(unsigned index, unsigned number)
{
    unsigned old = variables[index];
    variables[index] = number;
    drop(old);
    if (old != 0)
        neap_release(objects[old].address);
}

static void make(void)
{
    unsigned index = operand(VARIABLES);
    if (made + 1 == OBJECTS)
        return;
    struct node *node = neap_new(node);
    fuzz_check(node != NULL, "no memory");
    node->number = ++made;
    objects[made] = (struct object){.address = node, .count = 1, .alive = true};
    alive_count++;
    set_variable(index, made);
}

static void copy(void)
{
    unsigned to = operand(VARIABLES), number = variables[operand(VARIABLES)];
    if (number != 0) {
        (void)neap_retain(objects[number].address);
        objects[number].count++;
    }
    set_variable(to, number);
}

/* How: by set or store, give, exchange, compare and exchange. */
static void store(void)
{
    unsigned holder = variables[operand(VARIABLES)], index = operand(SLOTS), how = operand(3);
    unsigned number = variables[operand(VARIABLES)];
    if (holder == 0)
        return;
    struct node *node = objects[holder].address, *value = objects[number].address;
    unsigned old = objects[holder].slots[index];
    if (number == 0)
        value = NULL;
    else
        objects[number].count++;
    objects[holder].slots[index] = number;
    drop(old);
    if (index < 2 && how == 0)
        neap_set(&node->plain[index], value);
    else if (index < 2)
        neap_give(&node->plain[index], neap_retain(value));
    else if (how == 0)
        neap_store(&node->atomic[index - 2], value);
    else if (how == 1)
        neap_release(neap_exchange(&node->atomic[index - 2], value));
    else {
        struct node *expected = neap_load(&node->atomic[index - 2]);
        fuzz_check(neap_compare_exchange(&node->atomic[index - 2], expected, value), "refused");
        neap_release(expected);
    }
}

static void load(void)
{
    unsigned to = operand(VARIABLES), holder = variables[operand(VARIABLES)];
    unsigned index = operand(SLOTS);
    if (holder == 0)
        return;
    struct node *node = objects[holder].address, *value;
    bool take = index < 2 && operand(2) == 1;
    if (take)
        value = neap_take(&node->plain[index]);
    else
        value = index < 2 ? neap_get(&node->plain[index]) : neap_load(&node->atomic[index - 2]);
    unsigned number = objects[holder].slots[index];
    fuzz_check(value == (number != 0 ? objects[number].address : NULL), "slot %u of %u holds %p",
               index, holder, (void *)value);
    if (take)
        objects[holder].slots[index] = 0;
    else if (number != 0)
        objects[number].count++;
    set_variable(to, number);
}

static void weaken(void)
{
    unsigned index = operand(WEAKS), number = variables[operand(VARIABLES)];
    neap_release(weaks[index].weak);
    weaks[index].weak = number != 0 ? neap_weak_new(objects[number].address) : NULL;
    weaks[index].target = number;
}

static void upgrade(void)
{
    unsigned index = operand(WEAKS), to = operand(VARIABLES);
    struct node *node = weaks[index].weak != NULL ? neap_weak_get(weaks[index].weak) : NULL;
    if (node != NULL)
        objects[weaks[index].target].count++;
    set_variable(to, node != NULL ? weaks[index].target : 0);
}

static void collect(void)
{
    int generation = (int)operand(3);
    fuzz_check(neap_collect(generation) >= 0, "neap_collect failed");
    if (generation == 2)
        collect_model();
    else
        follow_collection();
}

static void give_away(void)
{
    unsigned number = variables[operand(VARIABLES)], whole = operand(3);
    if (number == 0)
        return;
    if (whole == 2)
        (void)neap_hand_over_graph(objects[number].address, 1 + operand(20));
    else
        neap_hand_over(objects[number].address);
    if (whole > 0)
        (void)neap_adopt(objects[number].address);
}

static void step(void)
{
    unsigned operation = operand(16);
    switch (operation) {
    case 0:
    case 1:
    case 2:
        make();
        break;
    case 3:
    case 4:
        copy();
        break;
    case 5:
    case 6:
    case 7:
        store();
        break;
    case 8:
    case 9:
        load();
        break;
    case 10:
        set_variable(operand(VARIABLES), 0);
        break;
    case 11:
        weaken();
        break;
    case 12:
        upgrade();
        break;
    case 13:
        collect();
        break;
    case 14:
        give_away();
        break;
    default:
        neap_safepoint();
        neap_free(neap_alloc(operand(256) * 16));
        break;
    }
    neap_safepoint();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        struct neap_options options = NEAP_OPTIONS_INIT;
        options.release_budget = 0;
        options.finalize_ms = 0;
        options.threshold_young = 0;
        fuzz_check(neap_init(&options) == NEAP_OK, "neap_init failed");
        started = true;
    }
    code = data;
    left = size < LONGEST ? size : LONGEST;
    made = 0;
    while (left > 0) {
        step();
        compare(false);
    }
    for (unsigned i = 0; i < WEAKS; i++) {
        neap_release(weaks[i].weak);
        weaks[i].weak = NULL;
    }
    for (unsigned i = 0; i < VARIABLES; i++)
        set_variable(i, 0);
    fuzz_check(neap_collect(2) >= 0, "neap_collect failed");
    collect_model();
    neap_safepoint();
    compare(true);
    fuzz_check(alive_count == 0, "%u objects are left", alive_count);
    return 0;
}
