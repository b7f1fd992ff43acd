/* SPDX-License-Identifier: MIT
 *
 * See retire.h. As grace.c: the tag is taken when a list starts to wait, after its last block was
 * unlinked, and the laggards are asked at once. */
#include "runtime/retire.h"

#include <pthread.h>

#include "base/check.h"
#include "neap/block.h"
#include "runtime/local.h"
#include "runtime/map.h"
#include "threads/clock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_retire_lists common; /* (L); `waiting` and `gathering` are read as hints */
static size_t waiting_bytes;          /* (x) relaxed: a gauge */

/* The link in a block's first word: the next block, which is aligned to 16, its own kind in bits 1
 * and 2, and bit 0. */
static uintptr_t *link_of(void *block)
{
    return block;
}

static void prepend(void **list, void *block, unsigned kind)
{
    /* relaxed, both: readers test the lowest bit only; the list is ours or locked */
    np_store_relaxed(link_of(block), (uintptr_t)*list | kind << 1 | 1);
    np_store_relaxed(list, block);
}

static void *detach_first(void **list, unsigned *ret_kind)
{
    void *block = *list;
    uintptr_t link = np_load_relaxed(link_of(block)); /* relaxed: as above */
    *ret_kind = (unsigned)(link >> 1) & 3;
    np_store_relaxed(list, (void *)(link & ~(uintptr_t)15));
    return block;
}

static void free_all(void **list)
{
    while (*list != NULL) {
        unsigned kind;
        void *block = detach_first(list, &kind);
        np_fetch_add_relaxed(&waiting_bytes, -neap_usable_size(block)); /* relaxed: a gauge */
        if (kind == NP_RETIRED_ENTRY)
            np_map_entry_free(block);
        else
            neap_free(block);
    }
}

static uint32_t holds; /* (x) readers that the clock does not see */

void np_retire_hold(void)
{
    /* [MM-retire-1] acq_rel: after an is_held that saw no hold, and so after the unlinking */
    np_fetch_add_acq_rel(&holds, 1);
}

void np_retire_unhold(void)
{
    /* [MM-retire-1] release: the reader is through; pairs with is_held */
    np_fetch_sub_release(&holds, 1);
}

static bool is_held(void)
{
    /* [MM-retire-1] acq_rel: a hold that comes later in this word's order sees what was unlinked
     * before; those that came earlier are over if it reads 0 */
    return np_fetch_add_acq_rel(&holds, 0) != 0;
}

static void advance(struct np_retire_lists *lists)
{
    if (lists->waiting != NULL) {
        if (!np_clock_passed(NP_CLOCK_OPERATION, lists->tag) || is_held())
            return;
        free_all(&lists->waiting);
    }
    if (lists->gathering != NULL) {
        np_store_relaxed(&lists->waiting, lists->gathering);
        np_store_relaxed(&lists->gathering, NULL);
        lists->tag = np_clock_tag(NP_CLOCK_OPERATION);
        np_clock_ask(NP_CLOCK_OPERATION, lists->tag);
    }
}

static bool is_empty(const struct np_retire_lists *lists)
{
    /* relaxed: a hint for the common lists */
    return np_load_relaxed(&lists->waiting) == NULL && np_load_relaxed(&lists->gathering) == NULL;
}

void np_retire(void *block, enum np_retired kind)
{
    struct np_local *local = np_tls.local;
    np_fetch_add_relaxed(&waiting_bytes, neap_usable_size(block)); /* relaxed: a gauge */
    bool first = is_empty(&local->retired);
    prepend(&local->retired.gathering, block, kind);
    if (first)
        np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
}

void np_retire_poll(struct np_local *local)
{
    if (!is_empty(&local->retired)) {
        advance(&local->retired);
        if (!is_empty(&local->retired))
            np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
    }
    if (!is_empty(&common) && pthread_mutex_trylock(&lock) == 0) {
        advance(&common);
        pthread_mutex_unlock(&lock);
        if (!is_empty(&common))
            np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
    }
}

static void move_all(void **from)
{
    while (*from != NULL) {
        unsigned kind;
        void *block = detach_first(from, &kind);
        prepend(&common.gathering, block, kind);
    }
}

void np_retire_abandon(struct np_local *local)
{
    if (is_empty(&local->retired))
        return;
    pthread_mutex_lock(&lock);
    move_all(&local->retired.waiting);
    move_all(&local->retired.gathering);
    pthread_mutex_unlock(&lock);
}

size_t np_retire_bytes(void)
{
    return np_load_relaxed(&waiting_bytes); /* relaxed: a hint */
}
