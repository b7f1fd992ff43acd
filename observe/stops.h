/* SPDX-License-Identifier: MIT
 *
 * The JSON of <neap/stops.h>. Implemented by stops.c, used by stats.c. */
#ifndef NP_OBSERVE_STOPS_H
#define NP_OBSERVE_STOPS_H

#include <stdio.h>

/* Members "stops": an object per cause, and "late_threads", without the braces around them. */
void np_stops_write_json(FILE *out);

#endif
