/* SPDX-License-Identifier: MIT
 *
 * The garbage list: objects found unreachable and not freed (Python's gc.garbage).
 *
 * Implemented by saved.c. Attached threads, where user code may run. */
#ifndef NP_COLLECTOR_SAVED_H
#define NP_COLLECTOR_SAVED_H

#include <stdbool.h>

#include "runtime/header.h"

/* Puts the living object on the list. Without memory it is not listed: it will be found again. */
void np_saved_add(struct neap_header *header);

/* Shutdown: drops the list. */
void np_saved_drop(void);

#endif
