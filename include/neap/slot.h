/* SPDX-License-Identifier: MIT
 *
 * neap: slots, the members of objects that hold references. A slot is named by its address; its
 * static type is kept.
 *
 * Plain slots are for data that one thread owns or a lock guards:
 *
 *     neap_set(&list->head, node);          retains node, releases the old head
 *     neap_give(&node->next, rest);         takes over your reference to rest
 *     struct node *first = neap_get(&list->head);      a reference of your own
 *     struct node *only = neap_take(&list->head);      the slot's reference; the slot is NULL
 *     neap_clear(&list->head);
 *
 * Atomic slots (NEAP_ATOMIC in the type) are for what several threads read and write at once:
 * neap_load, neap_store, neap_exchange, neap_compare_exchange, lock-free and linearizable, from the
 * first value on.
 *
 * Not for mixing: one slot is of one kind for its whole life. Reading object->member in C is a
 * borrow, valid while the slot keeps its value.
 */
#ifndef NEAP_SLOT_H
#define NEAP_SLOT_H

#include <neap/object.h>

#ifdef __cplusplus
extern "C" {
#endif

/* neap_get(&o->f): the reference in the slot, counted for the caller; NULL for an empty slot.
 * refs: new | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC NEAP_NODISCARD void *neap_slot_get(void *slot);

/* neap_set(&o->f, v): counts v (NULL is fine) for the slot, releases the old value.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_slot_set(void *slot, const void *value);

/* neap_give(&o->f, v): the caller's reference to v becomes the slot's; releases the old value.
 * refs: steals value | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_slot_give(void *slot, const void *value);

/* neap_take(&o->f): the slot's reference becomes the caller's; the slot becomes NULL.
 * refs: new | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC NEAP_NODISCARD void *neap_slot_take(void *slot);

/* neap_load(&o->f): as neap_get, beside writers. Lock-free.
 * refs: new | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC NEAP_NODISCARD void *neap_slot_load(void *slot);

/* neap_store(&o->f, v): as neap_set, beside readers and writers. Lock-free.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_slot_store(void *slot, const void *value);

/* neap_exchange(&o->f, v): counts v for the slot and returns the old value's reference.
 * refs: new | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC NEAP_NODISCARD void *neap_slot_exchange(void *slot, const void *value);

/* neap_compare_exchange(&o->f, expected, desired): if the slot holds expected, to which the caller
 * holds a reference (or NULL), it takes a count of desired, and the slot's count of expected is
 * released. Returns whether it did.
 * refs: none | user code: yes | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_slot_compare_exchange(void *slot, const void *expected, const void *desired);

/* neap_peek(&o->f): the object in the slot without counting it, readable until this thread's next
 * quiescent point or call marked "user code: yes". For NEAP_PEEKABLE types; through it only
 * immutable and atomic slots are read. neap_try_retain keeps it.
 * refs: borrowed until quiescent | user code: no | point: none | threads: attached | fails: no */
static inline void *neap_slot_peek(void *slot)
{
    /* acquire: the object as it was when stored, [MM-slot-1] */
    return __atomic_load_n((void **)slot, __ATOMIC_ACQUIRE);
}

/* neap_try_retain(p): a reference of the caller's own to a peeked object; NULL if it has died.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, dead */
NEAP_PUBLIC NEAP_NODISCARD void *neap_object_try_retain(const void *object);

#define NEAP_SLOT_VALUE_(slot, call) ((__typeof__(*(slot)))(call))
/* A value whose type does not fit the slot's is refused at compile time. */
#define NEAP_SLOT_TYPED_(slot, value) (1 ? (value) : *(slot))

#define neap_get(slot)          NEAP_SLOT_VALUE_(slot, neap_slot_get(slot))
#define neap_set(slot, value)   neap_slot_set((slot), NEAP_SLOT_TYPED_(slot, value))
#define neap_give(slot, value)  neap_slot_give((slot), NEAP_SLOT_TYPED_(slot, value))
#define neap_take(slot)         NEAP_SLOT_VALUE_(slot, neap_slot_take(slot))
#define neap_load(slot)         NEAP_SLOT_VALUE_(slot, neap_slot_load(slot))
#define neap_store(slot, value) neap_slot_store((slot), NEAP_SLOT_TYPED_(slot, value))
#define neap_peek(slot)         NEAP_SLOT_VALUE_(slot, neap_slot_peek(slot))
#define neap_try_retain(object) ((__typeof__(object))neap_object_try_retain(object))
/* neap_clear(&o->f): the slot becomes NULL; what it held is released.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
#define neap_clear(slot) neap_slot_give((slot), NULL)
#define neap_exchange(slot, value) \
    NEAP_SLOT_VALUE_(slot, neap_slot_exchange((slot), NEAP_SLOT_TYPED_(slot, value)))
#define neap_compare_exchange(slot, expected, desired) \
    neap_slot_compare_exchange((slot), NEAP_SLOT_TYPED_(slot, expected), \
                               NEAP_SLOT_TYPED_(slot, desired))

#ifdef __cplusplus
}
#endif

#endif
