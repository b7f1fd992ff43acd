/* SPDX-License-Identifier: MIT
 *
 * Confined collections: a thread frees cycles among its own young objects that no other thread has
 * ever acquired, alone, with nobody stopped and nobody asked.
 *
 * The universe: objects of generation 0, in pools on the thread's young list, whose owner is the
 * thread and whose shared word is 0, of types whose references are plain slots at fixed places and
 * whose death needs no code of the program's. All others are outside; what they refer to is held.
 *
 *   count      counts minus references from members' slots, in words of the thread's own
 *   trace      what is held from outside, and what that reaches, lives; the rest is the candidates
 *   look again every candidate's shared word: all still 0, or those that are not live with what
 *              they reach, and the others are counted anew among themselves
 *   free       as a set
 *
 * Why that is right although other threads run: a candidate's local count cannot change, since its
 * only writer is here. The slots of an object change by other threads' hands only after they have
 * acquired it, from a reference that was outside the candidates; and rule R makes every such taking
 * out, counting up and dropping leave a mark in the shared word of what is taken, before the slot
 * changes (slot.c, [MM-confined-1]). So a reference that this thread saw in a slot in one pass and
 * not in the next has left its mark by the time of the last look.
 *
 * Implemented by confined.c. Used by collect.c: by a running thread at a stop point, on itself.
 */
#ifndef NP_COLLECTOR_CONFINED_H
#define NP_COLLECTOR_CONFINED_H

#include <stdbool.h>
#include <stdint.h>

struct np_heap;

/* Bytes of large objects, net of those freed, after which a heap's thread looks for garbage however
 * few objects it has made. */
enum { NP_CONFINED_LARGE = 256 * 1024 };

/* Collects for the calling thread, whose heap it is and which has made `made` objects since the
 * last call, net of those freed. Does nothing until so many are new that what was looked at in vain
 * last time is worth another look, or, large, the large ones alone are worth it. */
void np_confined_collect(struct np_heap *heap, int64_t made, bool large);

/* Collections that freed something, and the objects they freed, by all threads so far. */
void np_confined_read(uint64_t *ret_collections, uint64_t *ret_freed);

void np_confined_fini(void);

#endif
