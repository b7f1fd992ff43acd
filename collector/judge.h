/* SPDX-License-Identifier: MIT
 *
 * The exact half of a concurrent collection: which of a slice of candidates are garbage, in a stop,
 * by their counts and slots as they are then. What it costs follows the slice and not the heap.
 *
 * The argument is the stopped collector's (docs/collector.md, Why no roots) for a smaller set: a
 * candidate whose count is the number of references from other such candidates is held by nobody
 * else. References from all other objects, garbage or not, hold. How the candidates were found
 * plays no part.
 *
 * Implemented by judge.c. Used by concurrent.c, under collect.c's lock. */
#ifndef NP_COLLECTOR_JUDGE_H
#define NP_COLLECTOR_JUDGE_H

#include "collector/garbage.h"

/* The world runs: leaves out of the list what has died, and has ready what the stop will touch.
 * Returns how many are left. */
size_t np_judge_prepare(struct neap_header **candidates, size_t count);
/* The world is stopped: condemns those that are garbage, with their weak references cleared.
 * Returns how many they are. np_side_clear comes after the world has started again. */
size_t np_judge_stopped(struct neap_header **candidates, size_t count,
                        struct np_findings *ret_findings);

#endif
