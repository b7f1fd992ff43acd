/* SPDX-License-Identifier: MIT
 *
 * Changes of owner that the program asks for: handing over, immortalizing, and taking the bias
 * away. The public half is <neap/discipline.h>.
 *
 * Implemented by owner.c. */
#ifndef NP_RUNTIME_OWNER_H
#define NP_RUNTIME_OWNER_H

#include "runtime/header.h"

/* Takes the bias away: afterwards the object has no owner and is MERGED, or is immortal or
 * deferred. The caller holds a reference. Handshakes with a running owner: a stop point. */
void np_unbias(struct neap_header *header);

/* The same when the caller owns the object (or is its owner's claimer). */
void np_unbias_own(struct neap_header *header);

#endif
