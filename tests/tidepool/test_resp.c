/* SPDX-License-Identifier: MIT
 *
 * The parser of requests: what it accepts, what it refuses and in which words, that it does not
 * matter in which pieces the bytes come, and that no bytes at all make it read past them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/tidepool/resp.h"
#include "tests/tap.h"

static const struct resp_limits limits = {
    .line_bytes = 100, .bulk_bytes = 1000, .argument_count = 50, .request_bytes = 4000};

/* All that the bytes parse to, as text: "[a][bc] " per request, then "more" or "error: ...". Fed in
 * pieces of at most piece bytes, each time copied to memory of its exact size, so that a sanitizer
 * sees every byte read beyond. */
static void parse_to_text(const char *bytes, size_t length, size_t piece, char *text, size_t room)
{
    struct resp_parser parser;
    resp_init(&parser, &limits);
    size_t begin = 0, have = 0, used = 0;
    enum resp_result result = RESP_MORE;
    text[0] = '\0';
    for (;;) {
        char *data = malloc(have == 0 ? 1 : have);
        memcpy(data, bytes + begin, have);
        result = resp_parse(&parser, data, have);
        if (result == RESP_READY) {
            for (size_t i = 0; i < parser.count; i++)
                used += (size_t)snprintf(text + used, room - used, "[%.*s]",
                                         (int)parser.argument[i].length, parser.argument[i].bytes);
            used += (size_t)snprintf(text + used, room - used, " ");
            begin += parser.consumed;
            have -= parser.consumed;
        }
        free(data);
        if (result == RESP_ERROR)
            break;
        if (result == RESP_READY)
            continue;
        if (begin + have == length)
            break;
        have += length - begin - have < piece ? length - begin - have : piece;
    }
    snprintf(text + used, room - used, "%s%s", result == RESP_ERROR ? "error: " : "more",
             result == RESP_ERROR ? parser.error : "");
    resp_fini(&parser);
}

struct sample {
    const char *name, *bytes, *wanted;
};

static const struct sample samples[] = {
    {"an array", "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", "[ECHO][hi] more"},
    {"two arrays in a row", "*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", "[a] [b] more"},
    {"an empty argument", "*2\r\n$1\r\na\r\n$0\r\n\r\n", "[a][] more"},
    {"line ends inside an argument", "*1\r\n$4\r\na\r\nb\r\n", "[a\r\nb] more"},
    {"an empty array", "*0\r\n", " more"},
    {"a negative array", "*-7\r\n*1\r\n$1\r\na\r\n", " [a] more"},
    {"a count that is no number", "*x\r\n", "error: invalid multibulk length"},
    {"a count with a leading zero", "*01\r\n", "error: invalid multibulk length"},
    {"a count beyond the limit", "*51\r\n", "error: invalid multibulk length"},
    {"a count beyond 64 bits", "*99999999999999999999\r\n", "error: invalid multibulk length"},
    {"an argument without its mark", "*1\r\n:1\r\n", "error: expected '$', got ':'"},
    {"an argument length that is no number", "*1\r\n$x\r\n", "error: invalid bulk length"},
    {"a negative argument length", "*1\r\n$-1\r\n", "error: invalid bulk length"},
    {"an argument beyond the limit", "*1\r\n$1001\r\n", "error: invalid bulk length"},
    {"a line", "GET key\r\n", "[GET][key] more"},
    {"a line that ends by a newline alone", "GET key\n", "[GET][key] more"},
    {"a line with blanks around", "  GET \t key  \r\n", "[GET][key] more"},
    {"an empty line", "\r\nPING\r\n", " [PING] more"},
    {"double quotes", "SET \"a b\" \"\\x41\\n\\\"\"\r\n", "[SET][a b][A\n\"] more"},
    {"single quotes", "SET 'a \\' \\n'\r\n", "[SET][a ' \\n] more"},
    {"an empty quoted argument", "ECHO \"\"\r\n", "[ECHO][] more"},
    {"quotes that begin within a word", "ECHO a\"b c\"\r\n", "[ECHO][ab c] more"},
    {"quotes that do not end", "ECHO \"a\r\n", "error: unbalanced quotes in request"},
    {"quotes followed by a letter", "ECHO \"a\"b\r\n", "error: unbalanced quotes in request"},
    {"a line after an array", "*1\r\n$1\r\na\r\nPING\r\n", "[a] [PING] more"},
};

