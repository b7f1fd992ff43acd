/* SPDX-License-Identifier: MIT
 *
 * tidepool: the commands that took longest to run, the last 128 of them.
 *
 * A command's time is measured by the coarse clock, which costs a few nanoseconds and steps every
 * few milliseconds: right for a threshold of 10 ms. A lower threshold takes the fine clock.
 *
 * Concurrency: a lock, taken only for commands that were slow. */
#ifndef TIDEPOOL_SLOWLOG_H
#define TIDEPOOL_SLOWLOG_H

#include <stdint.h>

struct call;

/* Microseconds from which on a command is slow; negative: none is. */
void slowlog_set_threshold(int64_t us);
int64_t slowlog_threshold(void);

/* Now, by the clock that the threshold asks for, in microseconds. */
int64_t slowlog_now_us(void);

/* Notes the call if it was slow. Its arguments are copied, shortened. */
void slowlog_note(const struct call *call, int64_t started_us);

/* Frees what was noted. */
void slowlog_fini(void);

#endif
