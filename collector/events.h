/* SPDX-License-Identifier: MIT
 *
 * Who wants to know of collections: the program's callbacks, and what neap_gc_set_debug asked to be
 * printed.
 *
 * Implemented by events.c. Any thread; callbacks run without a lock, at quiescent points. */
#ifndef NP_COLLECTOR_EVENTS_H
#define NP_COLLECTOR_EVENTS_H

#include "neap/gc.h"
#include "runtime/header.h"

/* Calls every callback with the event. The caller is at a quiescent point. */
void np_events_call(const struct neap_gc_event *event);
/* The same for a whole collection, start and end, as a pending item: from where user code may not
 * run. Without memory for the item nobody is told. */
void np_events_call_later(const struct neap_gc_event *end);

/* Lines on standard error, as the debug flags ask. */
void np_events_print(const struct neap_gc_event *event);
/* One component that did not fit the pause target was judged in one stop. */
void np_events_print_giant(size_t objects, uint64_t stopped_ns);
void np_events_print_object(const struct neap_header *header, bool collectable);

/* Around a fork: no thread is in the middle of adding or removing a callback. */
void np_events_lock(void);
void np_events_unlock(void);

void np_events_fini(void); /* forgets all callbacks */

#endif
