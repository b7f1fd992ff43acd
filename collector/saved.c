/* SPDX-License-Identifier: MIT
 *
 * The list is an ordinary neap_list, made when it is first needed. One lock orders additions among
 * themselves; the program reads and empties the list where nothing is collected at the same time.
 */
#include "collector/saved.h"

#include <pthread.h>

#include "neap/gc.h"
#include "neap/list.h"
#include "runtime/usage.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct neap_list *saved; /* (L) */

/* Made without the lock: allocation may wait for a stop. */
static struct neap_list *get(void)
{
    pthread_mutex_lock(&lock);
    struct neap_list *list = neap_retain(saved);
    pthread_mutex_unlock(&lock);
    if (list != NULL)
        return list;
    list = neap_list_new();
    pthread_mutex_lock(&lock);
    struct neap_list *spare = saved == NULL ? NULL : list;
    if (saved == NULL)
        saved = list;
    list = neap_retain(saved);
    pthread_mutex_unlock(&lock);
    neap_release(spare);
    return list;
}

struct neap_list *neap_gc_garbage(void)
{
    np_usage_check("neap_gc_garbage");
    return get();
}

void np_saved_add(struct neap_header *header)
{
    struct neap_list *list = get();
    if (list == NULL)
        return;
    pthread_mutex_lock(&lock);
    (void)neap_list_append(list, np_object_of(header));
    pthread_mutex_unlock(&lock);
    neap_release(list);
}

void np_saved_drop(void)
{
    pthread_mutex_lock(&lock);
    struct neap_list *list = saved;
    saved = NULL;
    pthread_mutex_unlock(&lock);
    neap_release(list);
}
