/* SPDX-License-Identifier: MIT
 *
 * Which objects do threads fight over? A swap on `shared` that fails is a fight: it is counted per
 * type, and with the option auto_defer an object that one thread loses often in a row becomes
 * deferred at that thread's next safepoint.
 *
 * Implemented by contend.c. */
#ifndef NP_RUNTIME_CONTEND_H
#define NP_RUNTIME_CONTEND_H

#include "runtime/local.h"

/* The calling thread lost a swap on the header's `shared`; it holds a reference. */
void np_contend_lost(struct neap_header *header);

/* At a safepoint, where a handshake may be waited for: defers what np_contend_lost chose. */
void np_contend_serve(struct np_local *local);

#endif
