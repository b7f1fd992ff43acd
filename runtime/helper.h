/* SPDX-License-Identifier: MIT
 *
 * The helper: one background thread for what nobody's call does in time. It gives idle memory back,
 * runs pending user code that nobody has taken for finalize_ms, and ends grace periods whose thread
 * has left. It starts when there is something to wait for and blocks all signals; with the option
 * helper=0 the program calls neap_tick instead.
 *
 * Implemented by helper.c. */
#ifndef NP_RUNTIME_HELPER_H
#define NP_RUNTIME_HELPER_H

#include <stdbool.h>

/* There is something to do later: starts or wakes the helper. Any thread, not in a stopped world.
 */
void np_helper_wake(void);

/* It runs or will at the next wake; a hint. */
bool np_helper_may_run(void);

/* Ends and joins it, and keeps it from starting until np_helper_allow, once for each call; at the
 * start it is forbidden once. The caller of the first is attached. */
void np_helper_forbid(void);
void np_helper_allow(void);

/* In a forked child: there is no helper any more. */
void np_helper_forked(void);

#endif
