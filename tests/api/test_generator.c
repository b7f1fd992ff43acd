/* SPDX-License-Identifier: MIT
 *
 * Generators give their values one by one, keep their state between them, clean up however they
 * end, chain, hold no more than one element at a time, and die in cycles. */
#include <neap/neap.h>

#include "tests/death.h"
#include "tests/harness.h"

struct number {
    int value;
};
static int alive, peak;
static void number_dispose(void *self)
{
    (void)self;
    __atomic_fetch_sub(&alive, 1, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(number, (), .dispose = number_dispose);

static struct number *number_of(int value)
{
    struct number *number = neap_new(number);
    number->value = value;
    int now = __atomic_add_fetch(&alive, 1, __ATOMIC_RELAXED);
    peak = now > peak ? now : peak;
    return number;
}

/* The value of the next number; -1 at the end. */
static int next_value(void *generator)
{
    struct number *number = neap_next(generator);
    int value = number != NULL ? number->value : -1;
    neap_release(number);
    return value;
}

static int cleaned; /* written by who collects, too */

static void clean(int points)
{
    __atomic_fetch_add(&cleaned, points, __ATOMIC_RELAXED);
}

struct range {
    struct neap_generator generator;
    int next, end;
    void *held;
};
NEAP_GENERATOR(range, (held))
{
    NEAP_BEGIN();
    for (; self->next < self->end; self->next++) {
        if (self->next == 99)
            NEAP_FINISH();
        NEAP_YIELD(number_of(self->next));
    }
    NEAP_END(clean(1));
}

struct squares {
    struct neap_generator generator;
    struct range *source;
    struct number *number;
};
NEAP_GENERATOR(squares, (source, number))
{
    NEAP_BEGIN();
    while (neap_give(&self->number, neap_next(self->source)), self->number != NULL)
        NEAP_YIELD(number_of((int)((unsigned)self->number->value *
                                   (unsigned)self->number->value))); /* never -1, modulo 2^32 */
    NEAP_END(clean(10));
}

struct twice {
    struct neap_generator generator;
    struct twice *self;
};
NEAP_GENERATOR(twice, (self))
{
    NEAP_BEGIN();
    NEAP_YIELD(number_of(1));
    NEAP_YIELD(number_of(2));
    if (neap_next(self) != NULL)
        NEAP_FINISH();
    NEAP_END();
}

static struct range *range(int next, int end)
{
    struct range *range = neap_new(range);
    range->next = next;
    range->end = end;
    return range;
}

static void sequences(void)
{
    struct range *numbers = range(3, 6);
    ok(!neap_generator_is_done(numbers), "a new generator is not done");
    ok(next_value(numbers) == 3 && next_value(numbers) == 4 && next_value(numbers) == 5,
       "it gives its values");
    is_int(cleaned, 0, "without cleaning up in between");
    is_int(next_value(numbers), -1, "then NULL");
    ok(next_value(numbers) == -1 && neap_generator_is_done(numbers), "again and again");
    is_int(cleaned, 1, "and cleans up, once");
    neap_release(numbers);
    is_int(cleaned, 1, "also when it dies afterwards");
    numbers = range(98, 200);
    ok(next_value(numbers) == 98 && next_value(numbers) == -1, "a body may finish early");
    is_int(cleaned, 2, "by way of its clean-up");
    neap_release(numbers);
    ok(neap_next(NULL) == NULL, "nothing has no next");
}

static void endings(void)
{
    cleaned = 0;
    struct range *numbers = range(0, 9);
    is_int(next_value(numbers), 0, "half way");
    neap_give((struct number **)&numbers->held, number_of(7));
    neap_generator_close(numbers);
    is_int(cleaned, 1, "a close cleans up");
    is_int(alive, 0, "and releases what the generator holds");
    ok(next_value(numbers) == -1, "there are no more values");
    neap_generator_close(numbers);
    neap_release(numbers);
    is_int(cleaned, 1, "once");
    numbers = range(0, 9);
    (void)next_value(numbers);
    neap_release(numbers);
    is_int(cleaned, 2, "so does a death half way");
    numbers = range(0, 9);
    neap_generator_close(numbers);
    ok(next_value(numbers) == -1 && cleaned == 2, "what has not begun has nothing to clean up");
    neap_release(numbers);
    neap_generator_close(NULL);
    numbers = range(0, 9);
    (void)next_value(numbers);
    neap_set((struct range **)&numbers->held, numbers);
    neap_release(numbers);
    ptrdiff_t found = neap_collect(2);
    ok(harness_is_alone() ? found == 1 : found == 0 || found == 1,
       "a generator that holds itself is found");
    harness_await(&cleaned, 3);
    is_int(__atomic_load_n(&cleaned, __ATOMIC_RELAXED), 3, "and cleans up");
}

static void chains(void)
{
    enum { COUNT = 100000 };
    cleaned = 0;
    struct squares *squares = neap_new(squares);
    neap_give(&squares->source, range(0, 4));
    ok(next_value(squares) == 0 && next_value(squares) == 1 && next_value(squares) == 4 &&
           next_value(squares) == 9 && next_value(squares) == -1,
       "a generator over a generator");
    is_int(cleaned, 11, "each cleans up");
    ok(squares->source == NULL, "and the end of one lets the other go");
    neap_release(squares);
    squares = neap_new(squares);
    neap_give(&squares->source, range(100, 100 + COUNT));
    peak = alive;
    int values = 0;
    while (next_value(squares) != -1)
        values++;
    is_int(values, COUNT, "a long sequence");
    ok(peak <= 3, "takes the memory of a few elements (%d)", peak);
    neap_release(squares);
    is_int(alive, 0, "and leaves nothing");
}

static void run_inside(void *arg)
{
    (void)arg;
    if (neap_init(NULL) != NEAP_OK)
        return;
    struct twice *twice = neap_new(twice);
    while (neap_next(twice) != NULL)
        continue;
}

static void next_of_other(void *arg)
{
    (void)arg;
    if (neap_init(NULL) == NEAP_OK)
        neap_release(neap_next(number_of(1)));
}

int main(void)
{
    plan_lazy();
    dies_with(run_inside, NULL, "is running already", "a body cannot ask itself");
    dies_with(next_of_other, NULL, "a number is not a generator", "only generators have a next");
    harness_begin();
    sequences();
    endings();
    chains();
    return harness_end();
}
