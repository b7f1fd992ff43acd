/* SPDX-License-Identifier: MIT
 *
 * Plain counts behind the calls of a shared library of their own. */
#ifndef BENCH_COUNTING_CALL_H
#define BENCH_COUNTING_CALL_H

#include <stdbool.h>

__attribute__((visibility("default"))) void counting_call_up(unsigned *count);
__attribute__((visibility("default"))) bool counting_call_down_last(unsigned *count);

#endif
