/* SPDX-License-Identifier: MIT
 *
 * Two lists under one lock: items, first in first out, and dead objects, linked through word 0. The
 * thread that adds something asks itself for a quiescent point; whoever reaches one first runs it.
 */
#include "runtime/pending.h"

#include <pthread.h>

#include "alloc/pool.h"
#include "runtime/death.h"
#include "threads/thread.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_list items = {&items, &items}; /* (L) */
static struct neap_header *objects;             /* (L) */
static struct neap_header *prompt;              /* (L) of NEAP_PROMPT types: not the helper's */
size_t np_pending_waiting;                      /* (L) written; read as a hint */

static void added_locked(void)
{
    np_store_relaxed(&np_pending_waiting, np_pending_waiting + 1); /* relaxed: read as a hint */
    if (np_tls.thread != NULL)
        np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
}

void np_pending_ask_all(void)
{
    for (uint32_t slot = 1; slot <= np_thread_high(); slot++) {
        struct np_thread *thread = np_thread_at((uint16_t)slot);
        if (np_thread_state_of(thread) != NP_DETACHED)
            np_thread_request(thread, NP_REQUEST_PENDING);
    }
}

void np_pending_push(struct np_pending_item *item)
{
    pthread_mutex_lock(&lock);
    np_list_push_back(&items, &item->link);
    added_locked();
    pthread_mutex_unlock(&lock);
}

void np_pending_push_all(struct np_list *items_taken)
{
    while (!np_list_empty(items_taken)) {
        struct np_list *node = items_taken->next;
        np_list_remove(node);
        np_pending_push(np_container_of(node, struct np_pending_item, link));
    }
}

void np_pending_run_all(struct np_list *items_taken)
{
    while (!np_list_empty(items_taken)) {
        struct np_list *node = items_taken->next;
        np_list_remove(node);
        struct np_pending_item *item = np_container_of(node, struct np_pending_item, link);
        item->run(item);
    }
}

void np_pending_push_object(struct neap_header *header)
{
    pthread_mutex_lock(&lock);
    /* relaxed, both: as in death.c's lists */
    uint64_t kept = np_load_relaxed((np_word *)header) & np_link_kept;
    bool is_prompt = (np_type_at(header->type)->flags & NEAP_PROMPT) != 0;
    struct neap_header **list = is_prompt ? &prompt : &objects;
    np_store_relaxed((np_word *)header, np_link_encode(*list) | kept);
    *list = header;
    added_locked();
    pthread_mutex_unlock(&lock);
}

static struct neap_header *unlink_first(struct neap_header **list)
{
    struct neap_header *header = *list;
    if (header != NULL)
        *list = np_link_decode(np_load_relaxed((np_word *)header)); /* relaxed: as in death.c */
    return header;
}

static bool take(bool with_prompt, struct np_pending_item **ret_item,
                 struct neap_header **ret_object)
{
    *ret_item = NULL;
    *ret_object = NULL;
    pthread_mutex_lock(&lock);
    if (with_prompt)
        *ret_object = unlink_first(&prompt);
    if (*ret_object == NULL && !np_list_empty(&items)) {
        *ret_item = np_container_of(items.next, struct np_pending_item, link);
        np_list_remove(items.next);
    } else if (*ret_object == NULL) {
        *ret_object = unlink_first(&objects);
    }
    bool found = *ret_item != NULL || *ret_object != NULL;
    if (found)
        np_store_relaxed(&np_pending_waiting, np_pending_waiting - 1);
    pthread_mutex_unlock(&lock);
    return found;
}

static size_t run(size_t most, bool with_prompt)
{
    struct np_pending_item *item;
    struct neap_header *object;
    size_t ran = 0;
    while (ran < most && np_pending_count() > 0 && take(with_prompt, &item, &object)) {
        if (item != NULL)
            item->run(item);
        else
            np_death_of_pending(object);
        ran++;
    }
    return ran;
}

size_t np_pending_run(size_t most)
{
    return run(most, true);
}

size_t np_pending_run_patient(void)
{
    return run(SIZE_MAX, false);
}
