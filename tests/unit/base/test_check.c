/* SPDX-License-Identifier: MIT
 *
 * A broken rule ends the program and says which, in one line; assertions are evaluated in the
 * builds that ask for them only. */
#include "base/check.h"

#include <string.h>

#include "tests/death.h"
#include "tests/tap.h"

static int evaluated;

__attribute__((unused)) static int count_and_fail(void) /* used by assertions only */
{
    evaluated++;
    return 0;
}

static void panics(void *arg)
{
    np_panic("object %p has %d references too many", arg, 3);
}

static void checks(void *arg)
{
    np_check(arg != NULL, "the argument is NULL");
}

static void asserts(void *arg)
{
    (void)arg;
    np_assert(count_and_fail());
}

static void panics_at_length(void *arg)
{
    char long_text[5000];
    (void)arg;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    np_panic("%s", long_text);
}

static void checks_what_holds(void)
{
    int one = 1;
    np_check(one == 1, "never said");
    np_assert(one == 1);
}

int main(void)
{
    plan(6);
    dies_with(panics, (void *)0x1230,
              "neap: panic: panics: object 0x1230 has 3 references too many\n",
              "a panic names its function and its reason");
    dies_with(checks, NULL, "neap: panic: checks: the argument is NULL\n",
              "so does a failed check");
    dies_with(panics_at_length, NULL, "xxxx\n", "a long reason is cut, and still a line");
    checks_what_holds();
    pass("what holds passes");
    if (NP_CHECK_LEVEL >= 1) {
        dies_with(asserts, NULL, "assertion failed: count_and_fail()",
                  "an assertion names its text");
    } else {
        asserts(NULL);
        pass("no assertion in a release build");
    }
    is_int(evaluated, 0, "and none was evaluated in this process");
    return done();
}
