/* SPDX-License-Identifier: MIT
 *
 * The table under a map: liburcu's lock-free hash table (cds_lfht), bound to neap's operation clock
 * by a flavour of ours, and its growth.
 *
 * Readers and writers are attached threads inside an operation, which has no stop point: what they
 * look at is not freed before they are through (retire.h). A table grows and shrinks on the helper
 * thread, in a blocking region; it reads entries without being seen by the clock, so it announces
 * itself (np_retire_hold). liburcu's own worker is not used: it could neither be seen by the clock
 * nor be stopped for a fork.
 *
 * This is the one header that touches cds_lfht, and table.c annotates it for ThreadSanitizer.
 *
 * Implemented by table.c. Used by map.c. */
#ifndef NP_RUNTIME_TABLE_H
#define NP_RUNTIME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu/rculfhash.h>

#include "base/list.h"

/* From neap_alloc. value first: np_retire takes the word. */
struct np_entry {
    void *value; /* (x) an object; odd: the entry is dead */
    void *key;   /* (c) */
    struct cds_lfht_node node;
};

struct np_table {
    struct cds_lfht *entries;
    size_t count;        /* (x) relaxed: entries alive */
    size_t buckets;      /* (x) relaxed: after the last change of size; a hint */
    struct np_list link; /* (L) table.c's lock: waiting for the helper; else empty */
    bool abandoned;      /* (L) destroyed by whoever changes its size now, or by the helper */
};

/* Is the entry with this node the one that `wanted` asks for? */
typedef int np_entry_match(struct cds_lfht_node *node, const void *wanted);

struct np_table *np_table_new(void); /* NULL: out of memory */

/* It is empty, and nobody uses it but perhaps the helper, which frees the buckets of a large one:
 * that takes it 0.2 us a bucket, since they stand in another order than they are linked. */
void np_table_destroy(struct np_table *table);

/* The helper is at work on it: an entry is retired, not freed, whoever else is through with it. */
bool np_table_is_changing(struct np_table *table);

struct np_entry *np_table_find(struct np_table *table, uint64_t hash, np_entry_match *match,
                               const void *wanted);
/* The entry that matches, or entry itself: then it has been added. */
struct np_entry *np_table_add(struct np_table *table, uint64_t hash, np_entry_match *match,
                              const void *wanted, struct np_entry *entry);
void np_table_delete(struct np_table *table, struct np_entry *entry);

/* In order of place, which never changes: the first entry, the one behind another that is still in
 * the table (place == its node), dead ones included; NULL: there are no more. */
struct np_entry *np_table_first(struct np_table *table, struct cds_lfht_iter *iter);
struct np_entry *np_table_next(struct np_table *table, struct cds_lfht_iter *iter);
/* The walk goes on at an entry that is in the table, as if it had just come to it. */
void np_table_resume(struct cds_lfht_iter *iter, const struct np_entry *entry);
/* Behind everything with this place; entry is dead and stands there until it is deleted. */
void np_table_add_marker(struct np_table *table, unsigned long place, struct np_entry *entry);
struct np_entry *np_table_after(struct np_table *table, const struct np_entry *marker,
                                struct cds_lfht_iter *iter);

/* An entry came (+1) or went (-1): the table may want another size. */
void np_table_changed(struct np_table *table, ptrdiff_t delta);

/* Changes the size of one table that asked for it; false: none did. The helper, or neap_tick. */
bool np_table_serve(void);
bool np_table_wants_service(void);

/* Nobody uses any table any more, there is no helper. */
void np_table_end(void);

/* No table changes size between the two; the caller is parked while it waits. */
void np_table_before_fork(void);
void np_table_after_fork(void);

#endif
