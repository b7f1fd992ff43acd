/* SPDX-License-Identifier: MIT
 *
 * Candidates in the order of their strongly connected components, sources first: what refers to
 * others comes before them. Validated in that order, each component has lost the references of
 * those before it, and of a long tail behind a small cycle only the cycle has to be validated:
 * counting frees the rest.
 *
 * The slots are read while the program may change those of candidates that live after all: the
 * order of these means nothing, and nothing depends on it but what one cycle finds.
 *
 * Implemented by components.c: Tarjan's algorithm with a stack of its own. Used by proposal.c. */
#ifndef NP_COLLECTOR_COMPONENTS_H
#define NP_COLLECTOR_COMPONENTS_H

#include "collector/proposal.h"

/* Candidate i's word holds i. Orders them and sets NP_PROPOSAL_FIRST in each component's first.
 * poll: false: it is to end. */
enum np_proposal_result np_components_order(struct np_proposal *proposal, bool (*poll)(void));
/* Forgets its memory, which np_proposal_give_back gives back. */
void np_components_drop(void);

#endif
