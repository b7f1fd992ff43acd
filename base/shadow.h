/* SPDX-License-Identifier: MIT
 *
 * What AddressSanitizer and Valgrind are told about memory that we hand out ourselves. Nothing is
 * compiled where neither is built for (-Db_sanitize=address, -Dvalgrind=enabled). Addresses and
 * sizes are multiples of 8. Any thread; no locks.
 */
#ifndef NP_BASE_SHADOW_H
#define NP_BASE_SHADOW_H

#include "base/compiler.h"

#ifdef NP_ASAN
#    include <sanitizer/asan_interface.h>
#endif
#ifdef NP_VALGRIND
#    include <valgrind/memcheck.h>
#endif

/* Nobody may touch it. */
static inline void np_shadow_hide(const void *address, size_t bytes)
{
    (void)address, (void)bytes;
#ifdef NP_ASAN
    ASAN_POISON_MEMORY_REGION(address, bytes);
#endif
#ifdef NP_VALGRIND
    (void)VALGRIND_MAKE_MEM_NOACCESS(address, bytes);
#endif
}

/* It may be touched, and has a value. */
static inline void np_shadow_show(const void *address, size_t bytes)
{
    (void)address, (void)bytes;
#ifdef NP_ASAN
    ASAN_UNPOISON_MEMORY_REGION(address, bytes);
#endif
#ifdef NP_VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(address, bytes);
#endif
}

/* Memory from which blocks are handed out. */
static inline void np_shadow_region(const void *region)
{
    (void)region;
#ifdef NP_VALGRIND
    VALGRIND_CREATE_MEMPOOL(region, 0, 0);
#endif
}

/* The program gets a block of the region; Valgrind remembers from where. */
static inline void np_shadow_alloc(const void *region, const void *block, size_t bytes)
{
    (void)region;
    np_shadow_show(block, bytes);
#ifdef NP_VALGRIND
    VALGRIND_MEMPOOL_ALLOC(region, block, bytes);
#endif
}

/* It gave it back; Valgrind remembers from where that too. */
static inline void np_shadow_free(const void *region, const void *block, size_t bytes)
{
    (void)region;
#ifdef NP_VALGRIND
    VALGRIND_MEMPOOL_FREE(region, block);
#endif
    np_shadow_hide(block, bytes);
}

#endif
