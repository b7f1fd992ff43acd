/* SPDX-License-Identifier: MIT
 *
 * Freeing plain garbage, while the world runs. Little of it is freed by the collecting thread as
 * anything else is. Much of it is shared out over the crew by pools:
 *
 *   note     stopped  members found, one after the other in the order of memory, are noted as
 *                     segments: the members of one pool
 *   part     running  disposals, all of them, and references out of the set. Workers look at the
 *                     members of simple types and gather what leaves; the collecting thread
 * releases that, and looks at all others itself free     running  each segment's blocks go back to
 * their pool by one worker (alloc/bulk.h)
 *
 * Nobody frees before everybody has parted: whether a reference leaves the set is read in the
 * header of what it leads to.
 *
 * Part and free go in rounds of a few pools per worker. Between two rounds the collecting thread
 * settles with its heap what the workers did and polls: within a round it is at no stop point, so
 * its pools stay its own, no world stops and no process forks.
 *
 * Concurrency: one sweep by segments at a time, under collect.c's lock.
 *
 * Implemented by sweep.c. Used by garbage.c and collect.c. */
#ifndef NP_COLLECTOR_SWEEP_H
#define NP_COLLECTOR_SWEEP_H

#include "collector/crew.h"
#include "collector/garbage.h"

int np_sweep_init(void); /* 0, or -1 out of address space */
void np_sweep_fini(void);

/* A stop begins to look for plain garbage, pool by pool, each once, large ones last; has found a
 * member; has found all of them. True: so many that the crew frees them, np_findings.plain_shared.
 * What is found without np_sweep_begin_stopped, in any order, is freed by one thread. */
void np_sweep_begin_stopped(void);
void np_sweep_note_stopped(struct neap_header *header);
bool np_sweep_end_stopped(size_t count);

/* Releases what leaves the set and frees its members. manner: how deaths that follow run. */
void np_sweep(const struct np_findings *findings, enum np_manner manner);

/* Objects that each worker has freed since the runtime began. */
void np_sweep_read(uint64_t ret_freed[NP_CREW_MOST]);

#endif
