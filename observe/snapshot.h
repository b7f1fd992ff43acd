/* SPDX-License-Identifier: MIT
 *
 * A copy of the tracer's figures, on the program's own heap: what statistics are made of and what
 * the profile writers write.
 *
 * Implemented by snapshot.c. */
#ifndef NP_OBSERVE_SNAPSHOT_H
#define NP_OBSERVE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "neap/site.h"
#include "neap/trace.h"

struct np_snapshot_row {
    const struct neap_site *site; /* or an address of code; NULL: for what found no room */
    const void **frames;          /* callers, innermost first; in the snapshot's memory */
    uint32_t frame_count;
    const char *type;     /* "untyped" for untyped blocks; lives as long as the process */
    const char *thread;   /* its name, in the snapshot's memory */
    uint64_t block_bytes; /* of one block when sampling, else 0 */
    uint64_t bytes, objects, made_bytes, made_objects; /* scaled */
};

struct neap_snapshot {
    size_t count;
    uint64_t period, started_ns;
    struct np_snapshot_row *rows;
    const void **frames;
    char *names;
};

#endif
