/* SPDX-License-Identifier: MIT
 *
 * std::weak_ptr's part of the weak benchmark (weak.c). */
#ifndef BENCH_WEAK_PTR_H
#define BENCH_WEAK_PTR_H

#ifdef __cplusplus
extern "C" {
#endif

void weak_ptr_add(void);

#ifdef __cplusplus
}
#endif

#endif
