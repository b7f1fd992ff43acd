/* SPDX-License-Identifier: MIT
 *
 * Strings keep their bytes, hash and compare, and are interned: one object per content while
 * somebody uses it, also when threads intern and drop the same names all the time. */
#include <neap/neap.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

static void bytes(void)
{
    struct neap_string *text = neap_string_from("tern"), *empty = neap_string_new(NULL, 0);
    is_str(neap_string_data(text), "tern", "the text is kept");
    is_int(neap_string_length(text), 4, "with its length");
    is_int(neap_refcount(text), 1, "and one reference");
    ok(neap_is(text, neap_string) && !neap_is_tracked(text), "it is a string, and not tracked");
    is_int(neap_string_length(empty), 0, "a string may be empty");
    is_str(neap_string_data(empty), "", "and still ends");
    struct neap_string *binary = neap_string_new("a\0b", 3);
    ok(neap_string_length(binary) == 3 && memcmp(neap_string_data(binary), "a\0b", 4) == 0,
       "any byte goes");
    ok(neap_string_from(NULL) == NULL, "no text, no string");
    ok(neap_string_new("x", SIZE_MAX) == NULL && neap_string_new("x", SIZE_MAX / 2) == NULL,
       "an absurd length is refused");
    int wrong = 0;
    for (size_t length = 0; length < 5000; length += 1 + length / 9) {
        char buffer[5000];
        memset(buffer, 'x', length);
        struct neap_string *string = neap_string_new(buffer, length);
        wrong += neap_string_length(string) != length || neap_string_data(string)[length] != '\0' ||
                 memcmp(neap_string_data(string), buffer, length) != 0;
        neap_release(string);
    }
    is_int(wrong, 0, "strings of all sizes, small and large");
    neap_release(text);
    neap_release(empty);
    neap_release(binary);
}

static void comparison(void)
{
    struct neap_string *a = neap_string_from("alpha"), *b = neap_string_from("beta");
    struct neap_string *same = neap_string_from("alpha"), *longer = neap_string_from("alphabet");
    ok(neap_string_equal(a, same) && !neap_string_equal(a, b) && !neap_string_equal(a, longer),
       "equal means the same bytes");
    ok(neap_string_equal(NULL, NULL) && !neap_string_equal(a, NULL), "NULL equals NULL only");
    ok(neap_string_compare(a, b) < 0 && neap_string_compare(b, a) > 0, "strings are ordered");
    ok(neap_string_compare(a, longer) < 0 && neap_string_compare(longer, a) > 0 &&
           neap_string_compare(a, same) == 0,
       "a beginning comes first");
    is_int(neap_string_hash(a), neap_string_hash(same), "equal strings hash alike");
    ok(neap_string_hash(a) != neap_string_hash(b) && neap_string_hash(a) != 0,
       "others, as a rule, do not");
    neap_release(a);
    neap_release(b);
    neap_release(same);
    neap_release(longer);
}

static void formatting(void)
{
    errno = 1234;
    struct neap_string *line = neap_string_format("%s has %d %c", "node", 42, '!');
    is_str(neap_string_data(line), "node has 42 !", "format prints");
    is_int(neap_string_length(line), 13, "and knows the length");
    neap_release(line);
    line = neap_string_format("%01000d", 7);
    is_int(neap_string_length(line), 1000, "long ones too");
    is_int(errno, 1234, "errno is as it was");
    neap_release(line);
}

static void interning(void)
{
    struct neap_string *a = neap_string_from("gull"), *b = neap_string_from("gull");
    struct neap_string *one = neap_string_intern(a), *two = neap_string_intern(b);
    ok(one == two && one != a, "equal strings intern to one object");
    ok(neap_string_is_interned(one) && !neap_string_is_interned(a), "which says so");
    is_int(neap_refcount(one), 2, "the table holds no reference");
    struct neap_string *three = neap_string_intern_bytes("gull", 4);
    ok(three == one, "from bytes as well");
    ok(neap_string_equal(one, a) && neap_string_hash(one) == neap_string_hash(a),
       "it equals its models");
    struct neap_string *again = neap_string_intern(one);
    ok(again == one, "interning it again gives itself");
    struct neap_weak *weak = neap_weak_new(one);
    neap_release(one);
    neap_release(two);
    neap_release(three);
    neap_release(again);
    ok(neap_weak_is(weak, NULL), "with the last reference it dies");
    neap_release(weak);
    one = neap_string_intern(a);
    ok(neap_string_equal(one, a), "and can be interned anew");
    struct neap_string *empty = neap_string_intern_bytes(NULL, 0);
    is_int(neap_string_length(empty), 0, "the empty string interns");
    ok(neap_string_intern(NULL) == NULL, "NULL does not");
    neap_release(empty);
    neap_release(one);
    neap_release(a);
    neap_release(b);
}

static void many(void)
{
    enum { MANY = 20000 };
    static struct neap_string *names[MANY];
    int wrong = 0;
    for (int i = 0; i < MANY; i++) {
        struct neap_string *name = neap_string_format("name-%d", i);
        names[i] = neap_string_intern(name);
        neap_release(name);
    }
    for (int i = 0; i < MANY; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "name-%d", i);
        struct neap_string *name = neap_string_intern_bytes(text, (size_t)length);
        wrong += name != names[i];
        neap_release(name);
    }
    is_int(wrong, 0, "twenty thousand interned strings are each found again");
    for (int i = 0; i < MANY; i++)
        neap_release(names[i]);
}

/* All threads intern, compare and drop the same few names. */
enum { ROUNDS = 4000, NAMES = 16 };
static int differs;

static void race(void *arg, unsigned index)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct neap_string *plain = neap_string_format("shared-%d", (int)(i + (int)index) % NAMES);
        struct neap_string *one = neap_string_intern(plain);
        neap_safepoint();
        struct neap_string *two = neap_string_intern(plain);
        if (one != two || !neap_string_equal(one, plain))
            __atomic_fetch_add(&differs, 1, __ATOMIC_RELAXED);
        neap_release(one);
        neap_release(two);
        neap_release(plain);
    }
}

int main(void)
{
    plan_lazy();
    harness_begin();
    bytes();
    comparison();
    formatting();
    interning();
    many();
    harness_run(4, race, NULL);
    is_int(differs, 0, "while one is held, all threads get the same");
    return harness_end();
}
