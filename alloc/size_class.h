/* SPDX-License-Identifier: MIT
 *
 * Size classes: 16-byte steps up to 512 bytes, header included. Classes [0, 32) are object blocks,
 * [32, 64) untyped blocks of the same sizes, [64, 96) the exact sizes of NEAP_POOLED types, [96,
 * 128) leaves: blocks of objects without slots, which no collection looks at and no threshold
 * counts. Class n, n + 32 and n + 96 hold blocks of (n + 1) * 16 bytes; object blocks are at least
 * 32 bytes, so classes 0 and 96 stay empty.
 *
 * The table of classes is filled when alloc starts; a pooled class is filled once, under a lock,
 * before its number is handed out, and never changes: whoever has the number may read the row.
 *
 * Implemented by size_class.c. */
#ifndef NP_ALLOC_SIZE_CLASS_H
#define NP_ALLOC_SIZE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NP_SMALL_MAX = 512, /* bytes of the largest small block, header included */
    NP_OBJECT_MIN = 32, /* bytes of the smallest object block */
    NP_CLASS_STEP = 16,
    NP_CLASS_UNTYPED = 32, /* first class of untyped blocks */
    NP_CLASS_POOLED = 64,  /* first class of NEAP_POOLED types */
    NP_CLASS_LEAF = 96,    /* first class of leaves */
    NP_CLASS_COUNT = 128
};

/* What every pool of the class has in common. (c) once the class has a number. */
struct np_size_class {
    uint32_t block_bytes;
    uint32_t reciprocal; /* ceil(2^32 / block_bytes) */
    uint32_t type_index; /* of the NEAP_POOLED type; else 0 */
    uint16_t capacity;   /* blocks of a pool */
    uint16_t limits[3];  /* blocks that a magazine keeps: at first, at rest, at most */
    bool is_object;      /* blocks with headers */
    bool is_tracked;     /* of these, those that may have slots */
};
extern struct np_size_class np_size_classes[NP_CLASS_COUNT];

/* Fills all rows but the pooled ones; harmless when repeated. */
void np_size_class_init(void);

/* Exact-size class for a NEAP_POOLED type; -1 when all are taken (the caller uses np_class_of). The
 * same type gets the same class. Any thread. */
int np_class_for_pooled(uint32_t type_index, size_t block_bytes);

/* Requires 0 < bytes <= NP_SMALL_MAX. */
static inline unsigned np_class_of(size_t bytes)
{
    return (unsigned)((bytes - 1) / NP_CLASS_STEP);
}

/* Of classes that are not pooled. */
static inline size_t np_class_bytes(unsigned class_index)
{
    return (size_t)(class_index % 32 + 1) * NP_CLASS_STEP;
}

#endif
