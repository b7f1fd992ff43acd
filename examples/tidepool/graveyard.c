/* SPDX-License-Identifier: MIT
 *
 * tidepool: references to release later (see graveyard.h). */
#include "graveyard.h"

#include <stdint.h>

#include <neap/neap.h>

#define SETTLE_ROUNDS 16 /* at most: others may go on making objects meanwhile */
#define SETTLE_POLLS  100

void graveyard_add(struct graveyard *graveyard, const void *object)
{
    if (object == NULL)
        return;
    if (graveyard->count < GRAVEYARD_NEAR) {
        graveyard->near[graveyard->count++] = object;
        return;
    }
    size_t far_count = graveyard->count - GRAVEYARD_NEAR;
    if (far_count == graveyard->far_room) {
        size_t room = far_count == 0 ? 64 : 2 * far_count;
        const void **far = neap_realloc(graveyard->far, room * sizeof *far);
        if (far == NULL) {
            neap_release(object);
            return;
        }
        graveyard->far = far;
        graveyard->far_room = room;
    }
    graveyard->far[far_count] = object;
    graveyard->count++;
}

void graveyard_release(struct graveyard *graveyard)
{
    for (size_t i = 0; i < graveyard->count; i++)
        neap_release(i < GRAVEYARD_NEAR ? graveyard->near[i] : graveyard->far[i - GRAVEYARD_NEAR]);
    neap_free(graveyard->far);
    graveyard->far = NULL;
    graveyard->count = graveyard->far_room = 0;
}

static uint64_t objects_alive(void)
{
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.objects;
}

/* What counting frees, as long as that gets on. */
static void settle_counts(void)
{
    uint64_t alive = objects_alive(), before;
    do {
        before = alive;
        for (int i = 0; i < SETTLE_POLLS; i++) {
            neap_run_pending(SIZE_MAX);
            neap_safepoint();
        }
        alive = objects_alive();
    } while (alive < before);
}

void graveyard_settle(void)
{
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        settle_counts();
        if (neap_collect(2) <= 0)
            break;
    }
    settle_counts();
}
