/* SPDX-License-Identifier: MIT
 *
 * tidepool: borrowed text. A slice is bytes that somebody else owns, of any value, not terminated;
 * keys, arguments and numbers pass through the server as slices of the request they came in.
 *
 * Concurrency: pure functions. */
#ifndef TIDEPOOL_TEXT_H
#define TIDEPOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *bytes;
    size_t length;
};

#define TEXT_INTEGER_BYTES 24 /* room for any int64 and a NUL */

/* The slice of a C string. */
struct slice text_from(const char *text);

/* Byte for byte. */
bool text_same(struct slice a, struct slice b);

/* Is it this keyword, in any mixture of cases? */
bool text_is(struct slice text, const char *keyword);

/* A 64-bit decimal number in its one spelling: no blanks, no plus sign, no leading zeros, no "-0".
 * (What a client calls an integer must print as it was written, or it could not be stored as one.)
 */
bool text_to_integer(struct slice text, int64_t *ret_value);

/* The inverse; returns the length, NUL not counted. */
size_t text_from_integer(int64_t value, char text[TEXT_INTEGER_BYTES]);

#define TEXT_REAL_BYTES 5200 /* room for any long double in text_from_real's spelling */

/* A real number as strtold reads it, the whole text, no blanks, not a NaN. */
bool text_to_real(struct slice text, long double *ret_value);

/* In decimals without exponent, at most 17 after the point, no trailing zeros; returns the length.
 */
size_t text_from_real(long double value, char text[TEXT_REAL_BYTES]);

#define TEXT_DOUBLE_BYTES 40

/* The same for a double as strtod reads it; infinities are numbers, NaNs are not. */
bool text_to_double(struct slice text, double *ret_value);

/* In 17 significant digits, "inf", "-inf"; returns the length. */
size_t text_from_double(double value, char text[TEXT_DOUBLE_BYTES]);

/* A number of bytes: digits and, in any case, k, kb, m, mb, g, gb (k is 1000, kb is 1024). */
bool text_to_bytes(struct slice text, uint64_t *ret_bytes);

/* Glob: * ? [abc] [^a-z] and \x. The work is bounded by pattern times text. */
bool text_matches(struct slice pattern, struct slice text, bool ignore_case);

#endif
