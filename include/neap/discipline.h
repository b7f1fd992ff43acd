/* SPDX-License-Identifier: MIT
 *
 * neap: other ways to count, for objects that biased counting does not suit.
 *
 * Handing over, for producers and consumers: ownership moves with the reference, so both threads
 * count without atomic operations.
 *
 *     neap_hand_over_graph(message, 16);    the producer, before it puts it into a queue
 *     neap_adopt(message);                  the consumer, after it has taken it from there
 *
 * Deferred, for hot objects that all threads retain and release: each thread counts in a table of
 * its own, and the object dies when the world is stopped and the sum is zero. Immortal, for
 * constants.
 *
 * Not needed for correctness: an object may be passed and shared without any of this.
 */
#ifndef NEAP_DISCIPLINE_H
#define NEAP_DISCIPLINE_H

#include <neap/object.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller is about to give its reference to another thread. If it is the only one, the taker
 * becomes owner with its first retain, release or neap_adopt. If the caller owns a shared object,
 * the object stays without owner from here on. Else nothing. The caller does not use the object
 * after giving it.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_hand_over(void *object);

/* The same for the object and what it alone holds, directly and indirectly, at most limit objects.
 * Returns how many were handed over.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_hand_over_graph(void *object, size_t limit);

/* The taker becomes owner of an object that was handed over; false when it was not.
 * refs: none | user code: no | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_adopt(void *object);

/* The object never dies; retain and release of it cost nothing and write nothing. What its slots
 * hold lives by ordinary counts and may change. An object owned by a running thread takes a
 * handshake with it.
 * refs: none | user code: no | point: stop | threads: attached | fails: no */
NEAP_PUBLIC void neap_immortalize(void *object);

/* The object is counted per thread from here on and dies when a stop finds the sum zero: at the
 * next collection after its last release. Returns NEAP_OK, also when it is deferred or immortal
 * already, or NEAP_ENOMEM and leaves it as it was. An object owned by a running thread takes a
 * handshake with it.
 * refs: none | user code: no | point: stop | threads: attached | fails: status */
NEAP_PUBLIC int neap_defer(void *object);

/* Back to an ordinary count, without owner, from the next stop on.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_undefer(void *object);

/* How often threads lost a race for the shared count of an object of this type: where it is high,
 * neap_defer, neap_immortalize or neap_hand_over helps.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC uint64_t neap_type_contention(const struct neap_type *type);

#ifdef __cplusplus
}
#endif

#endif
