/* SPDX-License-Identifier: MIT
 *
 * What members that are held reach, beside the running program: the trace of a concurrent
 * collection. In the order of memory while the front is wide (as in scan.h: words are read line by
 * line, objects pool by pool, so that a random graph costs few cache misses), depth first where it
 * is narrow.
 *
 * Concurrency: the collector's thread, and for passes over many rows its partner (partner.h), which
 * rests again when a call returns. Objects may die and slots change meanwhile: what is
 * read is a hint (proposal.h).
 *
 * Implemented by reach.c. Used by proposal.c.
 */
#ifndef NP_COLLECTOR_REACH_H
#define NP_COLLECTOR_REACH_H

#include "collector/proposal.h"

/* Memory for the passes over so many members in so many rows. False: refused. */
bool np_reach_begin(uint64_t members, uint32_t rows);
/* Forgets that memory. */
void np_reach_drop(void);

/* Marks the members whose count is not used up, and what they reach. False: it is to end. */
bool np_reach_from_held(uint32_t rows);

/* Marks the candidate, and the candidates that it reaches. False: it is to end. */
bool np_reach_from_candidate(struct neap_header *header);

#endif
