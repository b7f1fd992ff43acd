/* SPDX-License-Identifier: MIT
 *
 * The universe: the objects that one collection examines, those of generations 0 to g.
 *
 * Nothing is recorded when an object is made. A pool is put on its heap's young list when it
 * becomes an allocation target (alloc's slow path), so the young objects are found by looking at
 * young pools only; pools that hold middle objects are on a list of the collector's; an old
 * collection looks at every pool. References from objects outside the universe count as references
 * from outside: there is no write barrier.
 *
 * An object that is looked at goes up one generation, tracked or not: the generation in its header
 * tells the free path that the block returns to circulation without passing a refill, so that its
 * pool becomes young again (np_pool_note_reuse). A pool stays
 * young while blocks of it are on their way (in a magazine or a chain), since those come back as
 * young objects unannounced.
 *
 * Large objects are on one list, newest first; np_large.mark is the generation, so a young
 * collection walks the list down to the first old one.
 *
 * Concurrency: stopped world. Unattached threads may allocate untyped blocks meanwhile: pool kinds
 * and the large list are read as alloc/ prescribes.
 *
 * Implemented by universe.c. Used by collect.c.
 */
#ifndef NP_COLLECTOR_UNIVERSE_H
#define NP_COLLECTOR_UNIVERSE_H

#include <stddef.h>

#include "collector/side.h"

/* In np_pool.generations, beside a bit per generation: may hold frozen objects. A pool with this
 * bit alone is not looked at. */
enum { NP_POOL_FROZEN = 8 };

struct np_universe {
    int generation;             /* examined: 0 .. generation */
    struct neap_header **large; /* large objects of these generations, in reserved memory */
    size_t large_count;
};
extern struct np_universe np_universe; /* (s) */

/* Is the pool covered, and are its blocks objects? */
static inline bool np_universe_has(uint32_t pool_index)
{
    /* relaxed: object pools change kind only by threads that are stopped */
    return np_side.rows[pool_index] != 0 &&
           np_load_relaxed(&np_region.pools[pool_index].kind) == NP_POOL_OBJECTS;
}

int np_universe_init(void); /* 0, or -1 out of address space */
void np_universe_fini(void);

/* Covers (side.h) all pools and large objects that may hold objects of generations 0 .. generation.
 */
void np_universe_gather_stopped(int generation);

/* After counting has given objects their generations and pools their bits: renews the lists of
 * young and middle pools. Clears the words of large objects. */
void np_universe_promote_stopped(void);

#endif
