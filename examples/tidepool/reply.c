/* SPDX-License-Identifier: MIT
 *
 * tidepool: replies (see reply.h). */
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <neap/block.h>

#define FIRST_CAPACITY ((size_t)16 * 1024)
#define KEPT_CAPACITY  ((size_t)1024 * 1024)
#define ERROR_BYTES    512

void reply_init(struct reply *reply, size_t limit)
{
    *reply = (struct reply){.limit = limit, .protocol = 2};
}

void reply_fini(struct reply *reply)
{
    neap_free(reply->bytes);
    reply->bytes = NULL;
    reply->length = reply->capacity = 0;
}

void reply_reset(struct reply *reply)
{
    if (reply->capacity > KEPT_CAPACITY)
        reply_fini(reply);
    reply->length = 0;
    reply->failed = false;
}

/* Room for length more bytes; false marks the buffer failed. */
static bool grow(struct reply *reply, size_t length)
{
    if (reply->failed)
        return false;
    if (length > reply->limit - reply->length) {
        reply->failed = true;
        return false;
    }
    size_t capacity = reply->capacity == 0 ? FIRST_CAPACITY : reply->capacity;
    while (capacity - reply->length < length)
        capacity *= 2;
    char *bytes = neap_realloc(reply->bytes, capacity);
    if (bytes == NULL) {
        reply->failed = true;
        return false;
    }
    reply->bytes = bytes;
    reply->capacity = capacity;
    return true;
}

/* A place for length bytes, which the caller shortens to what it wrote; NULL when there is none. */
static inline char *room_for(struct reply *reply, size_t length)
{
    if (length > reply->capacity - reply->length || reply->failed) {
        if (!grow(reply, length))
            return NULL;
    }
    return reply->bytes + reply->length;
}

void reply_bytes(struct reply *reply, const char *bytes, size_t length)
{
    char *to = room_for(reply, length);
    if (to == NULL || length == 0)
        return;
    memcpy(to, bytes, length);
    reply->length += length;
}

void reply_status(struct reply *reply, const char *status)
{
    size_t length = strlen(status);
    char *to = room_for(reply, length + 3);
    if (to == NULL)
        return;
    to[0] = '+';
    memcpy(to + 1, status, length);
    memcpy(to + 1 + length, "\r\n", 2);
    reply->length += length + 3;
}

void reply_error(struct reply *reply, const char *format, ...)
{
    char text[ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = written < 0 ? 0 : (size_t)written;
    if (length >= sizeof text)
        length = sizeof text - 1;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
    reply_bytes(reply, "-", 1);
    reply_bytes(reply, text, length);
    reply_bytes(reply, "\r\n", 2);
    reply->errors++;
}

/* mark, number, line end: the form of integers and of all announcements. */
static void reply_number(struct reply *reply, char mark, int64_t value)
{
    char *to = room_for(reply, TEXT_INTEGER_BYTES + 3);
    if (to == NULL)
        return;
    size_t length;
    to[0] = mark;
    if (value >= 0 && value < 10) {
        to[1] = (char)('0' + value);
        length = 1;
    } else {
        length = text_from_integer(value, to + 1);
    }
    to[1 + length] = '\r';
    to[2 + length] = '\n';
    reply->length += length + 3;
}

void reply_integer(struct reply *reply, int64_t value)
{
    reply_number(reply, ':', value);
}

void reply_bulk(struct reply *reply, struct slice text)
{
    reply_number(reply, '$', (int64_t)text.length);
    char *to = room_for(reply, text.length + 2);
    if (to == NULL)
        return;
    if (text.length > 0)
        memcpy(to, text.bytes, text.length);
    memcpy(to + text.length, "\r\n", 2);
    reply->length += text.length + 2;
}

void reply_bulk_integer(struct reply *reply, int64_t value)
{
    char text[TEXT_INTEGER_BYTES];
    size_t length = text_from_integer(value, text);
    reply_bulk(reply, (struct slice){text, length});
}

void reply_double(struct reply *reply, double value)
{
    char text[TEXT_DOUBLE_BYTES];
    size_t length = text_from_double(value, text);
    if (reply->protocol == 2) {
        reply_bulk(reply, (struct slice){text, length});
        return;
    }
    reply_bytes(reply, ",", 1);
    reply_bytes(reply, text, length);
    reply_bytes(reply, "\r\n", 2);
}

void reply_null(struct reply *reply)
{
    if (reply->protocol == 2)
        reply_bytes(reply, "$-1\r\n", 5);
    else
        reply_bytes(reply, "_\r\n", 3);
}

void reply_null_array(struct reply *reply)
{
    if (reply->protocol == 2)
        reply_bytes(reply, "*-1\r\n", 5);
    else
        reply_bytes(reply, "_\r\n", 3);
}

void reply_array(struct reply *reply, size_t count)
{
    reply_number(reply, '*', (int64_t)count);
}

void reply_map(struct reply *reply, size_t count)
{
    if (reply->protocol == 2)
        reply_number(reply, '*', (int64_t)count * 2);
    else
        reply_number(reply, '%', (int64_t)count);
}

void reply_set(struct reply *reply, size_t count)
{
    reply_number(reply, reply->protocol == 2 ? '*' : '~', (int64_t)count);
}

void reply_push(struct reply *reply, size_t count)
{
    reply_number(reply, reply->protocol == 2 ? '*' : '>', (int64_t)count);
}

void reply_verbatim(struct reply *reply, struct slice text)
{
    if (reply->protocol == 2) {
        reply_bulk(reply, text);
        return;
    }
    reply_number(reply, '=', (int64_t)text.length + 4);
    reply_bytes(reply, "txt:", 4);
    reply_bytes(reply, text.bytes, text.length);
    reply_bytes(reply, "\r\n", 2);
}
