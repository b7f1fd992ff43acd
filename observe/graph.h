/* SPDX-License-Identifier: MIT
 *
 * A copy of the heap's graph: who is alive, how large, who refers to whom by which slot, and how
 * many references come from outside. What the heap snapshot and the leak report are made of.
 *
 * The world is stopped while objects and slots are copied, in one walk over the pools; references
 * are resolved to nodes afterwards. Time and memory follow the objects and references. All of it
 * lies in reserved memory: nothing is allocated on the heap that is copied.
 *
 * Implemented by graph.c. A graph is its maker's alone. */
#ifndef NP_OBSERVE_GRAPH_H
#define NP_OBSERVE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "neap/header.h"
#include "neap/type.h"

enum np_node_kind { NP_NODE_COUNTED, NP_NODE_DEFERRED, NP_NODE_IMMORTAL };

struct np_node {
    const struct neap_header *header; /* where it was; no longer safe to read */
    uint64_t bytes;                   /* of the block */
    uint64_t first_edge;              /* edges are [first_edge, first_edge of the next node) */
    uint64_t length;                  /* elements of an array, else 0 */
    uint32_t type_index;
    uint32_t trace;    /* the tracer's, or 0 */
    uint32_t id;       /* the same in every snapshot of the process; not of another object before */
    uint32_t external; /* references that no edge explains; of counted objects */
    uint16_t owner;    /* thread slot, or 0 */
    uint8_t kind;      /* enum np_node_kind */
};

struct np_edge {
    union {
        const void *target; /* while copying */
        uint64_t node;      /* UINT64_MAX: to what is no node (dying, or no object) */
    };
    uint64_t slot; /* which call of the visit: np_graph_slot_name */
};

struct np_graph {
    struct np_node *nodes; /* small ones by address, then large ones; one more ends the edges */
    struct np_edge *edges;
    size_t node_count, edge_count;
    uint64_t stopped_ns;
    /* memory: */
    size_t nodes_bytes, edges_bytes, side_bytes, node_room, edge_room;
    uint32_t *side; /* node + 1 of a small block, one per 16 bytes of the region */
    size_t small_count;
};

/* Attached, not inside user code of a collection (as for collecting); call names the public
 * function. NULL out of memory. */
struct np_graph *np_graph_take(const char *call);
/* The same for the only attached thread, at the end of the runtime. */
struct np_graph *np_graph_take_alone(void);
void np_graph_free(struct np_graph *graph);

/* "next", "children[3]", or "" with *ret_index for an element without a name. */
void np_graph_slot_name(const struct neap_type *type, bool is_array, uint64_t slot,
                        char ret_name[64], uint64_t *ret_index);

#endif
