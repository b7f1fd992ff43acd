/* SPDX-License-Identifier: MIT
 *
 * neap: a growable list of references to objects of any type. It is itself an object: counted, fit
 * for a slot, seen through by the collector.
 *
 *     struct neap_list *list = neap_list_new();
 *     neap_list_append(list, node);
 *     struct node *first = neap_list_get(list, 0);
 *
 * Like a plain slot it belongs to one thread or is guarded by the caller's lock; not for several
 * threads at once.
 */
#ifndef NEAP_LIST_H
#define NEAP_LIST_H

#include <neap/object.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_list;
typedef bool neap_visit_fn(void *object, void *arg); /* borrowed object; false ends the walk */
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_list;

/* An empty list.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_list *neap_list_new(void);

/* Adds object, counted for the list, at the end; NULL is an element like any other. NEAP_OK or
 * NEAP_ENOMEM.
 * refs: none | user code: no | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_list_append(struct neap_list *list, void *object);

/* The element at index (from 0), counted for the caller; NULL past the end.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, past the end */
NEAP_PUBLIC NEAP_NODISCARD void *neap_list_get(struct neap_list *list, size_t index);

/* Puts object, counted for the list, in the place of the element at index, which is released.
 * NEAP_OK, or NEAP_EINVAL past the end.
 * refs: none | user code: yes | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_list_set(struct neap_list *list, size_t index, void *object);

/* Takes the last element off; its reference is the caller's. NULL when the list is empty.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, empty */
NEAP_PUBLIC NEAP_NODISCARD void *neap_list_pop(struct neap_list *list);

/* Puts object, counted for the list, before the element at index, or at the end where index is the
 * length. NEAP_OK, NEAP_ENOMEM, or NEAP_EINVAL past the end.
 * refs: none | user code: no | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_list_insert(struct neap_list *list, size_t index, void *object);

/* Takes the element at index out; its reference is the caller's, those behind it move up. NULL past
 * the end.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, past the end */
NEAP_PUBLIC NEAP_NODISCARD void *neap_list_remove(struct neap_list *list, size_t index);

/* A new list of the elements from start up to, not including, stop, both cut to the length.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_list *neap_list_slice(struct neap_list *list, size_t start,
                                                             size_t stop);

/* Calls bool visit(void *element, void *arg) for each element in order, those included that visit
 * itself adds, until it returns false. Returns the calls made.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_list_each(struct neap_list *list, neap_visit_fn *visit, void *arg);

/* Sorts by compare(a, b, arg), negative, 0 or positive as for qsort; equal elements keep their
 * order. compare must not change the list (a panic). NEAP_OK, or NEAP_ENOMEM and the list as it
 * was.
 * refs: none | user code: yes | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_list_sort(struct neap_list *list,
                               int (*compare)(const void *a, const void *b, void *arg), void *arg);

/* Number of elements.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_list_length(const struct neap_list *list);

#ifdef __cplusplus
}
#endif

#endif
