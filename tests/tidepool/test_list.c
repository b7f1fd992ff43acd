/* SPDX-License-Identifier: MIT
 *
 * tidepool's lists against a plain array: random pushes and pops at both ends, reading from any
 * place, and a long list that dies by counting alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "examples/tidepool/list.h"
#include "tests/harness.h"

#define MOST 4096

/* The model: numbers model[low .. high). */
static int model[2 * MOST + 2];
static size_t low = MOST, high = MOST;

static struct string *string_of(int number)
{
    char text[TEXT_INTEGER_BYTES];
    size_t length = text_from_integer(number, text);
    return string_new((struct slice){text, length});
}

static bool string_is(const struct string *string, int number)
{
    char text[TEXT_INTEGER_BYTES];
    size_t length = text_from_integer(number, text);
    return string != NULL && text_same(string_text(string), (struct slice){text, length});
}

static bool push_both(struct list *list, enum list_end end, int number)
{
    if ((end == LIST_HEAD && low == 0) || (end == LIST_TAIL && high == 2 * MOST))
        return true;
    model[end == LIST_HEAD ? --low : high++] = number;
    return list_push(list, end, string_of(number));
}

static bool pop_both(struct list *list, enum list_end end)
{
    struct string *string = list_pop(list, end);
    bool right =
        low == high ? string == NULL : string_is(string, model[end == LIST_HEAD ? low++ : --high]);
    neap_release(string);
    return right;
}

/* Every element, reached from the head and by its index. */
static bool agrees(const struct list *list)
{
    if (list->length != high - low)
        return false;
    struct list_place place = list_seek(list, 0);
    for (size_t i = 0; i < list->length; i++, place = list_next(place)) {
        struct list_place direct = list_seek(list, i);
        if (direct.chunk != place.chunk || direct.index != place.index ||
            !string_is(list_at(place), model[low + i]))
            return false;
    }
    return place.chunk == NULL;
}

static void test_random(void)
{
    uint64_t state = harness_seed();
    struct list *list = list_new();
    unsigned wrong = 0, compared = 0, differ = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t random = harness_random(&state);
        enum list_end end = random & 1 ? LIST_HEAD : LIST_TAIL;
        bool growing = (i / 1000) % 2 == 0; /* a thousand steps up, a thousand down */
        if ((random >> 1) % 100 < (growing ? 60 : 40))
            wrong += !push_both(list, end, i);
        else
            wrong += !pop_both(list, end);
        if (i % 500 == 0) {
            compared++;
            differ += !agrees(list);
        }
        neap_safepoint();
    }
    is_int(wrong, 0, "every push and pop at either end does what an array does");
    is_int(differ, 0, "the whole list agrees with the array, compared %u times", compared);
    while (list->length > 0)
        pop_both(list, LIST_HEAD);
    ok(list->head == NULL && list->tail == NULL, "an emptied list holds no chunk");
    neap_release(list);
}

static void test_drop(void)
{
    neap_gc_disable();
    struct neap_stats before, after;
    neap_stats_get(&before);
    struct list *list = list_new();
    for (int i = 0; i < 100000; i++)
        list_push(list, i % 2 ? LIST_HEAD : LIST_TAIL, string_of(i));
    neap_release(list);
    for (int i = 0; i < 200; i++)
        neap_safepoint(); /* the release's budget: the rest dies in polls */
    neap_stats_get(&after);
    is_int(after.objects, before.objects, "a dropped list of 100,000 dies without the collector");
    neap_gc_enable();
}

/* A long chain whose owner is gone by the time it is dropped: harness_end must find nothing. */
static void make_list(void *arg, unsigned index)
{
    (void)index;
    struct list *list = list_new();
    for (int i = 0; i < 20000; i++)
        list_push(list, LIST_TAIL, string_of(i));
    *(struct list **)arg = list;
}

static void test_orphan(void)
{
    struct list *list = NULL;
    harness_run(1, make_list, &list);
    is_int(list->length, 20000, "a list made by a thread that is gone is whole");
    neap_release(list);
}

int main(void)
{
    plan_lazy();
    harness_begin();
    test_random();
    test_drop();
    test_orphan();
    return harness_end();
}
