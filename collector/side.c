/* SPDX-License-Identifier: MIT
 *
 * The rows' memory is reserved once for the whole region and costs nothing until it is touched.
 * Between collections every row is zero: young collections clear theirs, large ones give the pages
 * back. */
#include "collector/side.h"

#include <string.h>

#include "base/os.h"

/* Rows kept resident between collections: 1 MiB, for 8 MiB of young objects. */
enum { KEPT_ROWS = 512 };

/* From here on (64 MiB of heap) rows are worth huge pages: references lead to them in any order. */
enum { HUGE_ROWS = 1024 };

#define ROW_BYTES (NP_SIDE_ROW * sizeof(uint32_t))

struct np_side np_side;

static size_t whole_pages(size_t bytes)
{
    size_t page = np_os_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

static bool reserve(size_t rows)
{
    size_t pools = np_region.bytes >> NP_POOL_LOG2;
    np_side = (struct np_side){.row_limit = (uint32_t)rows};
    np_side.rows_bytes = whole_pages(pools * sizeof *np_side.rows);
    np_side.pools_bytes = whole_pages((rows + 1) * sizeof *np_side.pools);
    np_side.words_bytes = whole_pages((rows + 1) * ROW_BYTES);
    np_side.rows = np_os_reserve(np_side.rows_bytes, 1);
    np_side.pools = np_os_reserve(np_side.pools_bytes, 1);
    np_side.words = np_os_reserve(np_side.words_bytes, NP_SIDE_ALIGNMENT);
    if (np_side.rows != NULL && np_side.pools != NULL && np_side.words != NULL)
        return true;
    np_side_fini();
    return false;
}

int np_side_init(void)
{
    for (size_t rows = np_region.bytes >> NP_POOL_LOG2; rows >= KEPT_ROWS; rows /= 2)
        if (reserve(rows))
            return 0;
    return -1;
}

void np_side_fini(void)
{
    if (np_side.rows != NULL)
        np_os_unreserve(np_side.rows, np_side.rows_bytes);
    if (np_side.pools != NULL)
        np_os_unreserve(np_side.pools, np_side.pools_bytes);
    if (np_side.words != NULL)
        np_os_unreserve(np_side.words, np_side.words_bytes);
    np_side = (struct np_side){0};
}

bool np_side_cover(uint32_t pool_index)
{
    if (np_side.rows[pool_index] != 0)
        return true;
    if (np_side.row_count == np_side.row_limit)
        return false;
    uint32_t row = ++np_side.row_count;
    np_side.rows[pool_index] = row;
    np_side.pools[row] = pool_index;
    return true;
}

bool np_side_cover_whole(uint32_t count)
{
    if (count > np_side.row_limit)
        return false;
    for (uint32_t pool = 0; pool < count; pool++) {
        np_side.rows[pool] = pool + 1;
        np_side.pools[pool + 1] = pool;
    }
    np_side.row_count = count;
    np_side.whole = true;
    np_side_prefer_huge(np_side.words);
    return true;
}

size_t np_side_bytes(uint32_t rows)
{
    return whole_pages(((size_t)rows + 1) * ROW_BYTES);
}

void np_side_prefer_huge(uint32_t *words)
{
    if (np_side.row_count > HUGE_ROWS)
        np_os_prefer_huge(words, np_side_bytes(np_side.row_count));
}

void np_side_clear(void)
{
    for (uint32_t row = 1; row <= np_side.row_count; row++)
        np_side.rows[np_side.pools[row]] = 0;
    np_side.whole = false;
    size_t used = np_side.row_count, kept = used < KEPT_ROWS ? used : KEPT_ROWS;
    memset(np_side.words + NP_SIDE_ROW, 0, kept * ROW_BYTES);
    if (used > kept) {
        /* rows start behind row 0, pages do not: what is left of the last kept row's page is
         * cleared here */
        char *start = (char *)np_side.words + (kept + 1) * ROW_BYTES;
        char *end = (char *)np_side.words + (used + 1) * ROW_BYTES;
        char *page = (char *)np_side.words + whole_pages((kept + 1) * ROW_BYTES);
        memset(start, 0, (size_t)((page < end ? page : end) - start));
        if (page < end)
            np_os_give_back(page, whole_pages((size_t)(end - page)));
    }
    np_side.row_count = 0;
}
