/* SPDX-License-Identifier: MIT
 *
 * The objects row of the allocator benchmark (alloc.c): a 24-byte struct without references, from
 * birth to death. */
#ifndef BENCH_ALLOC_OBJECTS_H
#define BENCH_ALLOC_OBJECTS_H

void alloc_objects_add(void);        /* neap_new and neap_release, calls */
void alloc_objects_add_inline(void); /* the same source with NEAP_INLINE */
void alloc_objects_add_peers(void);  /* calloc and free */

#endif
