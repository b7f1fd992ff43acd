/* SPDX-License-Identifier: MIT
 *
 * Who may ask, and in which form the answer is wanted: what a request's headers say.
 *
 * Implemented by access.c, used by monitor.c and pages.c. No state. */
#ifndef NP_MONITOR_ACCESS_H
#define NP_MONITOR_ACCESS_H

#include <stdbool.h>

/* "Bearer TOKEN" with the right token, compared in a time that does not tell how much of it is
 * right. */
bool np_access_token_is(const char *authorization, const char *token);

/* A browser sends the name it looked up. Only a page of this machine's, or one that was reached by
 * a number, may read: another site's name that leads here (DNS rebinding) may not. */
bool np_access_host_is_local(const char *host);

/* Does an Accept header want OpenMetrics rather than the older text? */
bool np_access_wants_open_metrics(const char *accept);

#endif
