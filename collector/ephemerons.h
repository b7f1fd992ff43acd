/* SPDX-License-Identifier: MIT
 *
 * Weak maps while tracing. A value is reached when its map and its key are, whichever is marked
 * last: both ends are asked when they are visited, each finds the other by the watch table, and so
 * every entry is looked at twice, however long the chains are that entries form. What another
 * worker marks meanwhile is not missed: MM-ephemeron-1.
 *
 * What is known to live before counting is another matter: an object goes on there by what it
 * refers to, and what a weak map refers to depends on its keys, which may live by their counts. So
 * weak maps are left to counting, and are members.
 *
 * Implemented by ephemerons.c. Used by scan.c and trace.c while the world is stopped, by any
 * worker. */
#ifndef NP_COLLECTOR_EPHEMERONS_H
#define NP_COLLECTOR_EPHEMERONS_H

#include "collector/side.h"
#include "runtime/ephemeron.h"
#include "runtime/type.h"

static inline bool np_is_weak_map(const struct neap_header *header)
{
    return (np_type_at(header->type)->flags & NP_TYPE_EPHEMERONS) != 0;
}

/* The object is marked. Calls visitor->slot for each value that is reached through an entry of it,
 * as map or as key; all: whatever has become of the other end. True: it is a weak map, whose values
 * are found here and nowhere else. */
bool np_ephemerons_visit_stopped(const struct np_side_view *view, struct neap_header *header,
                                 struct neap_visitor *visitor, bool all);

#endif
