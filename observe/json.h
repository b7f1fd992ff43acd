/* SPDX-License-Identifier: MIT
 *
 * Writing large files of JSON through a buffer.
 *
 * Implemented by json.c. One thread uses a writer. */
#ifndef NP_OBSERVE_JSON_H
#define NP_OBSERVE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NP_JSON_BYTES = 65536 };

struct np_json {
    FILE *out;
    size_t used;
    char buffer[NP_JSON_BYTES];
};

void np_json_begin(struct np_json *json, FILE *out);
int np_json_end(struct np_json *json); /* NEAP_OK or NEAP_EIO */

void np_json_flush(struct np_json *json);
void np_json_text(struct np_json *json, const char *text);   /* as it is */
void np_json_string(struct np_json *json, const char *text); /* quoted */

static inline void np_json_char(struct np_json *json, char c)
{
    if (json->used == NP_JSON_BYTES)
        np_json_flush(json);
    json->buffer[json->used++] = c;
}

static inline void np_json_number(struct np_json *json, uint64_t value)
{
    char digits[20];
    size_t length = 0;
    do
        digits[sizeof digits - ++length] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    if (json->used + length > NP_JSON_BYTES)
        np_json_flush(json);
    memcpy(json->buffer + json->used, digits + sizeof digits - length, length);
    json->used += length;
}

#endif
