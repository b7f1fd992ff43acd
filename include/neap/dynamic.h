/* SPDX-License-Identifier: MIT
 *
 * neap: objects whose attributes are named while the program runs. Objects that got the same
 * attributes in the same order share one table of names, so an object of up to four attributes is
 * one block of 64 bytes; declared slots (<neap/type.h>) take less and are found at compile time.
 *
 *     struct neap_dynamic *bird = neap_dynamic_new();
 *     neap_attr_set(bird, "name", name);
 *     struct neap_string *found = neap_attr_get(bird, "name");      a reference of your own, or
 * NULL
 *
 * Like a plain slot it belongs to one thread or is guarded by the caller's lock. Not for hundreds
 * of attributes: that is a neap_map.
 */
#ifndef NEAP_DYNAMIC_H
#define NEAP_DYNAMIC_H

#include <neap/map.h>
#include <neap/object.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_dynamic;
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_dynamic;

/* An object without attributes.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_dynamic *neap_dynamic_new(void);

/* Gives the attribute this value, counted for the object, in place of the one it has. NEAP_OK,
 * NEAP_ENOMEM, or NEAP_EINVAL for a NULL name or value.
 * refs: none | user code: yes | point: stop | threads: attached | fails: status */
NEAP_PUBLIC int neap_attr_set(struct neap_dynamic *object, const char *name, void *value);

/* The attribute's value; NULL when there is none of that name.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, no such name */
NEAP_PUBLIC NEAP_NODISCARD void *neap_attr_get(struct neap_dynamic *object, const char *name);

/* Takes the attribute away; the object's table of names is its own from then on. Whether it was
 * there; without memory for that table it stays, and the answer is false.
 * refs: none | user code: yes | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_attr_delete(struct neap_dynamic *object, const char *name);

/* Calls visit(name, value, arg) for each attribute in the order in which they were set first, until
 * it returns false; visit may set attributes and delete the one it is shown. Returns the calls
 * made.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_attr_each(struct neap_dynamic *object, neap_entry_fn *visit, void *arg);

/* Number of attributes.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_attr_count(const struct neap_dynamic *object);

#ifdef __cplusplus
}
#endif

#endif
