/* SPDX-License-Identifier: MIT
 *
 * neap: weak references. A weak reference does not keep its object alive and says so once it is
 * gone; for caches, observers and back references. Retain and release of the object cost the same
 * with and without. A weak reference is itself an object: counted, released by neap_release, fit
 * for a slot.
 *
 *     struct neap_weak *watch = neap_weak_new(page);
 *     struct page *seen = neap_weak_get(watch);      a reference of your own
 *     neap_release(seen);
 *     neap_release(page);                            the last one
 *     seen = neap_weak_get(watch);                   NULL from now on
 */
#ifndef NEAP_WEAK_H
#define NEAP_WEAK_H

#include <neap/object.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_weak;
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_weak;

/* A weak reference to object.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_weak *neap_weak_new(const void *object);

/* The same with a callback, called once when the object dies while the weak reference lives; where
 * the object's finalizer would run, after it can no longer be reached.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC NEAP_NODISCARD struct neap_weak *
neap_weak_new_with(const void *object, void (*callback)(struct neap_weak *weak, void *arg),
                   void *arg);

/* A new reference to the object, or NULL when it is dead or dying. Lock-free.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, dead */
NEAP_PUBLIC NEAP_NODISCARD void *neap_weak_get(struct neap_weak *weak);

/* Does weak refer to object, alive? Without counting.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC bool neap_weak_is(const struct neap_weak *weak, const void *object);

/* Calls function(arg) once after object has been finalized and disposed of and did not come back,
 * where its disposal runs. The cleanup holds nothing of the object; arg should not hold it either,
 * or it never dies. Several may be added. Returns NEAP_OK, NEAP_EINVAL for NULL, NEAP_ENOMEM.
 * refs: none | user code: no | point: none | threads: attached | fails: status */
NEAP_PUBLIC int neap_cleanup_add(const void *object, void (*function)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
