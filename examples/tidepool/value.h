/* SPDX-License-Identifier: MIT
 *
 * tidepool: what a key can hold. A value is a neap object; its neap type is its Redis type, so
 * there is no tag of our own: neap_is(value, list) asks.
 *
 * Strings are immutable: whoever holds a reference may read one without a lock. Numbers and lists
 * change in place, under the lock of the key that holds them. */
#ifndef TIDEPOOL_VALUE_H
#define TIDEPOOL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/neap.h>

#include "reply.h"
#include "text.h"

struct value; /* any of the objects below (list.h, set.h, zset.h have the rest) */

struct string {
    uint32_t length;
    char bytes[];
};
NEAP_DECLARE_TYPE(string);

/* A string that is an integer, kept as one: INCR allocates nothing. */
struct number {
    int64_t value;
};
NEAP_DECLARE_TYPE(number);

/* New references, or NULL out of memory. string_new_blank's bytes are the caller's to fill before
 * anybody else sees it. */
struct string *string_new(struct slice text);
struct string *string_new_blank(size_t length);
struct number *number_new(int64_t value);

static inline struct slice string_text(const struct string *string)
{
    return (struct slice){string->bytes, string->length};
}

/* A new string or number, whichever holds the text in fewer bytes. */
struct value *value_from_text(struct slice text);

/* Is it of the string family: a string or a number? */
bool value_is_text(const struct value *value);

/* The text of such a value; a number is written to buffer. Borrowed from the value or the buffer.
 */
struct slice value_text(const struct value *value, char buffer[TEXT_INTEGER_BYTES]);

/* The integer that such a value is; false when it is none. */
bool value_integer(const struct value *value, int64_t *ret_integer);

/* The text as a bulk reply. */
void value_reply(struct reply *reply, const struct value *value);

/* A value of its own that equals the other; a string is immutable and is shared. NULL out of
 * memory. */
struct value *value_copy(struct value *value);

/* Redis's name of the type ("string", "list", ...); "none" for NULL. */
const char *value_type_name(const struct value *value);

#endif
