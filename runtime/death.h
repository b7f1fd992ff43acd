/* SPDX-License-Identifier: MIT
 *
 * Death: from the last reference to the free block, without recursion.
 *
 *   alive --last release--> dying (dead by value, on a death list) --weak references cleared,
 * called back-->
 *     --finalize, once, with a reference of its own--> alive, or dying again
 *     --dispose, children released--> free
 *
 * The outermost release drains the thread's death lists within option release_budget; the rest is
 * taken by the thread's next polls. Objects found dead where user code may not run, and that have
 * some, go to the pending list instead.
 *
 * Implemented by death.c. The caller is attached and RUNNING.
 */
#ifndef NP_RUNTIME_DEATH_H
#define NP_RUNTIME_DEATH_H

#include "alloc/heap.h"
#include "runtime/local.h"

/* The object's count is zero and the caller is the only one who can reach it. Drains when
 * outermost. */
void np_death(struct neap_header *header);

/* The same where no user code may run (loads, merges, stop points): nothing is drained. */
void np_death_quiet(struct neap_header *header);

/* Destroys at most budget objects of the calling thread's death lists (0: all); true when they are
 * empty. */
bool np_death_drain(struct np_local *local, uint64_t budget);

/* The same, at most *budget (here 0 is none), from which it takes what it used. */
bool np_death_drain_within(struct np_local *local, uint64_t *budget);

/* Does nothing of the thread wait for destruction? */
static inline bool np_death_is_empty(const struct np_local *local)
{
    return local->partial == NULL && local->dying[NP_DYING_PLAIN] == NULL &&
           local->dying[NP_DYING_USER] == NULL && local->dying[NP_DYING_PROMPT] == NULL;
}

/* The same for those whose death needs no user code: an allocation's slow path. */
void np_death_drain_plain(struct np_local *local, uint64_t budget);

/* All of the calling thread's dead, `step` at once with a quiescent point after each step:
 * destroyed if that needs no user code, else pending. */
void np_death_settle(struct np_local *local, uint64_t step);

/* Takes over the dead of a claimed slot; the caller has none. with_user: those whose death runs
 * user code too, which is not for others while the slot's thread is in the middle of a destruction.
 */
void np_death_take(struct np_local *from, bool with_user);

/* Destroys one object of the pending list, then what it held, within release_budget. */
void np_death_of_pending(struct neap_header *header);

/* The same for NP_FLAG_BARE, never published. */
static inline void np_object_free_bare(struct neap_header *header)
{
    np_store_relaxed(&header->type, 0); /* relaxed: nobody else can reach it */
    np_heap_give(np_tls.heap, header);
}

/* The block of an object that is disposed of and whose children are released goes back to the
 * allocator. */
void np_object_free(struct neap_header *header);

#endif
