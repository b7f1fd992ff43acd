/* SPDX-License-Identifier: MIT
 *
 * Traces: where a block came from. One record per combination of site, callers, type, thread and,
 * when sampling, size; blocks and counters refer to it by its index.
 *
 * Records are appended under a lock of their own, held for a lookup, and never change: who has been
 * given an index with a block may read its record without the lock. They lie in reserved memory, so
 * that nothing is allocated where the program allocates.
 *
 * Implemented by trace_table.c. Used by tracer.c and by what reads the tracer's figures. */
#ifndef NP_OBSERVE_TRACE_TABLE_H
#define NP_OBSERVE_TRACE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc/trace.h"
#include "neap/site.h"

enum { NP_FRAMES_MOST = 64, NP_LABELS_MOST = 1024, NP_LABEL_BYTES = 32 };

struct np_trace {
    const struct neap_site *site; /* or an address of code: np_site_code */
    uint32_t type_index;          /* 0: untyped blocks */
    uint32_t label;               /* the thread's name: np_label_copy */
    uint64_t asked;               /* when sampling, the bytes counted down; else 0 */
    uint64_t block_bytes;         /* when sampling; else 0 */
    uint64_t hash;
    uint32_t next;        /* of the same bucket */
    uint32_t frame_count; /* return addresses of callers, innermost first */
    const void **frames;
    double weight; /* blocks that one traced block stands for */
};

/* 0, or -1 out of address space. Keeps what is there. */
int np_trace_table_init(void);
/* Forgets all traces and labels; nobody else uses them. */
void np_trace_table_clear(void);

/* The index of the trace like key (site, type_index, label, asked, block_bytes, hash, frames),
 * recorded at first sight with that weight. */
uint32_t np_trace_find(const struct np_trace *key);
bool np_trace_is_like(uint32_t index, const struct np_trace *key);
const struct np_trace *np_trace_at(uint32_t index);
uint32_t np_trace_count(void); /* indices are 1 .. this */

/* The index of a thread's name; 0, the empty name, when there are too many. */
uint32_t np_label_find(const char *name);
void np_label_copy(uint32_t label, char ret_name[NP_LABEL_BYTES]);

void np_trace_table_lock(void); /* for fork */
void np_trace_table_unlock(void);

#endif
