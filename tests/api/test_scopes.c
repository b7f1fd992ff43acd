/* SPDX-License-Identifier: MIT
 *
 * Scopes are left on every way out: the end of the block, return, break, continue, goto, and nested
 * in one another, in the reverse order of entering. */
#include <neap/neap.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"

struct thing {
    int id;
};
static int alive;
static void thing_dispose(void *self)
{
    (void)self;
    alive--;
}
NEAP_DEFINE_TYPE(thing, (), .dispose = thing_dispose);

static struct thing *make(int id)
{
    struct thing *thing = neap_new(thing);
    thing->id = id;
    alive++;
    return thing;
}

/* ---- NEAP_AUTO and NEAP_STEAL ---- */

static int return_early(bool early)
{
    NEAP_AUTO struct thing *first = make(1);
    if (early)
        return first->id;
    NEAP_AUTO struct thing *second = make(2);
    return first->id + second->id;
}

static struct thing *keep(bool wanted)
{
    NEAP_AUTO struct thing *thing = make(3);
    if (!wanted)
        return NULL;
    return NEAP_STEAL(thing);
}

static void autos(void)
{
    is_int(return_early(true), 1, "a scope left early");
    is_int(alive, 0, "releases what it has");
    is_int(return_early(false), 3, "one left at its end");
    is_int(alive, 0, "releases all of it");
    for (int i = 0; i < 5; i++) {
        NEAP_AUTO struct thing *thing = make(i);
        if (i == 1)
            continue;
        if (i == 3)
            break;
        is_int(alive, 1, "inside the loop one is alive");
    }
    is_int(alive, 0, "continue and break release too");
    int rounds = 0;
again : {
    NEAP_AUTO struct thing *thing = make(4);
    if (++rounds < 3)
        goto again;
    is_int(alive, 1, "goto released the earlier ones");
}
    is_int(alive, 0, "and the last");
    ok(keep(false) == NULL && alive == 0, "what is not stolen is released");
    struct thing *kept = keep(true);
    ok(kept != NULL && kept->id == 3 && alive == 1, "what is stolen is kept");
    neap_release(kept);
    NEAP_AUTO struct thing *nothing = NULL;
    ok(nothing == NULL, "NULL needs no release");
}

/* ---- NEAP_WITH ---- */

static char steps[64];

static int enter(int id)
{
    size_t length = strlen(steps);
    snprintf(steps + length, sizeof steps - length, "+%d", id);
    return id;
}

static void leave(int id)
{
    size_t length = strlen(steps);
    snprintf(steps + length, sizeof steps - length, "-%d", id);
}

static void leave_long(long id)
{
    leave((int)id);
}

static void leave_tiny(signed char id)
{
    leave(id);
}

struct guard {
    int id;
    const char *name;
};

static void leave_guard(struct guard *guard)
{
    leave(guard->id);
    guard->name = NULL;
}

static int close_by_address(FILE **file)
{
    leave(*file != NULL);
    return *file != NULL ? fclose(*file) : 0;
}

static const char *start(void)
{
    steps[0] = '\0';
    return steps;
}

static int with_return(void)
{
    NEAP_WITH(int, outer, enter(1), leave)
    {
        NEAP_WITH(int, inner, enter(2), leave)
        {
            return outer + inner;
        }
    }
    return -1;
}

static void with_goto(void)
{
    for (int i = 0; i < 2; i++)
        NEAP_WITH(int, held, enter(3), leave)
        {
            if (held == 3)
                goto out;
            enter(9);
        }
out:
    enter(4);
}

static void withs(void)
{
    start();
    NEAP_WITH(int, held, enter(1), leave)
    {
        enter(held + 1);
    }
    is_str(steps, "+1+2-1", "left at the end, with the value");
    start();
    is_int(with_return(), 3, "return from two scopes");
    is_str(steps, "+1+2-2-1", "leaves both, the inner one first");
    start();
    with_goto();
    is_str(steps, "+3-3+4", "goto leaves, and leaves the loop around");
    start();
    for (int i = 0; i < 3; i++) {
        NEAP_WITH(int, held, enter(i), leave)
        {
            if (held == 1)
                break;
            if (held == 2)
                continue;
            enter(7);
        }
        enter(8);
    }
    is_str(steps, "+0+7-0+8+1-1+8+2-2+8", "break and continue end the block only");
    start();
    NEAP_WITH(long, wide, enter(-5), leave_long)
    NEAP_WITH(signed char, tiny, (signed char)enter(-7), leave_tiny)
    ok(wide == -5 && tiny == -7, "integers of all sizes");
    is_str(steps, "+-5+-7--7--5", "come back as they were");
    start();
    NEAP_WITH(struct guard, guard, ((struct guard){enter(6), "six"}), leave_guard)
    is_str(guard.name, "six", "a struct");
    is_str(steps, "+6-6", "is left by its address");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static pthread_mutex_t *lock(pthread_mutex_t *which)
{
    neap_mutex_lock(which);
    return which;
}

static int region(void)
{
    neap_blocking_enter();
    return 0;
}

static void leave_region(int unused)
{
    (void)unused;
    neap_blocking_leave();
}

static void resources(void)
{
    start();
    NEAP_WITH(FILE *, file, fopen("/dev/null", "r"), close_by_address)
    {
        is_int(fgetc(file), EOF, "a file");
    }
    is_str(steps, "-1", "is closed by a function of its address");
    int number = -1;
    NEAP_WITH(FILE *, file, fopen("/dev/null", "r"), fclose)
    number = fileno(file);
    is_int(lseek(number, 0, SEEK_CUR), -1, "or by fclose itself");
    NEAP_WITH(pthread_mutex_t *, held, lock(&mutex), pthread_mutex_unlock)
    {
        ok(held == &mutex && pthread_mutex_trylock(&mutex) != 0, "a mutex");
    }
    is_int(pthread_mutex_trylock(&mutex), 0, "is unlocked");
    pthread_mutex_unlock(&mutex);
    NEAP_WITH(int, unused, region(), leave_region)
    {
        number = unused + getppid();
    }
    struct thing *thing = make(5);
    ok(thing != NULL && number > 0, "after a blocking region objects can be made");
    NEAP_WITH(struct thing *, held, thing, neap_object_release)
    is_int(alive, 1, "an object");
    is_int(alive, 0, "is released");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    autos();
    withs();
    resources();
    return harness_end();
}
