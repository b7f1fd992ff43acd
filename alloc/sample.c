/* SPDX-License-Identifier: MIT
 *
 * The places lie in one region: a closed page, then for each a page and a closed one. Free places
 * wait in a ring, so that the one freed first is used first. */
#include "alloc/sample.h"

#include <pthread.h>
#include <string.h>

#include "alloc/meta.h"
#include "alloc/own.h"
#include "base/check.h"
#include "base/options.h"
#include "base/os.h"

enum { IN_DEBUG_BUILDS = 1000, AROUND = 0xDB };

uintptr_t np_sample_base;
size_t np_sample_bytes;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint16_t bytes_of[NP_SAMPLE_PLACES]; /* (L, o>) of the live block; 0: free */
static uint8_t free_ring[NP_SAMPLE_PLACES]; /* (L) free places, from free_first on */
static unsigned free_first, free_count;     /* (L) */
static struct np_sample_counts counts;      /* (L) */

void np_sample_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_sample_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void np_sample_count(struct np_sample_counts *ret_counts)
{
    np_sample_lock();
    *ret_counts = counts;
    np_sample_unlock();
}

bool np_sample_is_due(struct np_heap *heap)
{
    uint64_t interval = np_options.guard_sample;
    if (NP_GUARD && interval == 0)
        interval = IN_DEBUG_BUILDS;
    if (interval == 0 || np_alloc_single_step() || ++heap->own->until_sample < interval)
        return false;
    heap->own->until_sample = 0;
    return true;
}

static bool make_region(void)
{
    size_t page = np_os_page_bytes(), bytes = (2 * NP_SAMPLE_PLACES + 1) * page;
    if (np_sample_base != 0)
        return true;
    char *region = np_os_reserve(bytes, page);
    if (region == NULL)
        return false;
    np_os_close(region, bytes);
    for (unsigned i = 0; i < NP_SAMPLE_PLACES; i++)
        free_ring[i] = (uint8_t)i;
    free_count = NP_SAMPLE_PLACES;
    /* relaxed, both: see np_sample_has; what is no such block is in neither the old nor the new */
    np_store_relaxed(&np_sample_base, (uintptr_t)region);
    np_store_relaxed(&np_sample_bytes, bytes);
    return true;
}

static char *page_of(unsigned place)
{
    return (char *)np_sample_base + (2 * (size_t)place + 1) * np_os_page_bytes();
}

static unsigned place_of(const void *block)
{
    size_t page = ((uintptr_t)block - np_sample_base) / np_os_page_bytes();
    np_check(page % 2 == 1, "%p is not a block of neap_alloc", block);
    return (unsigned)(page / 2);
}

void *np_sample_take(size_t bytes)
{
    size_t page_bytes = np_os_page_bytes();
    bytes = bytes != 0 ? (bytes + 15) & ~(size_t)15 : 16;
    if (bytes > page_bytes || np_may_fail() || !np_commit(page_bytes))
        return NULL;
    np_sample_lock();
    unsigned place = NP_SAMPLE_PLACES;
    if (make_region() && free_count > 0) {
        place = free_ring[free_first];
        free_first = (free_first + 1) % NP_SAMPLE_PLACES;
        free_count--;
        np_store_relaxed(&bytes_of[place], (uint16_t)bytes); /* relaxed: its holder reads it */
        counts.blocks++;
        counts.bytes += bytes;
    }
    np_sample_unlock();
    if (place == NP_SAMPLE_PLACES) {
        np_uncommit(page_bytes);
        return NULL;
    }
    char *page = page_of(place);
    np_os_open(page, page_bytes);
    memset(page, AROUND, page_bytes - bytes);
    return page + page_bytes - bytes;
}

size_t np_sample_usable(const void *block)
{
    return np_load_relaxed(&bytes_of[place_of(block)]); /* relaxed: constant while it lives */
}

void np_sample_give(void *block)
{
    size_t page_bytes = np_os_page_bytes();
    unsigned place = place_of(block);
    char *page = page_of(place);
    size_t bytes = np_sample_usable(block);
    np_check(bytes != 0, "%p was freed twice", block);
    np_check(page + page_bytes - bytes == block, "%p is not a block: freed by a pointer into it",
             block);
    for (const unsigned char *before = (unsigned char *)page; before < (unsigned char *)block;
         before++)
        np_check(*before == AROUND, "%p: written before its start, at offset %td", block,
                 (const char *)before - (const char *)block);
    np_os_give_back(page, page_bytes);
    np_os_close(page, page_bytes);
    np_uncommit(page_bytes);
    np_sample_lock();
    np_store_relaxed(&bytes_of[place], (uint16_t)0);
    free_ring[(free_first + free_count++) % NP_SAMPLE_PLACES] = (uint8_t)place;
    counts.blocks--;
    counts.bytes -= bytes;
    np_sample_unlock();
}
