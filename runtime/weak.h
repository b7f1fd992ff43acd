/* SPDX-License-Identifier: MIT
 *
 * Weak references and cleanups of an object that is dying. The public half is <neap/weak.h>.
 *
 * Implemented by weak.c and cleanup.c. */
#ifndef NP_RUNTIME_WEAK_H
#define NP_RUNTIME_WEAK_H

#include "base/list.h"
#include "runtime/header.h"

/* The object (has-weak) is dead or condemned: every weak reference to it reads NULL from here on;
 * those with callbacks are moved to `callbacks` as pending items, each holding its weak reference.
 */
void np_weak_clear(struct neap_header *header, struct np_list *callbacks);

/* The object (has-weak) has been disposed of and does not come back: its cleanups are moved to
 * `cleanups` as pending items. */
void np_cleanup_take(struct neap_header *header, struct np_list *cleanups);

/* Does the death of the object (has-weak) run a callback or a cleanup? A hint while others make
 * weak references. */
bool np_weak_calls(const struct neap_header *header);

#endif
