/* SPDX-License-Identifier: MIT */
#include "observe/json.h"

#include "neap/status.h"

void np_json_begin(struct np_json *json, FILE *out)
{
    json->out = out;
    json->used = 0;
}

void np_json_flush(struct np_json *json)
{
    fwrite(json->buffer, 1, json->used, json->out);
    json->used = 0;
}

int np_json_end(struct np_json *json)
{
    np_json_flush(json);
    return fflush(json->out) == 0 && !ferror(json->out) ? NEAP_OK : NEAP_EIO;
}

void np_json_text(struct np_json *json, const char *text)
{
    for (; *text != '\0'; text++)
        np_json_char(json, *text);
}

/* Bytes that are no UTF-8 would spoil the file: what is not ASCII is written as Latin-1. */
void np_json_string(struct np_json *json, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    np_json_char(json, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            np_json_char(json, '\\');
            np_json_char(json, (char)c);
        } else if (c < 0x20 || c >= 0x7F) {
            np_json_text(json, "\\u00");
            np_json_char(json, digits[c >> 4]);
            np_json_char(json, digits[c & 15]);
        } else {
            np_json_char(json, (char)c);
        }
    }
    np_json_char(json, '"');
}
