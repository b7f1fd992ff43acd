/* SPDX-License-Identifier: MIT
 *
 * neap: immutable strings of bytes. A string is an object: counted, fit for a slot, shared by any
 * number of threads without a lock. Its bytes are part of its block, and its hash is computed once.
 *
 *     struct neap_string *name = neap_string_from("tern");
 *     struct neap_string *line = neap_string_format("%s: %d", neap_string_data(name), 3);
 *     struct neap_string *key = neap_string_intern(name);       the one string with these bytes
 *
 * Interned strings with the same bytes are the same object, so they are compared by address. The
 * table of interned strings holds them weakly: one that nobody uses any more dies as any other.
 *
 * Not for text that is changed in place: build it in a neap_alloc block and make the string once.
 */
#ifndef NEAP_STRING_H
#define NEAP_STRING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/object.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_string;
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_string;

/* A string of length bytes, which are copied and may be any. bytes may be NULL when length is 0.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_string *neap_string_new(const char *bytes, size_t length);

/* A string of the bytes before the NUL. NULL for NULL.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_string *neap_string_from(const char *text);

/* What printf would print.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, memory or format */
NEAP_PUBLIC NEAP_NODISCARD struct neap_string *neap_string_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The same with the arguments as vprintf takes them.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, memory or format */
NEAP_PUBLIC NEAP_NODISCARD struct neap_string *neap_string_vformat(const char *format,
                                                                   va_list arguments)
    __attribute__((format(printf, 1, 0)));

/* The bytes, with a NUL after the last; valid while the string lives.
 * refs: borrowed until released | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC const char *neap_string_data(const struct neap_string *string);

/* Bytes, the NUL not counted.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC size_t neap_string_length(const struct neap_string *string);

/* A hash of the bytes under a random key of this process, never 0; computed once.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC uint32_t neap_string_hash(const struct neap_string *string);

/* Do both have the same bytes? NULL equals NULL only.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC bool neap_string_equal(const struct neap_string *a, const struct neap_string *b);

/* Negative, 0 or positive as a stands before, with or behind b in the order of bytes; a string
 * stands behind its beginnings.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC int neap_string_compare(const struct neap_string *a, const struct neap_string *b);

/* The interned string with the same bytes: string itself, another, or a new one. NULL for NULL.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_string *neap_string_intern(const struct neap_string *string);

/* The interned string with these bytes, which are copied when there is none yet.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_string *neap_string_intern_bytes(const char *bytes,
                                                                        size_t length);

/* Is it the interned string with its bytes?
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC bool neap_string_is_interned(const struct neap_string *string);

#ifdef __cplusplus
}
#endif

#endif
