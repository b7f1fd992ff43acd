/* SPDX-License-Identifier: MIT
 *
 * What becomes of garbage. A set of objects whose counts are all explained by references from
 * inside the set cannot be reached by anybody, and stays so (docs/collector.md): it is freed
 * as a set, without counting down inside it.
 *
 *   garbage --no user code--------------------> condemned -> freed, by several threads: sweep.h
 *     | closure of what needs user code or a
 *     | peek grace period: one np_garbage
 *     |--neither finalizers nor peekable------> condemned -------------------------+
 *     |--peekable, published: HELD             --grace period--> validated --+     |
 *     +--finalizers: HELD, weak refs cleared --callbacks, finalizers-->  validated |
 *                                                        |               |         v
 *                                                        v               v     dispose of all,
 *                                           alive: hold released     condemned -> release what
 *                                                                              leaves the set,
 *                                                                              free all
 *
 * Condemned: dead by value for everybody, its body as it was, NP_GC_CONDEMNED in its gc byte, so
 * that counting on it does nothing: a disposal may release a slot. Weak references are cleared
 * before, in the same stop. HELD: every member has one more reference, ours, while user code may
 * look at it.
 *
 * Concurrency: *_stopped while the world is stopped. A set belongs to the thread that runs it,
 * without any lock held; the pending list hands it over.
 *
 * Implemented by garbage.c. Used by collect.c.
 */
#ifndef NP_COLLECTOR_GARBAGE_H
#define NP_COLLECTOR_GARBAGE_H

#include <stddef.h>

#include "base/list.h"
#include "runtime/count.h"
#include "runtime/pending.h"

enum np_garbage_stage {
    NP_GARBAGE_PEEKED,
    NP_GARBAGE_FINALIZE,
    NP_GARBAGE_CONDEMNED,
    NP_GARBAGE_SAVED
};

/* Garbage that needs user code, or a second look. In a mapping of its own. */
struct np_garbage {
    struct np_pending_item item; /* or, while PEEKED, on collect.c's list */
    enum np_garbage_stage stage;
    bool save_all;  /* in the end all members go to the garbage list */
    int generation; /* of the collection that found it */
    size_t mapped_bytes;
    uint64_t peek_tag;        /* PEEKED: validated when this has passed */
    struct np_list callbacks; /* of its cleared weak references, not yet called */
    size_t count,
        alive_count; /* members [0, count) and, behind them, those found alive: still held */
    struct neap_header *members[];
};

/* What one stop found. */
struct np_findings {
    struct neap_header *plain; /* condemned, linked through word 0 */
    size_t plain_count;
    bool plain_shared;        /* so many that the crew frees them: the lock is held until then */
    struct np_list calls;     /* callbacks of their weak references and their cleanups */
    struct np_garbage *user;  /* or NULL */
    struct np_garbage *stuck; /* closure of objects that cannot be freed, held; or NULL */
    size_t stuck_count;       /* those objects */
};

/* Takes apart the members that tracing has not marked, at most `count`. unusual: some may need user
 * code or may be impossible to free. save_all: nothing is freed, all of it goes to the garbage
 * list. */
void np_garbage_part_stopped(size_t count, bool unusual, bool save_all,
                             struct np_findings *ret_findings);

/* The same for a list of members: those that tracing has marked are left alone. */
void np_garbage_part_list_stopped(struct neap_header *const *members, size_t count, bool unusual,
                                  bool save_all, struct np_findings *ret_findings);

/* Looks again, at this set only: members that are held from outside, and what they reach, go behind
 * the others. A PEEKED set moves on to FINALIZE or CONDEMNED, a FINALIZE set to CONDEMNED. */
void np_garbage_validate_stopped(struct np_garbage *garbage);
/* The world runs: gives the hold on members that were found alive back. */
void np_garbage_release_alive(struct np_garbage *garbage);

/* Releases what leaves the condemned set at this member, which has been disposed of. manner: how
 * deaths that follow run. */
void np_garbage_release_leaving(struct neap_header *header, enum np_manner manner);

/* User code, no lock held: callbacks and finalizers of a FINALIZE set, */
void np_garbage_finalize(struct np_garbage *garbage);
/* a SAVED set: its members go to the garbage list, those of `stuck` only as far as they cannot be
 * freed, */
void np_garbage_save(struct np_garbage *garbage);
/* and everything that is left to do for a CONDEMNED one, its memory included. */
void np_garbage_dispose(struct np_garbage *garbage);

#endif
