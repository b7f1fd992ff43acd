/* SPDX-License-Identifier: MIT
 *
 * Types that break their promise, and programs that break the counting rules: the collector panics
 * and names the type whose references do not add up. */
#include <neap/neap.h>

#include "tests/death.h"
#include "tests/harness.h"

struct victim {
    struct victim *self;
};
NEAP_DEFINE_TYPE(victim, (self));

/* Reports its one reference twice. */
struct twice {
    struct victim *victim;
};
static void twice_visit(void *self, struct neap_visitor *visitor)
{
    struct twice *twice = self;
    neap_visit(visitor, &twice->victim);
    neap_visit(visitor, &twice->victim);
}
NEAP_DEFINE_TYPE(twice, (), .visit = twice_visit);

/* Reports a pointer that it only borrows. */
struct borrower {
    struct victim *borrowed;
};
NEAP_DEFINE_TYPE(borrower, (borrowed));

static void start(void)
{
    if (neap_init(NULL) != NEAP_OK)
        bail("neap_init");
}

static void report_twice(void *arg)
{
    (void)arg;
    start();
    struct twice *twice = neap_new(twice);
    twice->victim = neap_new(victim);
    (void)neap_collect(0);
}

static void report_borrowed(void *arg)
{
    (void)arg;
    start();
    struct victim *victim = neap_new(victim);
    struct borrower *one = neap_new(borrower), *two = neap_new(borrower);
    one->borrowed = two->borrowed = victim;
    (void)neap_collect(0);
}

static void release_too_often(void *arg)
{
    (void)arg;
    start();
    struct victim *victim = neap_new(victim);
    neap_set(&victim->self, victim);
    struct borrower *holder = neap_new(borrower);
    neap_set(&holder->borrowed, victim);
    neap_release(victim);
    neap_release(victim); /* the slot's */
    (void)neap_collect(2);
}

static bool collect_within(void *object, void *arg)
{
    (void)object;
    (void)arg;
    (void)neap_gc_each_object(-1, collect_within, NULL);
    return false;
}

static void walk_within_walk(void *arg)
{
    (void)arg;
    start();
    struct victim *victim = neap_new(victim);
    (void)neap_gc_each_object(-1, collect_within, victim);
}

int main(void)
{
    plan_lazy();
    dies_with(report_twice, NULL, "victim at", "a visit that reports a slot twice");
    dies_with(report_borrowed, NULL, "more references to it were found",
              "a slot that owns no reference");
    dies_with(release_too_often, NULL, "victim at", "a reference released too often");
    dies_with(walk_within_walk, NULL, "neap_gc_each_object", "a walk inside a walk");
    return done();
}
