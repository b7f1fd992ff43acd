/* SPDX-License-Identifier: MIT
 *
 * The least that counting by calls of a shared library can cost: functions that do nothing but the
 * plain count (counting_plain.c with COUNT_BY_CALL). */
#include "bench/counting_call.h"

void counting_call_up(unsigned *count)
{
    ++*count;
}

bool counting_call_down_last(unsigned *count)
{
    return --*count == 0;
}
