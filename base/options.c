/* SPDX-License-Identifier: MIT
 *
 * The options table and the reader of NEAP_OPTIONS. Numbers are decimal or 0x hexadecimal with an
 * optional suffix k, m, g or t (powers of 1024); "on" and "off" read as 1 and 0. */
#include "base/options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/perturb.h"

struct row {
    const char *name, *sentence;
    size_t offset;
    uint64_t least, most, fallback;
};

static const struct row rows[] = {
#define ROW(name, default_value, least, most, sentence) \
    {#name, sentence, offsetof(struct neap_options, name), least, most, default_value},
    NEAP_OPTIONS_TABLE(ROW)
#undef ROW
};

struct neap_options np_options = NEAP_OPTIONS_INIT;

static uint64_t *field_of(struct neap_options *options, const struct row *row)
{
    return (uint64_t *)(void *)((char *)options + row->offset);
}

static const struct row *find_row(const char *name, size_t length)
{
    for (size_t i = 0; i < np_count_of(rows); i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

static void print_help(void)
{
    fprintf(stderr, "NEAP_OPTIONS=name=value,... (numbers take k, m, g, t)\n");
    for (size_t i = 0; i < np_count_of(rows); i++)
        fprintf(stderr, "  %s=%" PRIu64 "  (%" PRIu64 " to %" PRIu64 ")\n      %s\n", rows[i].name,
                rows[i].fallback, rows[i].least, rows[i].most, rows[i].sentence);
}

static bool read_number(const char *text, size_t length, uint64_t *ret_value)
{
    char digits[32];
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    static const char *const words[] = {"off", "print", "exit-code"}; /* of leak_check */
    for (uint64_t i = 1; i < np_count_of(words); i++) {
        if (strcmp(digits, words[i]) == 0) {
            *ret_value = i;
            return true;
        }
    }
    if (strcmp(digits, "on") == 0 || strcmp(digits, "off") == 0) {
        *ret_value = digits[1] == 'n';
        return true;
    }
    if (strcmp(digits, "stopped") == 0 || strcmp(digits, "concurrent") == 0) { /* of collector */
        *ret_value = digits[0] == 'c';
        return true;
    }
    unsigned shift = 0;
    const char *suffixes = "kmgt", *suffix = strchr(suffixes, digits[length - 1] | 0x20);
    bool hexadecimal = length > 2 && digits[0] == '0' && (digits[1] | 0x20) == 'x';
    if (suffix != NULL && *suffix != '\0') {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        digits[--length] = '\0';
    }
    uint64_t value = 0, base = hexadecimal ? 16 : 10;
    size_t i = hexadecimal ? 2 : 0;
    if (i >= length)
        return false;
    for (; i < length; i++) {
        char c = digits[i];
        uint64_t digit = c >= '0' && c <= '9'                  ? (uint64_t)(c - '0')
                         : hexadecimal && c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                         : hexadecimal && c >= 'A' && c <= 'F' ? (uint64_t)(c - 'A' + 10)
                                                               : 99;
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    if (shift != 0 && value > UINT64_MAX >> shift)
        return false;
    *ret_value = value << shift;
    return true;
}

/* SEED:RATE, the seed in the upper half. */
static bool read_pair(const char *text, size_t length, uint64_t *ret_value)
{
    const char *colon = memchr(text, ':', length);
    uint64_t high, low;
    if (colon == NULL || !read_number(text, (size_t)(colon - text), &high) ||
        !read_number(colon + 1, length - (size_t)(colon - text) - 1, &low) || high > UINT32_MAX ||
        low > 1000)
        return false;
    *ret_value = high << 32 | low;
    return true;
}

static bool read_value(const struct row *row, const char *text, size_t length, uint64_t *ret_value)
{
    bool is_pair = row->offset == offsetof(struct neap_options, perturb);
    return (is_pair && read_pair(text, length, ret_value)) || read_number(text, length, ret_value);
}

static int read_text(struct neap_options *options, const char *text, char *error,
                     size_t error_bytes)
{
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        const char *equals = memchr(text, '=', length);
        if (length == 4 && memcmp(text, "help", 4) == 0) {
            print_help();
        } else if (length != 0) {
            size_t name_length = equals != NULL ? (size_t)(equals - text) : length;
            const struct row *row = find_row(text, name_length);
            uint64_t value;
            if (row == NULL) {
                snprintf(error, error_bytes, "unknown option \"%.*s\" (try NEAP_OPTIONS=help)",
                         (int)name_length, text);
                return -1;
            }
            if (equals == NULL || !read_value(row, equals + 1, length - name_length - 1, &value)) {
                snprintf(error, error_bytes, "option %s needs a number", row->name);
                return -1;
            }
            if (value < row->least || value > row->most) {
                snprintf(error, error_bytes,
                         "option %s: %" PRIu64 " is not in %" PRIu64 " to %" PRIu64, row->name,
                         value, row->least, row->most);
                return -1;
            }
            *field_of(options, row) = value;
        }
        text += length;
        text += *text == ',';
    }
    return 0;
}

int np_options_load(const struct neap_options *given, const char *text, char *error,
                    size_t error_bytes)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    if (given != NULL) {
        if (given->struct_size < sizeof given->struct_size) {
            snprintf(error, error_bytes,
                     "options: struct_size is %zu; start from NEAP_OPTIONS_INIT",
                     given->struct_size);
            return -1;
        }
        size_t bytes = given->struct_size < sizeof options ? given->struct_size : sizeof options;
        memcpy(&options, given, bytes);
        options.struct_size = sizeof options;
        for (size_t i = 0; i < np_count_of(rows); i++) {
            uint64_t value = *field_of(&options, &rows[i]);
            if (value < rows[i].least || value > rows[i].most) {
                snprintf(error, error_bytes,
                         "option %s: %" PRIu64 " is not in %" PRIu64 " to %" PRIu64, rows[i].name,
                         value, rows[i].least, rows[i].most);
                return -1;
            }
        }
    }
    if (text != NULL && read_text(&options, text, error, error_bytes) != 0)
        return -1;
    if (options.perturb != 0 && !NP_PERTURB) {
        snprintf(error, error_bytes, "option perturb needs a build with -Dchecks=debug");
        return -1;
    }
    np_perturb_set(options.perturb);
    np_options = options;
    return 0;
}
