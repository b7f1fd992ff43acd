/* SPDX-License-Identifier: MIT
 *
 * Counting: for every object of the universe, its reference count minus the references to it that
 * are found in objects of the universe. What is left over comes from outside: from variables of the
 * program, from other generations, from anything at all.
 *
 * Implemented by count.c. Used by collect.c while the world is stopped.
 */
#ifndef NP_COLLECTOR_COUNT_H
#define NP_COLLECTOR_COUNT_H

#include "collector/universe.h"

struct np_tally {
    uint64_t members;  /* tracked objects of the universe */
    uint64_t promoted; /* of these, moved into generation 2 */
    uint64_t alive;    /* all objects seen in its pools, of any generation */
    uint64_t known;    /* of these, passed over: reachable from immortal objects */
    bool unusual; /* some member may need the program's code, a grace period, or may be stuck */
};

/* Reserves what several workers need; without it one counts. Not while the world is stopped. */
void np_count_prepare(unsigned workers);
void np_count_fini(void);

/* Sets the side words of all members, moves every object of the universe's generations up by one,
 * tracked or not, and gives every pool its new generation bits. */
void np_count_stopped(struct np_tally *ret_tally);
/* Gives back what several workers used. The world may run. */
void np_count_clear(void);

/* Count of an object as its header says it in a stopped world; false: immortal, deferred or stuck,
 * so the count says nothing and the object is held from outside. */
bool np_count_in_header(const struct neap_header *header, uint64_t *ret_count);

/* Does the object's death need the program's code, or a second look after a peek grace period? */
bool np_count_needs_user(const struct neap_header *header, const struct neap_type *type);

/* Can its visit hand out slots that cannot be cleared? */
static inline bool np_count_may_be_stuck(const struct neap_type *type)
{
    return type->visit != NULL && type->clear == NULL && !(type->flags & NP_TYPE_INTERNAL);
}

#endif
