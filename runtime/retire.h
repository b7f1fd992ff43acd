/* SPDX-License-Identifier: MIT
 *
 * Blocks of containers that a reader without a lock may still look at: they are freed after a
 * period of the operation clock, since no operation of a container spans a stop point. (Entries of
 * maps would be safe with the peek clock too, but a thread that only allocates, or waits parked,
 * does not hold this one up; docs/containers.md.)
 *
 * A block gives up its first word, which links it and says by its lowest bit that the block is
 * retired; the rest stays as it was. Two lists per thread, as in grace.h; a leaving or blocking
 * thread's go to a common pair that every thread's polls serve.
 *
 * Implemented by retire.c. */
#ifndef NP_RUNTIME_RETIRE_H
#define NP_RUNTIME_RETIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct np_local;

/* What is done with a block in the end. Neither runs user code. */
enum np_retired {
    NP_RETIRED_BLOCK, /* neap_free */
    NP_RETIRED_ENTRY  /* np_map_entry_free */
};

/* The first word of a retired block. */
static inline bool np_is_retired(uintptr_t first_word)
{
    return (first_word & 1) != 0;
}

/* block, from neap_alloc, cannot be found any more. The caller is attached and RUNNING. */
void np_retire(void *block, enum np_retired kind);

/* Frees what has waited long enough. At stop points and polls. */
void np_retire_poll(struct np_local *local);

/* The thread leaves or blocks. */
void np_retire_abandon(struct np_local *local);

/* A reader that the operation clock does not see begins and ends: nothing is freed that became
 * retired before it ended. Any thread. */
void np_retire_hold(void);
void np_retire_unhold(void);

/* Bytes of blocks that wait, in the whole process; a hint. */
size_t np_retire_bytes(void);

#endif
