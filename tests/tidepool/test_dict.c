/* SPDX-License-Identifier: MIT
 *
 * tidepool's hash table of names and its sorted sets against plain arrays, through growing and
 * shrinking; scans that see every member that stays, whatever comes and goes beside them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "examples/tidepool/hash.h"
#include "examples/tidepool/set.h"
#include "tests/harness.h"
#include "examples/tidepool/zset.h"

#define NAMES 5000

static struct slice name_of(unsigned number, char text[32])
{
    return (struct slice){text, (size_t)snprintf(text, 32, "name:%u", number)};
}

static void add(struct set *set, unsigned number)
{
    char text[32];
    set_add(set, name_of(number, text));
}

static bool drop(struct set *set, unsigned number)
{
    char text[32];
    struct node *node = dict_take(&set->dict, name_of(number, text));
    neap_release(node);
    return node != NULL;
}

static bool has(struct set *set, unsigned number)
{
    char text[32];
    return dict_find(&set->dict, name_of(number, text)) != NULL;
}

/* Grows to all names, shrinks to none, several times over. */
static void test_model(void)
{
    static bool model[NAMES];
    uint64_t state = harness_seed();
    struct set *set = set_new();
    size_t count = 0;
    unsigned wrong = 0, stuck = 0;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t random = harness_random(&state);
        unsigned number = (unsigned)(random >> 16) % NAMES;
        bool growing = (i / 20000) % 2 == 0;
        wrong += has(set, number) != model[number];
        if (random % 16 < (growing ? 14 : 2)) {
            add(set, number);
            count += !model[number];
            model[number] = true;
        } else {
            wrong += drop(set, number) != model[number];
            count -= model[number];
            model[number] = false;
        }
        if (count > 0 && i % 100 == 0)
            stuck += dict_random(&set->dict, random) == NULL;
        wrong += set->dict.count != count;
        neap_safepoint();
    }
    is_int(wrong, 0, "200,000 random changes do what an array does");
    is_int(stuck, 0, "a random member is always found");
    neap_release(set);
}

static void mark(struct node *node, void *arg)
{
    unsigned number;
    char text[32];
    struct slice name = dict_name(&((struct set *)((void **)arg)[0])->dict, node);
    memcpy(text, name.bytes, name.length);
    text[name.length] = '\0';
    if (sscanf(text, "name:%u", &number) == 1 && number < NAMES)
        ((unsigned char *)((void **)arg)[1])[number] = 1;
}

/* Members 0 to 199 stay; thousands of others come or go between the steps of a scan. */
static unsigned scan_misses(uint64_t *state, bool growing)
{
    static unsigned char seen[NAMES];
    memset(seen, 0, sizeof seen);
    struct set *set = set_new();
    for (unsigned i = 0; i < (growing ? 200u : NAMES); i++)
        add(set, i);
    void *arg[2] = {set, seen};
    uint64_t cursor = 0;
    unsigned steps = 0;
    do {
        cursor = dict_scan(&set->dict, cursor, mark, arg);
        for (unsigned i = (unsigned)(harness_random(state) % 60); i > 0; i--) {
            unsigned number = 200 + (unsigned)(harness_random(state) % (NAMES - 200));
            if (growing)
                add(set, number);
            else
                drop(set, number);
        }
    } while (cursor != 0 && ++steps < 100000);
    unsigned misses = steps == 100000;
    for (unsigned i = 0; i < 200; i++)
        misses += seen[i] == 0;
    neap_release(set);
    return misses;
}

static void test_scan(void)
{
    uint64_t state = harness_seed();
    unsigned misses = 0;
    for (unsigned round = 0; round < 20; round++)
        misses += scan_misses(&state, round % 2 == 0);
    is_int(misses, 0, "a scan sees every member that stays while the table grows and shrinks");
}

/* ---- sorted sets ---- */

static bool in_order(const struct zset *zset)
{
    size_t rank = 0;
    const struct scored *before = NULL;
    for (const struct scored *scored = zset_at(zset, 0); scored != NULL;
         scored = zset_next(scored), rank++) {
        if (zset_rank(scored) != rank || zset_at(zset, rank) != scored ||
            zset_previous(scored) != before || (before != NULL && before->score > scored->score))
            return false;
        before = scored;
    }
    return rank == zset->dict.count;
}

static bool below(const struct scored *scored, const void *bound)
{
    return scored->score < *(const double *)bound;
}

static void test_zset(void)
{
    static int model[NAMES]; /* score + 1, 0 for none */
    uint64_t state = harness_seed();
    struct zset *zset = zset_new();
    unsigned wrong = 0, disorder = 0;
    for (unsigned i = 0; i < 60000; i++) {
        uint64_t random = harness_random(&state);
        unsigned number = (unsigned)(random >> 16) % 500;
        int score = (int)(random >> 40) % 100;
        char text[32];
        struct slice name = name_of(number, text);
        struct scored *scored = zset_find(zset, name);
        wrong += (scored == NULL) != (model[number] == 0);
        if (scored != NULL)
            wrong += (int)scored->score != model[number] - 1;
        if (random % 3 == 0 && scored != NULL) {
            neap_release(zset_take(zset, scored));
            model[number] = 0;
        } else if (scored == NULL) {
            wrong += !zset_add(zset, name, score);
            model[number] = score + 1;
        } else {
            zset_move(zset, scored, score);
            model[number] = score + 1;
        }
        if (i % 1000 == 0) {
            double bound = score;
            size_t count = 0;
            for (unsigned k = 0; k < NAMES; k++)
                count += model[k] != 0 && model[k] - 1 < score;
            wrong += zset_count_below(zset, below, &bound) != count;
            disorder += !in_order(zset);
        }
        neap_safepoint();
    }
    is_int(wrong, 0, "60,000 random changes of a sorted set do what an array does");
    is_int(disorder, 0, "its order, ranks and neighbours are right");
    neap_release(zset);
}

int main(void)
{
    plan_lazy();
    hash_seed();
    harness_begin();
    test_model();
    test_scan();
    test_zset();
    return harness_end();
}
