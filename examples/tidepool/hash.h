/* SPDX-License-Identifier: MIT
 *
 * tidepool: the hash of keys, SipHash-1-3 under a random key of this process, so that a client
 * cannot choose keys that fall into one bucket.
 *
 * Concurrency: hash_seed once, before the threads start; then pure. */
#ifndef TIDEPOOL_HASH_H
#define TIDEPOOL_HASH_H

#include <stdint.h>

#include "text.h"

/* Draws the process's key. */
void hash_seed(void);

uint64_t hash_text(struct slice text);

#endif
