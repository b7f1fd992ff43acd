/* SPDX-License-Identifier: MIT
 *
 * NEAP_OPTIONS and the struct: what is read, what is refused with which words, and that a refusal
 * changes nothing. */
#include "base/options.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/tap.h"

static char error[256];

static int load(const char *text)
{
    error[0] = '\0';
    return np_options_load(NULL, text, error, sizeof error);
}

static const struct {
    const char *text;
    uint64_t wanted; /* of heap_hard_limit */
} numbers[] = {
    {"heap_hard_limit=0", 0},
    {"heap_hard_limit=1234567890123", 1234567890123},
    {"heap_hard_limit=0x10", 16},
    {"heap_hard_limit=0XfF", 255},
    {"heap_hard_limit=3k", 3 << 10},
    {"heap_hard_limit=3M", 3 << 20},
    {"heap_hard_limit=3g", (uint64_t)3 << 30},
    {"heap_hard_limit=3t", (uint64_t)3 << 40},
    {"heap_hard_limit=0x2k", 2 << 10},
    {"heap_hard_limit=on", 1},
    {"heap_hard_limit=off", 0},
    {"heap_hard_limit=18446744073709551615", UINT64_MAX},
    {"heap_hard_limit=1,heap_hard_limit=2", 2},
    {",,heap_hard_limit=5,", 5},
};

static const struct {
    const char *text, *word;
} refused[] = {
    {"speed=1", "unknown option \"speed\""},
    {"heap_hard_limi=1", "unknown option"},
    {"heap_hard_limits=1", "unknown option"},
    {"=1", "unknown option \"\""},
    {"heap_hard_limit", "needs a number"},
    {"heap_hard_limit=", "needs a number"},
    {"heap_hard_limit=-1", "needs a number"},
    {"heap_hard_limit=1.5", "needs a number"},
    {"heap_hard_limit=k", "needs a number"},
    {"heap_hard_limit=0x", "needs a number"},
    {"heap_hard_limit=1kk", "needs a number"},
    {"heap_hard_limit=12ab", "needs a number"},
    {"heap_hard_limit=18446744073709551616", "needs a number"},
    {"heap_hard_limit=99999999t", "needs a number"},
    {"heap_hard_limit=00000000000000000000000000000000000001", "needs a number"},
    {"finalize_ms=86400001", "is not in 0 to 86400000"},
    {"heap_reserve_bytes=1", "is not in"},
};

int main(void)
{
    struct neap_options defaults = NEAP_OPTIONS_INIT;
    plan_lazy();

    is_int(load(NULL), 0, "no text is fine");
    ok(memcmp(&np_options, &defaults, sizeof defaults) == 0, "and gives the defaults");
    for (size_t i = 0; i < np_count_of(numbers); i++) {
        is_int(load(numbers[i].text), 0, "%s is read", numbers[i].text);
        is_int(np_options.heap_hard_limit, numbers[i].wanted, "%s: value", numbers[i].text);
    }
    is_int(load("release_budget=7,decay_ms=9"), 0, "two options");
    is_int(np_options.release_budget, 7, "the first");
    is_int(np_options.decay_ms, 9, "the second");
    is_int(np_options.heap_hard_limit, 0, "what is not named has its default");

    for (size_t i = 0; i < np_count_of(refused); i++) {
        is_int(load(refused[i].text), -1, "%s is refused", refused[i].text);
        if (!ok(strstr(error, refused[i].word) != NULL, "%s: says why", refused[i].text))
            diag("it said: %s", error);
    }
    is_int(load("release_budget=1,speed=2"), -1, "one bad option among good ones is refused");
    is_int(np_options.release_budget, 7, "and nothing changed");

    struct neap_options given = NEAP_OPTIONS_INIT;
    given.threshold_young = 5;
    given.fail_nth = 3;
    is_int(np_options_load(&given, "threshold_young=6", error, sizeof error), 0, "struct and text");
    is_int(np_options.threshold_young, 6, "the text overrides the struct");
    is_int(np_options.fail_nth, 3, "the struct overrides the default");

    given.struct_size = offsetof(struct neap_options, fail_nth);
    is_int(np_options_load(&given, NULL, error, sizeof error), 0, "a struct of an older program");
    is_int(np_options.fail_nth, 0, "the fields it does not have are not read");
    is_int(np_options.struct_size, sizeof given, "and ours says our size");

    given.struct_size = 0;
    is_int(np_options_load(&given, NULL, error, sizeof error), -1, "a struct without its size");
    ok(strstr(error, "NEAP_OPTIONS_INIT") != NULL, "the reason names the initialiser");
    given.struct_size = sizeof given;
    given.finalize_ms = UINT64_MAX;
    is_int(np_options_load(&given, NULL, error, sizeof error), -1, "a field out of its range");
    ok(strstr(error, "finalize_ms") != NULL, "the reason names the field");
    return done();
}
