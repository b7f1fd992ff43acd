/* SPDX-License-Identifier: MIT
 *
 * The one thread-local block of the library: initial-exec, at most 64 bytes, so that libneap can be
 * dlopened (glibc keeps a small surplus of static TLS) and an access is one %fs-relative load.
 *
 * The public part (the id that the inline fast paths compare with a header's owner) comes first and
 * is declared in <neap/header.h>. The floors hang their own per-thread state here by pointer;
 * boot.c sets the pointers when a thread attaches.
 */
#ifndef NP_BASE_TLS_H
#define NP_BASE_TLS_H

#include "base/check.h"
#include "neap/header.h"

struct np_thread; /* threads/: the registry slot */
struct np_heap;   /* alloc/: the cache of blocks */
struct np_local;  /* runtime/: death list, batches, deferred table */

/* The calling thread's block. All fields: owner thread only. */
#define np_tls neap_thread_local

/* What np_tls.poll points to while np_tls.id is NEAP_OWNER_NOBODY. */
extern struct neap_poll_point np_poll_of_nobody;

/* What np_tls.cache points to then, and always in builds with guards, which look at every block. */
extern struct neap_cache np_cache_of_nobody;

static inline void np_tls_become_nobody(void)
{
    np_tls.id = NEAP_OWNER_NOBODY;
    np_tls.poll = &np_poll_of_nobody;
    np_tls.cache = &np_cache_of_nobody;
}

/* The thread, which has an id, takes blocks from np_tls.heap, if there is one yet. */
static inline void np_tls_open_cache(void)
{
    if (!NP_GUARD && np_tls.heap != NULL)
        np_tls.cache = (struct neap_cache *)(void *)np_tls.heap;
}

#endif
