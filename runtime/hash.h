/* SPDX-License-Identifier: MIT
 *
 * The hash of byte strings: SipHash-1-3 under a random key of this process, so that whoever sends
 * keys cannot choose ones that collide.
 *
 * Implemented by hash.c. Any thread. */
#ifndef NP_RUNTIME_HASH_H
#define NP_RUNTIME_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t np_hash_bytes(const void *bytes, size_t length);

/* Spreads the bits of an address or a number. */
static inline uint64_t np_hash_mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0x9E3779B97F4A7C15u; /* Fibonacci hashing: the high bits are mixed */
    return value ^ value >> 29;
}

#endif
