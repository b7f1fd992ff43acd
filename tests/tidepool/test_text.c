/* SPDX-License-Identifier: MIT
 *
 * Borrowed text: integers in their one spelling, numbers of bytes, globs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/tidepool/text.h"
#include "tests/tap.h"

static void test_integers(void)
{
    static const struct {
        const char *text;
        bool is;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"-0", false, 0},
        {"+1", false, 0},
        {"01", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 0;
        bool is = text_to_integer(text_from(rows[i].text), &value);
        ok(is == rows[i].is && value == rows[i].value, "\"%s\" is %san integer", rows[i].text,
           rows[i].is ? "" : "not ");
        char text[TEXT_INTEGER_BYTES];
        if (rows[i].is) {
            text_from_integer(value, text);
            is_str(text, rows[i].text, "and is written as it was read");
        }
    }
}

static void test_bytes(void)
{
    uint64_t bytes = 0;
    ok(text_to_bytes(text_from("10"), &bytes) && bytes == 10, "bytes without a unit");
    ok(text_to_bytes(text_from("2kb"), &bytes) && bytes == 2048, "kb is 1024");
    ok(text_to_bytes(text_from("2K"), &bytes) && bytes == 2000, "k is 1000, in any case");
    ok(text_to_bytes(text_from("3Gb"), &bytes) && bytes == (uint64_t)3 << 30, "gb");
    ok(!text_to_bytes(text_from("gb"), &bytes), "a unit alone is no number");
    ok(!text_to_bytes(text_from("1tb"), &bytes), "no such unit");
    ok(!text_to_bytes(text_from("9223372036854775807kb"), &bytes), "beyond 64 bits");
}

static void test_globs(void)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } rows[] = {
        {"*", "", true},           {"*", "abc", true},         {"", "", true},
        {"", "a", false},          {"a*c", "abbbc", true},     {"a*c", "abbb", false},
        {"a?c", "abc", true},      {"a?c", "ac", false},       {"[abc]x", "bx", true},
        {"[^abc]x", "bx", false},  {"[a-c]x", "bx", true},     {"[c-a]x", "bx", true},
        {"[a-c]x", "dx", false},   {"\\*", "*", true},         {"\\*", "a", false},
        {"*a*b*", "xxaxxb", true}, {"*a*b*", "xxbxxa", false}, {"h[^e]llo", "hallo", true},
        {"[", "a", false},         {"[a", "a", true},          {"key:*:x", "key:1:2:x", true},
        {"[\\]]", "]", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ok(text_matches(text_from(rows[i].pattern), text_from(rows[i].text), false) == rows[i].fits,
           "\"%s\" %s \"%s\"", rows[i].pattern, rows[i].fits ? "matches" : "does not match",
           rows[i].text);
    ok(text_matches(text_from("HE?LO"), text_from("hello"), true), "case can be ignored");
    ok(!text_matches(text_from("HE?LO"), text_from("hello"), false), "or not");
    /* An exponential matcher would not come back from this. */
    char text[2001], pattern[201];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i + 2 < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[198] = 'b';
    pattern[199] = '\0';
    ok(!text_matches(text_from(pattern), text_from(text), false), "a hundred stars end");
}

int main(void)
{
    plan_lazy();
    test_integers();
    test_bytes();
    test_globs();
    return done();
}
