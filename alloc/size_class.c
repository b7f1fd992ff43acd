/* SPDX-License-Identifier: MIT
 *
 * The table of size classes. */
#include "alloc/size_class.h"

#include <pthread.h>

#include "alloc/pool.h"
#include "base/check.h"

/* The limits of a magazine (refill.c): what it starts with, what one-way traffic gives it, and what
 * a thread that takes and gives in turns gets. Each by bytes and by blocks: a block kept from its
 * pool keeps that pool from being returned. Measured: docs/alloc.md, "Magazines". */
static const struct {
    uint32_t bytes, most, least;
} limits[3] = {{8192, 64, 16}, {16384, 128, 32}, {65536, 1024, 64}};

struct np_size_class np_size_classes[NP_CLASS_COUNT];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards filling a pooled row */
static unsigned pooled_count;                            /* (L) */

static void fill(struct np_size_class *row, uint32_t block_bytes, bool is_object,
                 uint32_t type_index)
{
    *row = (struct np_size_class){
        .block_bytes = block_bytes,
        .reciprocal = (uint32_t)((((uint64_t)1 << 32) + block_bytes - 1) / block_bytes),
        .type_index = type_index,
        .capacity = (uint16_t)(NP_POOL_BYTES / block_bytes),
        .is_object = is_object,
        .is_tracked = is_object,
    };
    for (unsigned i = 0; i < 3; i++) {
        uint32_t blocks = limits[i].bytes / block_bytes;
        if (blocks > limits[i].most)
            blocks = limits[i].most;
        row->limits[i] = (uint16_t)(blocks > limits[i].least ? blocks : limits[i].least);
    }
}

void np_size_class_init(void)
{
    if (np_size_classes[0].block_bytes != 0)
        return;
    for (unsigned i = 0; i < NP_CLASS_POOLED; i++)
        fill(&np_size_classes[i], (uint32_t)np_class_bytes(i), i < NP_CLASS_UNTYPED, 0);
    for (unsigned i = NP_CLASS_LEAF; i < NP_CLASS_COUNT; i++) {
        fill(&np_size_classes[i], (uint32_t)np_class_bytes(i), true, 0);
        np_size_classes[i].is_tracked = false;
    }
}

int np_class_for_pooled(uint32_t type_index, size_t block_bytes)
{
    np_check(block_bytes >= NP_OBJECT_MIN && block_bytes % 8 == 0,
             "a pooled type's block has %zu bytes; it needs at least %d, a multiple of 8",
             block_bytes, NP_OBJECT_MIN);
    if (block_bytes > NP_SMALL_MAX)
        return -1;
    pthread_mutex_lock(&lock);
    int found = -1;
    for (unsigned i = 0; i < pooled_count && found < 0; i++)
        if (np_size_classes[NP_CLASS_POOLED + i].type_index == type_index)
            found = (int)(NP_CLASS_POOLED + i);
    if (found < 0 && pooled_count < NP_CLASS_LEAF - NP_CLASS_POOLED) {
        found = (int)(NP_CLASS_POOLED + pooled_count++);
        fill(&np_size_classes[found], (uint32_t)block_bytes, true, type_index);
    }
    pthread_mutex_unlock(&lock);
    return found;
}
