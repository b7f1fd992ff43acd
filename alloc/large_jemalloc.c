/* SPDX-License-Identifier: MIT
 *
 * Large blocks from an arena of jemalloc's. The jemalloc inside libneap is one object file in which
 * only the five functions below are visible, under our names (alloc/jemalloc.sh): the host's malloc
 * stays the host's, and what we call malloc elsewhere is the host's too.
 *
 * The arena is ours alone, so no other user of that jemalloc can exist. Thread caches are off: the
 * blocks are large, the list of all blocks has a lock anyway, and a cache would hide memory of
 * threads that sleep. */
#include "alloc/large_backend.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/options.h"

void *np_je_mallocx(size_t size, int flags);
void *np_je_rallocx(void *block, size_t size, int flags);
void np_je_sdallocx(void *block, size_t size, int flags);
int np_je_mallctl(const char *name, void *old_value, size_t *old_bytes, void *new_value,
                  size_t new_bytes);

/* jemalloc's flag encoding, part of its documented interface (MALLOCX_* in jemalloc.h). */
#define FLAG_ZERO         0x40
#define FLAG_NO_TCACHE    (1 << 8)
#define FLAG_ARENA(index) ((int)(((unsigned)(index) + 1) << 20))

static unsigned arena; /* (c) */

static int flags_for(size_t alignment)
{
    return __builtin_ctzll(alignment) | FLAG_NO_TCACHE;
}

bool np_backend_init(void)
{
    size_t bytes = sizeof arena;
    if (np_je_mallctl("arenas.create", &arena, &bytes, NULL, 0) != 0)
        return false;
    ssize_t decay_ms = (ssize_t)np_options.decay_ms, none = 0;
    char name[64];
    snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", arena);
    (void)np_je_mallctl(name, NULL, NULL, &decay_ms, sizeof decay_ms);
    snprintf(name, sizeof name, "arena.%u.muzzy_decay_ms", arena);
    (void)np_je_mallctl(name, NULL, NULL, &none, sizeof none);
    return true;
}

void *np_backend_new(size_t bytes, size_t alignment, bool zero)
{
    return np_je_mallocx(bytes, flags_for(alignment) | FLAG_ARENA(arena) | (zero ? FLAG_ZERO : 0));
}

void np_backend_free(void *base, size_t bytes, size_t alignment)
{
    np_je_sdallocx(base, bytes, flags_for(alignment));
}

void *np_backend_resize(void *base, size_t old_bytes, size_t bytes, size_t alignment)
{
    (void)old_bytes;
    return np_je_rallocx(base, bytes, flags_for(alignment) | FLAG_ARENA(arena));
}

static void control(const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "arena.%u.%s", arena, what);
    (void)np_je_mallctl(name, NULL, NULL, NULL, 0);
}

void np_backend_trim(void)
{
    control("purge");
}

void np_backend_decay(void)
{
    control("decay");
}

/* jemalloc registers handlers of its own when it is first asked for anything. What is registered
 * last runs first before a fork: if that were jemalloc, it would have its locks while our handlers
 * wait for the world to stop, and a thread that waits for one of these locks never would. */
void np_backend_register(void)
{
    const char *version;
    size_t bytes = sizeof version;
    (void)np_je_mallctl("version", &version, &bytes, NULL, 0);
}

void np_backend_before_fork(void)
{
}

void np_backend_after_fork(void)
{
}
