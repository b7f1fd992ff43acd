/* SPDX-License-Identifier: MIT
 *
 * neap: a lock for every object, without a byte in it. What is locked stands in a table for as long
 * as it is locked.
 *
 *     neap_lock(account);
 *     account->balance += amount;
 *     neap_unlock(account);
 *
 * For data that is rarely fought over and not worth a mutex of its own. Uncontended it costs about
 * two pthread mutex pairs. Not recursive; a thread that waits is in a blocking region, so it delays
 * nobody's stop. The lock keeps no reference: the object must outlive it.
 *
 * After fork the child finds what the parent's other threads had locked locked for ever.
 */
#ifndef NEAP_LOCK_H
#define NEAP_LOCK_H

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Locks the object (any address but NULL). Panics if this thread holds it already, and when
 * thousands are locked at once and there is no memory to note one more: there is room for hundreds
 * without any.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_lock(void *object);

/* Panics if this thread does not hold it.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_unlock(void *object);

/* Locks both, in an order of its own: threads that lock pairs by this never wait for each other in
 * a circle. The same object twice is locked once.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_lock2(void *a, void *b);

/* Inverse of neap_lock2.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_unlock2(void *a, void *b);

#ifdef __cplusplus
}
#endif

#endif
