/* SPDX-License-Identifier: MIT
 *
 * How often which program does what. */
#include <string.h>

#include "tools/stress/hands.h"

enum action {
#define NUMBER(name) DO_##name,
    ACTIONS(NUMBER)
#undef NUMBER
        ACTION_COUNT
};

static void (*const functions[])(struct worker *worker) = {
#define FUNCTION(name) act_##name,
    ACTIONS(FUNCTION)
#undef FUNCTION
};
_Static_assert(ACTION_COUNT <= sizeof mixes[0].weights / sizeof mixes[0].weights[0], "weights");

/* clang-format off */
const struct mix mixes[] = {
    {"server", "tables that all threads read and write, weak watchers, object locks", false,
     {[DO_make] = 100, [DO_make_linked] = 60, [DO_publish] = 120, [DO_load] = 250, [DO_swap] = 60,
      [DO_clear] = 30, [DO_fight] = 10, [DO_set] = 40, [DO_take] = 30, [DO_drop] = 100,
      [DO_count] = 40, [DO_peek_publish] = 20, [DO_peek] = 60, [DO_weak] = 20, [DO_weak_look] = 10,
      [DO_weak_share] = 10, [DO_weak_shared] = 10, [DO_lock] = 20, [DO_block] = 40,
      [DO_safepoint] = 40, [DO_block_region] = 20, [DO_collect] = 2, [DO_list] = 5, [DO_map] = 30}},
    {"producer-consumer", "messages handed over through queues, freed elsewhere", false,
     {[DO_make] = 150, [DO_make_linked] = 50, [DO_send] = 250, [DO_receive] = 250,
      [DO_message] = 100, [DO_channel] = 60, [DO_drop] = 120, [DO_load] = 60,
      [DO_publish] = 40, [DO_fight] = 10, [DO_count] = 30, [DO_block] = 100,
      [DO_block_pass] = 100, [DO_safepoint] = 40, [DO_block_region] = 30, [DO_collect] = 2}},
    {"graph", "rings, lists, trees, hubs and random graphs, shared and collected", false,
     {[DO_graph] = 60, [DO_bury] = 150, [DO_unearth] = 100, [DO_make_linked] = 60,
      [DO_link] = 150, [DO_walk] = 150, [DO_publish] = 80,
      [DO_load] = 100, [DO_set] = 80, [DO_take] = 40, [DO_drop] = 120, [DO_swap] = 20,
      [DO_fight] = 5, [DO_weak] = 10, [DO_weak_look] = 5, [DO_collect] = 10, [DO_walker] = 2,
      [DO_safepoint] = 30, [DO_block_region] = 10}},
    {"churn", "all sizes made and freed, threads that come and go, memory given back", false,
     {[DO_make] = 250, [DO_drop] = 220, [DO_block] = 200, [DO_block_resize] = 60,
      [DO_block_pass] = 150, [DO_send] = 60, [DO_receive] = 60, [DO_publish] = 60, [DO_load] = 60,
      [DO_fight] = 40, [DO_trim] = 4, [DO_thread] = 2, [DO_attach] = 2, [DO_collect] = 3,
      [DO_safepoint] = 30, [DO_block_region] = 10}},
    {"ephemerons", "weak maps whose values lead to their keys, in chains and rings", false,
     {[DO_make] = 100, [DO_graph] = 20, [DO_link] = 80, [DO_walk] = 40, [DO_set] = 60,
      [DO_publish] = 40, [DO_load] = 80, [DO_drop] = 120, [DO_weak] = 20, [DO_weak_look] = 20,
      [DO_weak_map] = 150, [DO_collect] = 10, [DO_safepoint] = 30, [DO_block_region] = 10}},
    {"weak", "weak references, callbacks, cleanups, finalizers that bring back", true,
     {[DO_make] = 100, [DO_graph] = 20, [DO_link] = 60, [DO_walk] = 40, [DO_publish] = 60,
      [DO_load] = 100, [DO_fight] = 10, [DO_drop] = 120, [DO_weak] = 150, [DO_weak_look] = 60,
      [DO_weak_share] = 100, [DO_weak_shared] = 100, [DO_cleanup] = 30, [DO_collect] = 8,
      [DO_pending] = 10, [DO_weak_map] = 60, [DO_safepoint] = 30, [DO_block_region] = 10}},
    {"chaos", "everything, and fork, deferral, immortality, freezing, walkers", true,
     {[DO_make] = 80, [DO_make_linked] = 40, [DO_graph] = 20, [DO_bury] = 20, [DO_unearth] = 20,
      [DO_publish] = 60, [DO_load] = 80,
      [DO_swap] = 30, [DO_clear] = 10, [DO_fight] = 20, [DO_link] = 60, [DO_walk] = 60,
      [DO_set] = 30, [DO_take] = 20, [DO_drop] = 80, [DO_count] = 20, [DO_send] = 40,
      [DO_receive] = 40, [DO_message] = 10, [DO_peek_publish] = 20, [DO_peek] = 20, [DO_weak] = 30,
      [DO_weak_look] = 20, [DO_weak_share] = 20, [DO_weak_shared] = 20, [DO_cleanup] = 10,
      [DO_defer] = 5, [DO_undefer] = 5, [DO_immortalize] = 1, [DO_lock] = 10, [DO_block] = 30,
      [DO_block_resize] = 10, [DO_block_pass] = 20, [DO_trim] = 1, [DO_safepoint] = 30,
      [DO_block_region] = 10, [DO_attach] = 2, [DO_thread] = 2, [DO_collect] = 4, [DO_pending] = 5,
      [DO_walker] = 2, [DO_freeze] = 2, [DO_list] = 5, [DO_map] = 10, [DO_channel] = 10,
      [DO_weak_map] = 5, [DO_trace] = 1, [DO_fork] = 1}},
    {NULL, NULL, false, {0}},
};
/* clang-format on */

const struct mix *mix_named(const char *name)
{
    for (const struct mix *mix = mixes; mix->name != NULL; mix++)
        if (strcmp(mix->name, name) == 0)
            return mix;
    return NULL;
}

static const char *const names[] = {
#define NAME(name) #name,
    ACTIONS(NAME)
#undef NAME
};
static bool left_out[ACTION_COUNT];

bool actions_leave_out(const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        unsigned i = 0;
        while (i < ACTION_COUNT && (strlen(names[i]) != length || memcmp(names[i], list, length)))
            i++;
        if (i == ACTION_COUNT)
            return false;
        left_out[i] = true;
        list += length + (list[length] == ',');
    }
    return true;
}

void act(struct worker *worker, const struct mix *mix)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < ACTION_COUNT; i++)
        sum += mix->weights[i];
    uint32_t choice = roll(worker, sum);
    unsigned action = 0;
    while (choice >= mix->weights[action])
        choice -= mix->weights[action++];
    if (left_out[action])
        return;
    functions[action](worker);
    worker->done++;
}
