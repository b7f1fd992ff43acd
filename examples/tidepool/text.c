/* SPDX-License-Identifier: MIT
 *
 * tidepool: borrowed text (see text.h). */
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_DOUBLE_MOST 512 /* characters of a double that are read */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct slice text_from(const char *text)
{
    return (struct slice){text, strlen(text)};
}

bool text_same(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

bool text_is(struct slice text, const char *keyword)
{
    size_t i = 0;
    while (i < text.length && keyword[i] != '\0' && lower(text.bytes[i]) == lower(keyword[i]))
        i++;
    return i == text.length && keyword[i] == '\0';
}

bool text_to_integer(struct slice text, int64_t *ret_value)
{
    if (text.length == 0 || text.length > 20)
        return false;
    if (text.length == 1 && text.bytes[0] == '0') {
        *ret_value = 0;
        return true;
    }
    bool negative = text.bytes[0] == '-';
    size_t i = negative;
    if (i == text.length || text.bytes[i] < '1' || text.bytes[i] > '9')
        return false;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value = 0;
    for (; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.bytes[i] - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

size_t text_from_integer(int64_t value, char text[TEXT_INTEGER_BYTES])
{
    char digits[TEXT_INTEGER_BYTES];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    size_t length = 0;
    if (value < 0)
        text[length++] = '-';
    while (count > 0)
        text[length++] = digits[--count];
    text[length] = '\0';
    return length;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool text_to_real(struct slice text, long double *ret_value)
{
    char copy[TEXT_REAL_BYTES];
    if (text.length == 0 || text.length >= sizeof copy || is_blank(text.bytes[0]))
        return false;
    memcpy(copy, text.bytes, text.length);
    copy[text.length] = '\0';
    char *end;
    int error = errno;
    errno = 0;
    long double value = strtold(copy, &end);
    bool range = errno == ERANGE && (isinf(value) || value == 0);
    errno = error;
    if (end != copy + text.length || range || isnan(value))
        return false;
    *ret_value = value;
    return true;
}

size_t text_from_real(long double value, char text[TEXT_REAL_BYTES])
{
    int written = snprintf(text, TEXT_REAL_BYTES, "%.17Lf", value);
    size_t length = written < 0 ? 0 : (size_t)written;
    if (memchr(text, '.', length) != NULL) {
        while (text[length - 1] == '0')
            length--;
        length -= text[length - 1] == '.';
    }
    if (length == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        length = 1;
    }
    text[length] = '\0';
    return length;
}

bool text_to_double(struct slice text, double *ret_value)
{
    char copy[TEXT_DOUBLE_MOST];
    if (text.length == 0 || text.length >= sizeof copy || is_blank(text.bytes[0]))
        return false;
    memcpy(copy, text.bytes, text.length);
    copy[text.length] = '\0';
    char *end;
    int error = errno;
    errno = 0;
    double value = strtod(copy, &end);
    bool range = errno == ERANGE && (isinf(value) || value == 0);
    errno = error;
    if (end != copy + text.length || range || isnan(value))
        return false;
    *ret_value = value;
    return true;
}

size_t text_from_double(double value, char text[TEXT_DOUBLE_BYTES])
{
    int written = isinf(value) ? snprintf(text, TEXT_DOUBLE_BYTES, value > 0 ? "inf" : "-inf")
                               : snprintf(text, TEXT_DOUBLE_BYTES, "%.17g", value);
    return written < 0 ? 0 : (size_t)written;
}

bool text_to_bytes(struct slice text, uint64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {{"", 1},
                 {"b", 1},
                 {"k", 1000},
                 {"kb", 1024},
                 {"m", 1000 * 1000},
                 {"mb", 1024 * 1024},
                 {"g", 1000 * 1000 * 1000},
                 {"gb", 1024 * 1024 * 1024}};
    size_t digits = 0;
    while (digits < text.length && text.bytes[digits] >= '0' && text.bytes[digits] <= '9')
        digits++;
    int64_t value;
    if (!text_to_integer((struct slice){text.bytes, digits}, &value))
        return false;
    struct slice unit = {text.bytes + digits, text.length - digits};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!text_is(unit, units[i].unit))
            continue;
        if ((uint64_t)value > (uint64_t)INT64_MAX / units[i].bytes)
            return false;
        *ret_bytes = (uint64_t)value * units[i].bytes;
        return true;
    }
    return false;
}

/* Does c belong to the class that begins after the '[' at *at? Leaves *at behind its ']' (or at the
 * pattern's end, which closes it too). */
static bool class_holds(struct slice pattern, size_t *at, char c, bool ignore_case)
{
    size_t i = *at;
    bool inverted = i < pattern.length && pattern.bytes[i] == '^';
    i += inverted;
    bool found = false;
    while (i < pattern.length && pattern.bytes[i] != ']') {
        if (pattern.bytes[i] == '\\' && i + 1 < pattern.length)
            i++;
        char low = pattern.bytes[i], high = low;
        if (i + 2 < pattern.length && pattern.bytes[i + 1] == '-') {
            high = pattern.bytes[i + 2];
            i += 2;
        }
        i++;
        char tested = c;
        if (ignore_case) {
            low = lower(low);
            high = lower(high);
            tested = lower(tested);
        }
        unsigned char a = (unsigned char)low, b = (unsigned char)high, t = (unsigned char)tested;
        if (a > b) {
            unsigned char swapped = a;
            a = b;
            b = swapped;
        }
        found |= t >= a && t <= b;
    }
    *at = i < pattern.length ? i + 1 : i;
    return found != inverted;
}

/* One character of the text against the pattern at *at; moves *at on when it fits. */
static bool one_matches(struct slice pattern, size_t *at, char c, bool ignore_case)
{
    size_t i = *at;
    char p = pattern.bytes[i++];
    bool fits;
    if (p == '?') {
        fits = true;
    } else if (p == '[') {
        fits = class_holds(pattern, &i, c, ignore_case);
    } else {
        if (p == '\\' && i < pattern.length)
            p = pattern.bytes[i++];
        fits = ignore_case ? lower(p) == lower(c) : p == c;
    }
    if (fits)
        *at = i;
    return fits;
}

bool text_matches(struct slice pattern, struct slice text, bool ignore_case)
{
    /* Only the last star seen can need another try: whatever an earlier one could take, the later
     * one can take too. So there is one place to return to, and no recursion. */
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.length) {
        if (p < pattern.length && pattern.bytes[p] == '*') {
            star = ++p;
            star_text = t;
        } else if (p < pattern.length && one_matches(pattern, &p, text.bytes[t], ignore_case)) {
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.bytes[p] == '*')
        p++;
    return p == pattern.length;
}
