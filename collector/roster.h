/* SPDX-License-Identifier: MIT
 *
 * Large objects in a concurrent collection (proposal.h). They are not in the region, so their words
 * do not follow from their addresses: a roster is made of those that a stop has seen, with a word
 * each, and a table by address.
 *
 * Why reading one never faults: an address leads to a word only if the roster has it, and what the
 * roster has is held back when it dies (hold.h).
 *
 * Concurrency: the collector's thread; its partner too reads the table and writes words (reach.h).
 * The list is walked while the world runs.
 *
 * Implemented by roster.c. Used by proposal.c and reach.c.
 */
#ifndef NP_COLLECTOR_ROSTER_H
#define NP_COLLECTOR_ROSTER_H

#include "runtime/header.h"

struct np_roster {
    struct neap_header **headers; /* tracked large objects above generation 0 */
    uint32_t *words;              /* of each */
    uint32_t *table;              /* by address: number + 1, or 0 */
    uint32_t count, limit;        /* limit: of the memory */
    uint32_t mask;                /* of the table */
};
extern struct np_roster np_roster;

/* Blocks are held back. Polls; what it has made when it is to end is of no use. False: no memory.
 */
bool np_roster_make(void);
/* The memory is np_proposal_give_back's. In any state. */
void np_roster_drop(void);

uint32_t *np_roster_find(const struct neap_header *header);

/* The word of a large object, or NULL: the roster does not have it. Any address will do. */
static inline uint32_t *np_roster_word(const struct neap_header *header)
{
    return np_likely(np_roster.count == 0) ? NULL : np_roster_find(header);
}

#endif
