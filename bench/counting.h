/* SPDX-License-Identifier: MIT
 *
 * What the parts of the counting benchmark register (counting.c tells what it asks). */
#ifndef BENCH_COUNTING_H
#define BENCH_COUNTING_H

#ifdef __cplusplus
extern "C" {
#endif

void counting_add_plain(void);
void counting_add_plain_call(void); /* behind the calls of a shared library */
void counting_add_atomic(void);
void counting_add_shared_ptr(void);
void counting_add_neap(void);          /* function calls, the default of <neap/object.h> */
void counting_add_neap_inline(void);   /* the same source with NEAP_INLINE */
void counting_add_neap_deferred(void); /* the same, and the objects deferred */

#ifdef __cplusplus
}
#endif

#endif
