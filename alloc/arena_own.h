/* SPDX-License-Identifier: MIT
 *
 * What arena.c and decay.c share: the arena's record and its idle pools. Arena lock held unless
 * said otherwise. */
#ifndef NP_ALLOC_ARENA_OWN_H
#define NP_ALLOC_ARENA_OWN_H

#include "alloc/arena.h"

struct np_arena {
    uint64_t resident[NP_ARENA_WORDS]; /* (L) free, ready, with memory */
    uint64_t returned[NP_ARENA_WORDS]; /* (L) free, ready, without */
    uint64_t changed_ns;               /* (L) when a pool last became resident and free */
    uint32_t next, prev;               /* (L) its bucket: index + 1; 0 ends */
    uint32_t idle_next, idle_prev;     /* (L) the idle list */
    uint16_t used;                     /* (L) pools in neither bitmap */
    bool is_idle;                      /* (L) on the idle list: has a resident free pool */
    bool has_no_bits;                  /* (L) unused, and its bitmaps are given back as well */
};

uint64_t np_arena_idle_bytes_locked(void); /* resident */
/* The arena with resident free pools that has not changed for longest, or NULL. */
struct np_arena *np_arena_idle_first(void);
char *np_arena_memory(const struct np_arena *arena);

/* Takes an arena's idle pools out of use, as if they were used; the bits say which. Returns how
 * many. */
unsigned np_arena_detach_idle_locked(struct np_arena *arena, uint64_t *ret_bits);
/* They have been given back; the bitmaps of an arena that is unused now go too. */
void np_arena_attach_returned_locked(struct np_arena *arena, const uint64_t *bits, unsigned count);

#endif
