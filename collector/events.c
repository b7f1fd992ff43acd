/* SPDX-License-Identifier: MIT
 *
 * Callbacks are kept in an array that is copied for each round of calls, so that a callback may add
 * and remove callbacks. */
#include "collector/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomics.h"
#include "base/tls.h"
#include "neap/block.h"
#include "neap/status.h"
#include "runtime/pending.h"

enum { CALLBACKS_MOST = 64 };

struct callback {
    neap_gc_callback_fn *function;
    void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct callback callbacks[CALLBACKS_MOST]; /* (L) */
static unsigned callback_count;                   /* (L) written; read as a hint */

static unsigned debug_flags; /* (x) relaxed: read on its own */

/* ---- callbacks ---- */

int neap_gc_add_callback(neap_gc_callback_fn *callback, void *arg)
{
    int status = NEAP_ENOMEM;
    pthread_mutex_lock(&lock);
    if (callback_count < CALLBACKS_MOST) {
        callbacks[callback_count] = (struct callback){callback, arg};
        np_store_relaxed(&callback_count, callback_count + 1); /* relaxed: read as a hint */
        status = NEAP_OK;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void neap_gc_remove_callback(neap_gc_callback_fn *callback, void *arg)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < callback_count; i++) {
        if (callbacks[i].function != callback || callbacks[i].arg != arg)
            continue;
        for (unsigned k = i + 1; k < callback_count; k++)
            callbacks[k - 1] = callbacks[k];
        np_store_relaxed(&callback_count, callback_count - 1); /* relaxed: as above */
        break;
    }
    pthread_mutex_unlock(&lock);
}

void np_events_fini(void)
{
    pthread_mutex_lock(&lock);
    np_store_relaxed(&callback_count, 0u); /* relaxed: as above */
    pthread_mutex_unlock(&lock);
}

void np_events_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_events_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static bool anybody(void)
{
    return np_load_relaxed(&callback_count) >
           0; /* relaxed: a callback added now sees the next one */
}

void np_events_call(const struct neap_gc_event *event)
{
    struct callback copy[CALLBACKS_MOST];
    if (!anybody())
        return;
    pthread_mutex_lock(&lock);
    unsigned count = callback_count;
    for (unsigned i = 0; i < count; i++)
        copy[i] = callbacks[i];
    pthread_mutex_unlock(&lock);
    np_tls.dying++; /* no collection inside; what it releases dies afterwards */
    for (unsigned i = 0; i < count; i++)
        copy[i].function(event, copy[i].arg);
    np_tls.dying--;
}

struct later {
    struct np_pending_item item;
    struct neap_gc_event end;
};

static void run_later(struct np_pending_item *item)
{
    struct later *later = np_container_of(item, struct later, item);
    struct neap_gc_event end = later->end;
    struct neap_gc_event start = {.start = true, .generation = end.generation};
    neap_free(later);
    np_events_call(&start);
    np_events_call(&end);
}

void np_events_call_later(const struct neap_gc_event *end)
{
    if (!anybody())
        return;
    struct later *later = neap_alloc(sizeof *later);
    if (later == NULL)
        return;
    later->item.run = run_later;
    later->end = *end;
    np_pending_push(&later->item);
}

/* ---- printing ---- */

void neap_gc_set_debug(unsigned flags)
{
    np_store_relaxed(&debug_flags, flags); /* relaxed: read on its own */
}

unsigned neap_gc_get_debug(void)
{
    return np_load_relaxed(&debug_flags); /* relaxed: as above */
}

void np_events_print(const struct neap_gc_event *event)
{
    if (!(neap_gc_get_debug() & NEAP_GC_DEBUG_STATS))
        return;
    char phases[512] = "";
    size_t length = 0;
    for (unsigned i = 0; i < NEAP_GC_PHASES; i++)
        if (event->phase_ns[i] > 0 && length < sizeof phases - 32)
            length += (size_t)snprintf(phases + length, sizeof phases - length, ", %s %.3f",
                                       neap_gc_phase_name((enum neap_gc_phase)i),
                                       (double)event->phase_ns[i] / 1e6);
    fprintf(stderr,
            "neap: collected generation %d: %" PRIu64 " unreachable, %" PRIu64
            " uncollectable, %.3f ms, stopped %.3f ms%s\n",
            event->generation, event->collected, event->uncollectable,
            (double)event->total_ns / 1e6, (double)event->stopped_ns / 1e6, phases);
}

void np_events_print_object(const struct neap_header *header, bool collectable)
{
    unsigned flag = collectable ? NEAP_GC_DEBUG_COLLECTABLE : NEAP_GC_DEBUG_UNCOLLECTABLE;
    if (neap_gc_get_debug() & flag)
        fprintf(stderr, "neap: %s: %s at %p\n", collectable ? "collectable" : "uncollectable",
                np_type_at(header->type)->name, np_object_of(header));
}
