/* SPDX-License-Identifier: MIT
 *
 * The metrics in either format; the public face is <neap/stats.h>.
 *
 * Implemented by metrics.c. */
#ifndef NP_OBSERVE_METRICS_H
#define NP_OBSERVE_METRICS_H

#include <stdbool.h>
#include <stdio.h>

int np_metrics_to(FILE *out, bool open_metrics);

#endif
