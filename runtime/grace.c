/* SPDX-License-Identifier: MIT
 *
 * See grace.h. The tag is taken when a list starts to wait, after its last object was unlinked from
 * every slot by the releases that killed it; the laggards are asked at once, so a grace period
 * takes one poll of each running thread. While anything waits, the thread asks itself to come back
 * at its next poll.
 */
#include "runtime/grace.h"

#include <pthread.h>
#include <stdio.h>

#include "alloc/pool.h"
#include "base/options.h"
#include "base/perturb.h"
#include "base/plant.h"
#include "runtime/death.h"
#include "runtime/retire.h"
#include "threads/clock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_grace common; /* (L); `waiting` and `gathering` are read as hints */
static size_t waiting_bytes;   /* (x) relaxed: a gauge */

static void prepend(struct neap_header **list, struct neap_header *header)
{
    /* relaxed, both: as in death.c's lists */
    uint64_t kept = np_load_relaxed((np_word *)header) & np_link_kept;
    np_store_relaxed((np_word *)header, np_link_encode(*list) | kept);
    np_store_relaxed(list, header);
}

static struct neap_header *detach_first(struct neap_header **list)
{
    struct neap_header *header = *list;
    np_store_relaxed(list, np_link_load(header));
    return header;
}

/* What has passed goes to the death lists; what was gathered starts to wait. */
static void advance(struct np_grace *grace)
{
    if (grace->waiting != NULL) {
        if (!np_clock_passed(NP_CLOCK_PEEK, grace->tag) && !np_planted(skip_peek_grace))
            return;
        while (grace->waiting != NULL) {
            struct neap_header *header = detach_first(&grace->waiting);
            np_fetch_add_relaxed(&waiting_bytes, -np_object_block_bytes(header));
            /* relaxed: ours alone, but a confined collection may look at it in passing */
            np_store_relaxed(&header->gc, (uint8_t)(header->gc | NP_GC_WAITED));
            np_death_quiet(header);
        }
    }
    if (grace->gathering != NULL) {
        np_store_relaxed(&grace->waiting, grace->gathering);
        np_store_relaxed(&grace->gathering, NULL);
        np_perturb(grace_tag);
        grace->tag = np_clock_tag(NP_CLOCK_PEEK);
        np_clock_ask(NP_CLOCK_PEEK, grace->tag);
    }
}

static bool is_empty(const struct np_grace *grace)
{
    /* relaxed: a hint for the common list */
    return np_load_relaxed(&grace->waiting) == NULL && np_load_relaxed(&grace->gathering) == NULL;
}

static void name_laggard(const struct np_thread *thread)
{
    char name[NP_THREAD_NAME_BYTES];
    np_thread_name((struct np_thread *)(uintptr_t)thread, name);
    fprintf(
        stderr,
        "neap: thread \"%s\" (%d) has not been at a quiescent point: %zu bytes of dead peekable "
        "objects wait for it (option deferred_limit). It should call neap_safepoint.\n",
        name, np_load_relaxed(&thread->os_id), np_grace_bytes()); /* relaxed: a report */
}

/* Every time the waiting bytes pass another multiple of the limit. */
static void check_limit(size_t before, size_t after)
{
    uint64_t limit = np_options.deferred_limit;
    if (limit == 0 || np_options.safepoint_warn_ms == 0 || before / limit == after / limit)
        return;
    np_clock_laggards(NP_CLOCK_PEEK, np_tls.local->grace.tag, name_laggard);
}

void np_grace_add(struct neap_header *header)
{
    struct np_local *local = np_tls.local;
    size_t bytes = np_object_block_bytes(header);
    size_t before = np_fetch_add_relaxed(&waiting_bytes, bytes); /* relaxed: a gauge */
    check_limit(before, before + bytes);
    prepend(&local->grace.gathering, header);
    if (local->grace.waiting == NULL)
        advance(&local->grace);
    np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
}

void np_grace_poll(struct np_local *local)
{
    np_retire_poll(local);
    if (!is_empty(&local->grace)) {
        advance(&local->grace);
        if (!is_empty(&local->grace))
            np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
    }
    if (!is_empty(&common) && pthread_mutex_trylock(&lock) == 0) {
        advance(&common);
        pthread_mutex_unlock(&lock);
        if (!is_empty(&common))
            np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
    }
}

void np_grace_abandon(struct np_local *local)
{
    np_retire_abandon(local);
    if (is_empty(&local->grace))
        return;
    pthread_mutex_lock(&lock);
    while (local->grace.waiting != NULL)
        prepend(&common.gathering, detach_first(&local->grace.waiting));
    while (local->grace.gathering != NULL)
        prepend(&common.gathering, detach_first(&local->grace.gathering));
    pthread_mutex_unlock(&lock);
}

size_t np_grace_bytes(void)
{
    return np_load_relaxed(&waiting_bytes) + np_retire_bytes(); /* relaxed: a hint */
}
