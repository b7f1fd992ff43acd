/* SPDX-License-Identifier: MIT
 *
 * The intrusive list against an array that is told the same: random insertions, removals and
 * appends. */
#include "base/list.h"

#include <string.h>

#include "base/compiler.h"
#include "tests/random.h"
#include "tests/tap.h"

enum { NODES = 40, STEPS = 20000 };

struct item {
    int number;
    struct np_list link;
};

static struct item items[NODES];
static struct np_list heads[2];
static int model[2][NODES], model_count[2];

static int number_of(struct np_list *link)
{
    return np_container_of(link, struct item, link)->number;
}

static bool same_as_model(int which)
{
    int at = 0;
    NP_LIST_EACH (link, &heads[which]) {
        if (at == model_count[which] || number_of(link) != model[which][at] ||
            link->next->prev != link || link->prev->next != link)
            return false;
        at++;
    }
    return at == model_count[which] && np_list_empty(&heads[which]) == (at == 0);
}

static void model_remove(int number)
{
    for (int which = 0; which < 2; which++)
        for (int i = 0; i < model_count[which]; i++)
            if (model[which][i] == number) {
                memmove(&model[which][i], &model[which][i + 1],
                        (size_t)(model_count[which] - i - 1) * sizeof(int));
                model_count[which]--;
                return;
            }
}

static void step(uint64_t *state)
{
    int which = (int)(harness_random(state) % 2);
    struct item *item = &items[harness_random(state) % NODES];
    np_list_remove(&item->link); /* also of one that is in no list: harmless */
    model_remove(item->number);
    switch (harness_random(state) % 4) {
    case 0:
        np_list_push_front(&heads[which], &item->link);
        memmove(&model[which][1], &model[which][0], (size_t)model_count[which]++ * sizeof(int));
        model[which][0] = item->number;
        break;
    case 1:
    case 2:
        np_list_push_back(&heads[which], &item->link);
        model[which][model_count[which]++] = item->number;
        break;
    default:
        if (harness_random(state) % 8 != 0)
            break;
        np_list_append_all(&heads[which], &heads[!which]);
        memcpy(&model[which][model_count[which]], model[!which],
               (size_t)model_count[!which] * sizeof(int));
        model_count[which] += model_count[!which];
        model_count[!which] = 0;
    }
}

int main(void)
{
    plan(4);
    np_list_init(&heads[0]);
    np_list_init(&heads[1]);
    ok(same_as_model(0), "a new list is empty");
    for (int i = 0; i < NODES; i++) {
        items[i].number = i;
        np_list_init(&items[i].link);
    }
    uint64_t state = harness_seed();
    int good = 0;
    for (; good < STEPS; good++) {
        step(&state);
        if (!same_as_model(0) || !same_as_model(1))
            break;
    }
    is_int(good, STEPS, "random steps leave what an array would hold");

    int left = 0;
    np_list_append_all(&heads[0], &heads[1]);
    NP_LIST_EACH_SAFE (link, after, &heads[0]) {
        np_list_remove(link);
        left++;
    }
    is_int(left, model_count[0] + model_count[1], "each node is visited while all are removed");
    ok(np_list_empty(&heads[0]) && np_list_empty(&heads[1]), "and both lists are empty then");
    return done();
}
