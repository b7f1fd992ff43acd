/* SPDX-License-Identifier: MIT
 *
 * tidepool: the parser of requests (see resp.h).
 *
 *     line --"*N"--> header of 1st argument --"$L"--> its bytes --> header of 2nd ... --> READY
 *     line --anything else--> inline --> READY
 *
 * As Redis does, the byte after '\r' and the two bytes after an argument are skipped unseen. */
#include "resp.h"

#include <stdio.h>
#include <string.h>

#include <neap/block.h>

#define FIRST_ROOM         8  /* arguments; doubles */
#define KEPT_ROOM          64 /* arguments for which the parser keeps its arrays between requests */
#define STRANGER_ARGUMENTS 10
#define STRANGER_BULK      16384
#define BULK_UNKNOWN       SIZE_MAX

void resp_init(struct resp_parser *parser, const struct resp_limits *limits)
{
    *parser = (struct resp_parser){.limits = limits, .bulk = BULK_UNKNOWN};
}

void resp_fini(struct resp_parser *parser)
{
    neap_free(parser->argument);
    neap_free(parser->span);
    neap_free(parser->line);
    resp_init(parser, parser->limits);
}

static enum resp_result fail(struct resp_parser *parser, const char *error)
{
    snprintf(parser->error, sizeof parser->error, "%s", error);
    return RESP_ERROR;
}

static bool add_span(struct resp_parser *parser, size_t offset, size_t length)
{
    if (parser->span_count == parser->room) {
        size_t room = parser->room == 0 ? FIRST_ROOM : 2 * parser->room;
        struct resp_span *span = neap_realloc(parser->span, room * sizeof *span);
        if (span == NULL)
            return false;
        parser->span = span;
        struct slice *argument = neap_realloc(parser->argument, room * sizeof *argument);
        if (argument == NULL)
            return false;
        parser->argument = argument;
        parser->room = room;
    }
    parser->span[parser->span_count++] = (struct resp_span){offset, length};
    return true;
}

/* Forgets the request before, and gives back what an unusually large one took. */
static void begin(struct resp_parser *parser)
{
    if (parser->room > KEPT_ROOM) {
        neap_free(parser->argument);
        neap_free(parser->span);
        parser->argument = NULL;
        parser->span = NULL;
        parser->room = 0;
    }
    if (parser->line != NULL) {
        neap_free(parser->line);
        parser->line = NULL;
    }
    parser->count = 0;
    parser->consumed = 0;
}

/* The request is complete: its spans, in bytes, become the arguments. */
static enum resp_result finish(struct resp_parser *parser, const char *bytes, size_t consumed)
{
    for (size_t i = 0; i < parser->span_count; i++)
        parser->argument[i] =
            (struct slice){bytes + parser->span[i].offset, parser->span[i].length};
    parser->count = parser->span_count;
    parser->consumed = consumed;
    parser->span_count = 0;
    parser->scanned = 0;
    parser->searched = 0;
    parser->announced = 0;
    parser->bulk = BULK_UNKNOWN;
    return RESP_READY;
}

/* ---- inline requests ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The character after a backslash within double quotes; moves *at behind it. */
static char unescape(struct slice text, size_t *at)
{
    size_t i = *at;
    char c = text.bytes[i];
    *at = i + 1;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    case 'x':
        if (i + 2 < text.length && hex_digit(text.bytes[i + 1]) >= 0 &&
            hex_digit(text.bytes[i + 2]) >= 0) {
            *at = i + 3;
            return (char)(hex_digit(text.bytes[i + 1]) * 16 + hex_digit(text.bytes[i + 2]));
        }
        return c;
    default:
        return c;
    }
}

/* One argument of an inline request from *at on, unquoted to out; returns its end there, or NULL
 * for quotes that do not end or are followed by more than a blank. */
static char *unquote(struct slice text, size_t *at, char *out)
{
    size_t i = *at;
    char quote = '\0';
    while (i < text.length) {
        char c = text.bytes[i];
        if (quote == '\0') {
            if (is_blank(c))
                break;
            i++;
            if (c == '"' || c == '\'')
                quote = c;
            else
                *out++ = c;
        } else if (c == '\\' && quote == '"' && i + 1 < text.length) {
            i++;
            *out++ = unescape(text, &i);
        } else if (c == '\\' && quote == '\'' && i + 1 < text.length && text.bytes[i + 1] == '\'') {
            *out++ = '\'';
            i += 2;
        } else if (c == quote) {
            i++;
            if (i < text.length && !is_blank(text.bytes[i]))
                return NULL;
            quote = '\0';
            break;
        } else {
            *out++ = c;
            i++;
        }
    }
    *at = i;
    return quote == '\0' ? out : NULL;
}

