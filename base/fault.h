/* SPDX-License-Identifier: MIT
 *
 * Fault injection (options fail_nth, fail_one_in, fail_seed): everything in the library that can
 * run out of something asks here first: blocks, pools and metadata, address space, the C library's
 * memory, threads. Off it costs a relaxed load, on slow paths only.
 *
 * Implemented by fault.c; armed by runtime/boot.c. Any thread. */
#ifndef NP_BASE_FAULT_H
#define NP_BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on the nth question (0: none) is answered by true, and one in one_in (0: none), drawn
 * from seed: the same seed and the same order of questions give the same answers. */
void np_fault_arm(uint64_t nth, uint64_t one_in, uint64_t seed);
void np_fault_disarm(void);
bool np_fault_is_armed(void);

/* True: behave as if there were none left. */
bool np_fault(void);

/* Answers of true since np_fault_arm. */
uint64_t np_fault_count(void);

/* The C library's, which can be made to fail. */
void *np_fault_malloc(size_t bytes);
void *np_fault_calloc(size_t count, size_t bytes);
void *np_fault_realloc(void *memory, size_t bytes);
char *np_fault_strdup(const char *text);

#endif
