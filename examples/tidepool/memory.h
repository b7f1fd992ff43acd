/* SPDX-License-Identifier: MIT
 *
 * tidepool: --maxmemory. Before a command that may add data, its loop makes room: while the data is
 * over the limit, the least recently used entries go, stripe after stripe. Neap's own figures say
 * how much there is; reading them costs microseconds, so a loop reads them once per so many bytes
 * that its clients have sent.
 *
 * Concurrency: any loop's thread. */
#ifndef TIDEPOOL_MEMORY_H
#define TIDEPOOL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* 0: no limit. */
void memory_set_limit(uint64_t bytes);
uint64_t memory_limit(void);

/* Objects and untyped blocks, as neap counts them now. */
uint64_t memory_used(void);

/* False when the data is over the limit and nothing is left to drop. No lock is held. */
bool memory_make_room(struct loop *loop, uint64_t request_bytes);

/* Entries dropped, ever. */
uint64_t memory_evicted(void);

#endif