static enum resp_result parse_inline(struct resp_parser *parser, const char *data, size_t length)
{
    const char *end = memchr(data + parser->searched, '\n', length - parser->searched);
    if (end == NULL) {
        parser->searched = length;
        return length > parser->limits->line_bytes ? fail(parser, "too big inline request")
                                                   : RESP_MORE;
    }
    size_t consumed = (size_t)(end - data) + 1;
    struct slice text = {data, consumed - 1};
    if (text.length > 0 && text.bytes[text.length - 1] == '\r')
        text.length--;
    parser->line = neap_alloc(text.length + 1); /* unquoting never makes it longer */
    if (parser->line == NULL)
        return fail(parser, "out of memory");
    char *out = parser->line;
    for (size_t at = 0;;) {
        while (at < text.length && is_blank(text.bytes[at]))
            at++;
        if (at == text.length)
            return finish(parser, parser->line, consumed);
        char *begin_of_argument = out;
        out = unquote(text, &at, out);
        if (out == NULL)
            return fail(parser, "unbalanced quotes in request");
        if (!add_span(parser, (size_t)(begin_of_argument - parser->line),
                      (size_t)(out - begin_of_argument)))
            return fail(parser, "out of memory");
    }
}

/* ---- arrays of bulk strings ---- */

/* The line at `scanned`, without its end; false while it is not all there. */
static bool next_line(struct resp_parser *parser, const char *data, size_t length,
                      struct slice *ret_line)
{
    size_t from = parser->searched > parser->scanned ? parser->searched : parser->scanned;
    const char *end = length > from ? memchr(data + from, '\r', length - from) : NULL;
    if (end == NULL || (size_t)(end - data) + 1 == length) {
        parser->searched = end == NULL ? length : length - 1;
        return false;
    }
    *ret_line = (struct slice){data + parser->scanned, (size_t)(end - data) - parser->scanned};
    parser->scanned = (size_t)(end - data) + 2;
    return true;
}

/* RESP_READY: *ret_value is the number after the line's first byte, accepted by the caller. */
static enum resp_result next_number(struct resp_parser *parser, const char *data, size_t length,
                                    const char *too_long, struct slice *ret_line)
{
    if (next_line(parser, data, length, ret_line))
        return RESP_READY;
    return length - parser->scanned > parser->limits->line_bytes ? fail(parser, too_long)
                                                                 : RESP_MORE;
}

static bool number_after_mark(struct slice line, int64_t *ret_value)
{
    return text_to_integer((struct slice){line.bytes + 1, line.length - 1}, ret_value);
}

static enum resp_result parse_count(struct resp_parser *parser, const char *data, size_t length)
{
    struct slice line;
    enum resp_result result =
        next_number(parser, data, length, "too big mbulk count string", &line);
    if (result != RESP_READY)
        return result;
    int64_t count;
    if (!number_after_mark(line, &count) ||
        (count > 0 && (uint64_t)count > parser->limits->argument_count))
        return fail(parser, "invalid multibulk length");
    if (parser->limits->stranger && count > STRANGER_ARGUMENTS)
        return fail(parser, "unauthenticated multibulk length");
    if (count <= 0)
        return finish(parser, data, parser->scanned);
    parser->announced = (size_t)count;
    return RESP_READY;
}

static enum resp_result parse_bulk_length(struct resp_parser *parser, const char *data,
                                          size_t length)
{
    struct slice line;
    enum resp_result result = next_number(parser, data, length, "too big bulk count string", &line);
    if (result != RESP_READY)
        return result;
    if (line.length == 0 || line.bytes[0] != '$') {
        snprintf(parser->error, sizeof parser->error, "expected '$', got '%c'",
                 line.length == 0 ? '\r' : line.bytes[0]);
        return RESP_ERROR;
    }
    int64_t bulk;
    if (!number_after_mark(line, &bulk) || bulk < 0 || (uint64_t)bulk > parser->limits->bulk_bytes)
        return fail(parser, "invalid bulk length");
    if (parser->limits->stranger && bulk > STRANGER_BULK)
        return fail(parser, "unauthenticated bulk length");
    if ((uint64_t)bulk + 2 > parser->limits->request_bytes - parser->scanned)
        return fail(parser, "too big request");
    parser->bulk = (size_t)bulk;
    return RESP_READY;
}

static enum resp_result parse_array(struct resp_parser *parser, const char *data, size_t length)
{
    if (parser->announced == 0) {
        enum resp_result result = parse_count(parser, data, length);
        if (result != RESP_READY || parser->announced == 0)
            return result;
    }
    while (parser->span_count < parser->announced) {
        if (parser->scanned > parser->limits->request_bytes)
            return fail(parser, "too big request");
        if (parser->bulk == BULK_UNKNOWN) {
            enum resp_result result = parse_bulk_length(parser, data, length);
            if (result != RESP_READY)
                return result;
        }
        if (length < parser->scanned || length - parser->scanned < parser->bulk + 2)
            return RESP_MORE;
        if (!add_span(parser, parser->scanned, parser->bulk))
            return fail(parser, "out of memory");
        parser->scanned += parser->bulk + 2;
        parser->bulk = BULK_UNKNOWN;
    }
    return finish(parser, data, parser->scanned);
}

enum resp_result resp_parse(struct resp_parser *parser, const char *data, size_t length)
{
    if (parser->consumed != 0)
        begin(parser);
    if (length == 0)
        return RESP_MORE;
    return data[0] == '*' ? parse_array(parser, data, length) : parse_inline(parser, data, length);
}

size_t resp_wanted(const struct resp_parser *parser, size_t length)
{
    if (parser->bulk == BULK_UNKNOWN)
        return 0;
    size_t end = parser->scanned + parser->bulk + 2;
    return end > length ? end - length : 0;
}
