/* SPDX-License-Identifier: MIT
 *
 * Side words: one 32-bit word per object of the set at hand, where counting and tracing keep what
 * they know. Headers are not written for it, so nothing has to be restored when a collection ends.
 *
 *   bit 0     MEMBER   the object belongs to the set
 *   bit 1     MARKED   it is reachable from outside the set
 *   bit 2     GREY     and its slots have not been looked at yet (scan.h)
 *   bits 3-31 its count minus the references found inside the set, signed
 *
 * A pool that is covered owns a row of 512 words, one per 32 bytes of pool: blocks are at least 32
 * bytes, so two blocks never share a word and the word of an object follows from its address alone.
 * Rows are handed out in the order in which pools are covered, so a young collection works on the
 * same few, warm rows every time, wherever its pools are. The word of a large object is
 * np_large.counter.
 *
 * The words of a reference's target may be lowered before the target itself has been looked at, and
 * also when it is no member: additions commute, and without MEMBER the word is never asked.
 *
 * Concurrency: one collection at a time (collect.c's lock). Used while the world is stopped, and
 * afterwards by the collecting thread alone.
 *
 * Implemented by side.c. Used by universe.c, count.c, trace.c and garbage.c.
 */
#ifndef NP_COLLECTOR_SIDE_H
#define NP_COLLECTOR_SIDE_H

#include "alloc/large.h"
#include "alloc/pool.h"
#include "runtime/header.h"

enum {
    NP_SIDE_MEMBER = 1,
    NP_SIDE_MARKED = 2,
    NP_SIDE_GREY = 4,
    NP_SIDE_ONE = 8,
    NP_SIDE_STATE = NP_SIDE_ONE - 1,
    NP_SIDE_ROW = (int)(NP_POOL_BYTES / NP_OBJECT_MIN)
};

/* Counts from here on do not fit beside the state bits: such an object is taken for alive. */
#define NP_SIDE_COUNT_LIMIT ((uint64_t)1 << 27)

struct np_side {
    uint32_t *words;    /* row r is words[r * NP_SIDE_ROW ...]; row 0 is nobody's */
    uint32_t *rows;     /* per pool of the region: its row, 0 if not covered */
    uint32_t *pools;    /* per row: its pool */
    uint32_t row_count; /* rows in use are 1 .. row_count */
    uint32_t row_limit; /* rows that the reserved memory holds */
    bool whole;         /* every pool of the region has the row pool + 1 */
    uint32_t large_age; /* large objects whose np_large.mark is at most this are covered */
    size_t words_bytes, rows_bytes, pools_bytes; /* reserved */
};
extern struct np_side np_side; /* (s) */

int np_side_init(void); /* 0, or -1 out of address space */
void np_side_fini(void);

/* Gives the pool a row of zero words unless it has one. False: no row is left, the pool stays
 * outside. */
bool np_side_cover(uint32_t pool_index);
/* Covers the pools [0, count) of the region, each by the row pool + 1, so that a word is found by
 * one addition. Instead of np_side_cover, not beside it. False: there are not so many rows. */
bool np_side_cover_whole(uint32_t count);
/* Takes all rows back, makes them zero, and gives memory back beyond what the next young collection
 * wants. The world may run. */
void np_side_clear(void);

/* Of other tables laid out like np_side.words: whole pages that hold rows 0 .. rows, and huge ones
 * where they are worth it. */
#define NP_SIDE_ALIGNMENT ((size_t)2 << 20)
size_t np_side_bytes(uint32_t rows);
void np_side_prefer_huge(uint32_t *words);

/* The word of a covered pool's block; among words that are laid out like np_side.words. */
static inline uint32_t *np_side_word_among(uint32_t *words, uint32_t row, uintptr_t block_address)
{
    return &words[(size_t)row * NP_SIDE_ROW + (block_address / NP_OBJECT_MIN) % NP_SIDE_ROW];
}

static inline uint32_t *np_side_word_in_row(uint32_t row, uintptr_t block_address)
{
    return np_side_word_among(np_side.words, row, block_address);
}

/* What finding a word needs, in one place for inner loops. */
struct np_side_view {
    uintptr_t base; /* of the region */
    size_t bytes;
    uint32_t *words;
    const uint32_t *rows;
    uint32_t large_age;
    bool whole;
};

static inline struct np_side_view np_side_view(void)
{
    return (struct np_side_view){np_region.base, np_region.bytes,   np_side.words,
                                 np_side.rows,   np_side.large_age, np_side.whole};
}

static inline uint32_t *np_side_word_of_large(const struct np_side_view *view,
                                              const struct neap_header *header)
{
    struct np_large *large = np_large_of(header);
    return large->mark <= view->large_age ? &large->counter : NULL;
}

/* The object's word, or NULL when it is not covered. whole: view->whole, as a constant where it is
 * one. */
static inline __attribute__((always_inline)) uint32_t *
np_side_word_in(const struct np_side_view *view, const struct neap_header *header, bool whole)
{
    uintptr_t offset = (uintptr_t)header - view->base;
    if (np_unlikely(offset >= view->bytes))
        return np_side_word_of_large(view, header);
    if (whole)
        return &view->words[NP_SIDE_ROW + offset / NP_OBJECT_MIN];
    size_t row = view->rows[offset >> NP_POOL_LOG2];
    return row == 0 ? NULL : &view->words[row * NP_SIDE_ROW + offset / NP_OBJECT_MIN % NP_SIDE_ROW];
}

static inline uint32_t *np_side_word(const struct neap_header *header)
{
    struct np_side_view view = np_side_view();
    return np_side_word_in(&view, header, view.whole);
}

static inline bool np_side_is(uint32_t word, uint32_t state)
{
    return (word & NP_SIDE_STATE) == state;
}

static inline int32_t np_side_count(uint32_t word)
{
    return (int32_t)word >> 3;
}

#endif
