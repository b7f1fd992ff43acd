/* SPDX-License-Identifier: MIT
 *
 * SipHash is J.-P. Aumasson's and D. J. Bernstein's (INDOCRYPT 2012); one round per word and three
 * at the end are what CPython settled on. The key is drawn when the library is loaded. */
#include "runtime/hash.h"

#include <string.h>
#include <sys/random.h>

#include "base/os.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t key0, key1; /* (c) once the library is loaded */

static __attribute__((constructor)) void draw_key(void)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        /* an early boot without entropy: still a key per process */
        random[0] = np_os_now_ns() ^ (uint64_t)(uintptr_t)&random;
        random[1] = np_os_now_ns() * 0x9E3779B97F4A7C15u;
    }
    key0 = random[0];
    key1 = random[1];
}

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void mix(struct state *s)
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
    mix(s);
    s->v0 ^= word;
}

uint64_t np_hash_bytes(const void *bytes, size_t length)
{
    struct state s = {0x736f6d6570736575u ^ key0, 0x646f72616e646f6du ^ key1,
                      0x6c7967656e657261u ^ key0, 0x7465646279746573u ^ key1};
    const unsigned char *at = bytes;
    uint64_t last = (uint64_t)length << 56;
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        absorb(&s, word);
    }
    for (size_t i = 0; i < length; i++)
        last |= (uint64_t)at[i] << (8 * i);
    absorb(&s, last);
    s.v2 ^= 0xff;
    mix(&s);
    mix(&s);
    mix(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
