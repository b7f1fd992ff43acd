/* SPDX-License-Identifier: MIT
 *
 * What the parts of the slots benchmark register (slots.c tells what it asks). */
#ifndef BENCH_SLOTS_H
#define BENCH_SLOTS_H

#ifdef __cplusplus
extern "C" {
#endif

void slots_add_plain(void);
void slots_add_neap(void);
void slots_add_neap_inline(void);
void slots_add_neap_peek(void);
void slots_add_qsbr(void);
void slots_add_atomic_shared_ptr(void);
void slots_add_mutex_shared_ptr(void);

#ifdef __cplusplus
}
#endif

#endif