static void test_samples(void)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char text[512];
        size_t length = strlen(samples[i].bytes);
        parse_to_text(samples[i].bytes, length, length, text, sizeof text);
        is_str(text, samples[i].wanted, "%s", samples[i].name);
        size_t same = 0;
        for (size_t piece = 1; piece <= length; piece++) {
            parse_to_text(samples[i].bytes, length, piece, text, sizeof text);
            same += strcmp(text, samples[i].wanted) == 0;
        }
        is_int(same, length, "%s, in pieces of every size", samples[i].name);
    }
}

/* The same byte over and over must end in an error soon after the limit. */
static void refuses_endless(const char *start, char filler, const char *wanted, const char *name)
{
    char bytes[400], text[512];
    size_t length = strlen(start);
    memcpy(bytes, start, length);
    memset(bytes + length, filler, sizeof bytes - length);
    parse_to_text(bytes, sizeof bytes, 7, text, sizeof text);
    is_str(text, wanted, "%s", name);
}

static void test_endless(void)
{
    refuses_endless("", 'a', "error: too big inline request", "a line without end is refused");
    refuses_endless("*", '1', "error: too big mbulk count string",
                    "a count without end is refused");
    refuses_endless("*1\r\n$", '1', "error: too big bulk count string",
                    "a length without end is refused");
    char bytes[8192], text[16384];
    size_t length = (size_t)snprintf(bytes, sizeof bytes, "*50\r\n");
    while (length < 7000)
        length += (size_t)snprintf(bytes + length, sizeof bytes - length, "$500\r\n%0500d\r\n", 1);
    parse_to_text(bytes, length, 100, text, sizeof text);
    is_str(text, "error: too big request", "a request beyond the limit is refused");
}

/* An announced length costs nothing before the bytes come. */
static void test_frugal(void)
{
    struct resp_parser parser;
    struct resp_limits large = RESP_LIMITS_DEFAULT;
    resp_init(&parser, &large);
    const char *bytes = "*1000000\r\n$500000000\r\nabc";
    is_int(resp_parse(&parser, bytes, strlen(bytes)), RESP_MORE,
           "a large announcement is accepted");
    ok(parser.room <= 16, "and only announced arguments take no memory");
    is_int(resp_wanted(&parser, strlen(bytes)), 500000000 + 2 - 3, "what is lacking is known");
    resp_fini(&parser);
}

/* Random bytes out of those that mean something, in random pieces: the pieces never change the
 * answer. */
static void test_random(unsigned seed, unsigned rounds)
{
    static const char alphabet[] = "*$\r\n\r\n0123456789-ab\"'\\x \t";
    diag("seed %u", seed);
    unsigned same = 0;
    for (unsigned round = 0; round < rounds; round++) {
        char bytes[300], whole[4096], pieces[4096];
        size_t length = 0;
        while (length + 40 < sizeof bytes && rand_r(&seed) % 16 != 0) {
            unsigned kind = (unsigned)rand_r(&seed) % 4;
            if (kind == 0)
                length += (size_t)snprintf(bytes + length, sizeof bytes - length, "*%d\r\n",
                                           rand_r(&seed) % 4);
            else if (kind == 1)
                length += (size_t)snprintf(bytes + length, sizeof bytes - length, "$%d\r\n%.*s\r\n",
                                           3, 3, "abc");
            else
                for (int i = rand_r(&seed) % 12; i > 0; i--)
                    bytes[length++] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        }
        parse_to_text(bytes, length, length == 0 ? 1 : length, whole, sizeof whole);
        parse_to_text(bytes, length, 1 + (size_t)rand_r(&seed) % 9, pieces, sizeof pieces);
        same += strcmp(whole, pieces) == 0;
    }
    is_int(same, rounds, "random bytes mean the same in any pieces");
}

int main(int count, char **argument)
{
    plan_lazy();
    test_samples();
    test_endless();
    test_frugal();
    test_random(count > 1 ? (unsigned)strtoul(argument[1], NULL, 10) : 1, 20000);
    return done();
}
