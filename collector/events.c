/* SPDX-License-Identifier: MIT */
#include "collector/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomics.h"
#include "base/tls.h"
#include "neap/block.h"
#include "neap/status.h"
#include "runtime/callbacks.h"
#include "runtime/pending.h"

static struct np_callbacks callbacks = NP_CALLBACKS_INIT;

static unsigned debug_flags; /* (x) relaxed: read on its own */

/* ---- callbacks ---- */

int neap_gc_add_callback(neap_gc_callback_fn *callback, void *arg)
{
    bool added = np_callbacks_add(&callbacks, (void (*)(void))callback, arg);
    return added ? NEAP_OK : NEAP_ENOMEM;
}

void neap_gc_remove_callback(neap_gc_callback_fn *callback, void *arg)
{
    np_callbacks_remove(&callbacks, (void (*)(void))callback, arg);
}

void np_events_fini(void)
{
    np_callbacks_clear(&callbacks);
}

void np_events_lock(void)
{
    pthread_mutex_lock(&callbacks.lock);
}

void np_events_unlock(void)
{
    pthread_mutex_unlock(&callbacks.lock);
}

void np_events_call(const struct neap_gc_event *event)
{
    struct np_callbacks_round round = {0};
    struct np_callback callback;
    if (!np_callbacks_any(&callbacks))
        return;
    np_tls.dying++; /* no collection inside; what it releases dies afterwards */
    while (np_callbacks_next(&callbacks, &round, &callback))
        ((neap_gc_callback_fn *)callback.function)(event, callback.arg);
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
    struct neap_gc_event start = {.start = true, .generation = end.generation, .cause = end.cause};
    neap_free(later);
    np_events_call(&start);
    np_events_call(&end);
}

void np_events_call_later(const struct neap_gc_event *end)
{
    if (!np_callbacks_any(&callbacks))
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
            "neap: collected generation %d (%s): %" PRIu64 " unreachable, %" PRIu64
            " uncollectable, %.3f ms, stopped %.3f ms%s\n",
            event->generation, neap_gc_cause_name(event->cause), event->collected,
            event->uncollectable, (double)event->total_ns / 1e6, (double)event->stopped_ns / 1e6,
            phases);
}

void np_events_print_giant(size_t objects, uint64_t stopped_ns)
{
    if (neap_gc_get_debug() & NEAP_GC_DEBUG_STATS)
        fprintf(stderr, "neap: one component of %zu objects took a stop of %.3f ms\n", objects,
                (double)stopped_ns / 1e6);
}

void np_events_print_object(const struct neap_header *header, bool collectable)
{
    unsigned flag = collectable ? NEAP_GC_DEBUG_COLLECTABLE : NEAP_GC_DEBUG_UNCOLLECTABLE;
    if (neap_gc_get_debug() & flag)
        fprintf(stderr, "neap: %s: %s at %p\n", collectable ? "collectable" : "uncollectable",
                np_type_at(header->type)->name, np_object_of(header));
}
