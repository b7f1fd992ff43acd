/* SPDX-License-Identifier: MIT
 *
 * What is alive at shutdown. The public half is in <neap/runtime.h>.
 *
 * Implemented by leaks.c. */
#ifndef NP_OBSERVE_LEAKS_H
#define NP_OBSERVE_LEAKS_H

#include <stddef.h>

#include "neap/runtime.h"

/* Counts the living objects, immortal ones and the runtime's own left out. When ret_leaks is not
 * NULL and there are any, a report is made (NULL without memory). The caller is the only attached
 * thread. */
size_t np_leaks_count(struct neap_leaks **ret_leaks);

#endif
