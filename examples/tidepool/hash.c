/* SPDX-License-Identifier: MIT
 *
 * tidepool: the hash of keys (see hash.h). SipHash is J.-P. Aumasson's and D. J. Bernstein's; one
 * round per word and three at the end are what hash tables elsewhere settled on. */
#include "hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t key0, key1; /* (c) after hash_seed */

void hash_seed(void)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        struct timespec now; /* an early boot without entropy: still a key per process */
        clock_gettime(CLOCK_MONOTONIC, &now);
        random[0] = (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)&now;
        random[1] = (uint64_t)now.tv_sec * 0x9E3779B97F4A7C15u;
    }
    key0 = random[0];
    key1 = random[1];
}

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void round_once(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    round_once(s);
    s->v0 ^= word;
}

uint64_t hash_text(struct slice text)
{
    struct state s = {0x736f6d6570736575u ^ key0, 0x646f72616e646f6du ^ key1,
                      0x6c7967656e657261u ^ key0, 0x7465646279746573u ^ key1};
    size_t at = 0;
    for (; text.length - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, text.bytes + at, 8);
        absorb(&s, word);
    }
    uint64_t last = (uint64_t)text.length << 56;
    for (size_t i = 0; at + i < text.length; i++)
        last |= (uint64_t)(unsigned char)text.bytes[at + i] << (8 * i);
    absorb(&s, last);
    s.v2 ^= 0xff;
    round_once(&s);
    round_once(&s);
    round_once(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
