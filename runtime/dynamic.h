/* SPDX-License-Identifier: MIT
 *
 * Dynamic objects at shutdown; the public half is <neap/dynamic.h>.
 *
 * Implemented by dynamic.c. */
#ifndef NP_RUNTIME_DYNAMIC_H
#define NP_RUNTIME_DYNAMIC_H

/* Before what is left alive is counted: the shared tables of names, unless an object uses them. */
void np_dynamic_end(void);

#endif
