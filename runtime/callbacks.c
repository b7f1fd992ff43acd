/* SPDX-License-Identifier: MIT */
#include "runtime/callbacks.h"

bool np_callbacks_add(struct np_callbacks *callbacks, void (*function)(void), void *arg)
{
    pthread_mutex_lock(&callbacks->lock);
    unsigned count = callbacks->count;
    bool room = count < NP_CALLBACKS_MOST;
    if (room) {
        callbacks->list[count] = (struct np_callback){function, arg, ++callbacks->added};
        np_store_relaxed(&callbacks->count, count + 1); /* relaxed: read as a hint */
    }
    pthread_mutex_unlock(&callbacks->lock);
    return room;
}

void np_callbacks_remove(struct np_callbacks *callbacks, void (*function)(void), void *arg)
{
    pthread_mutex_lock(&callbacks->lock);
    for (unsigned i = 0; i < callbacks->count; i++) {
        if (callbacks->list[i].function != function || callbacks->list[i].arg != arg)
            continue;
        for (unsigned k = i + 1; k < callbacks->count; k++)
            callbacks->list[k - 1] = callbacks->list[k];
        np_store_relaxed(&callbacks->count, callbacks->count - 1); /* relaxed: as above */
        break;
    }
    pthread_mutex_unlock(&callbacks->lock);
}

void np_callbacks_clear(struct np_callbacks *callbacks)
{
    pthread_mutex_lock(&callbacks->lock);
    np_store_relaxed(&callbacks->count, 0u); /* relaxed: as above */
    pthread_mutex_unlock(&callbacks->lock);
}

bool np_callbacks_next(struct np_callbacks *callbacks, struct np_callbacks_round *round,
                       struct np_callback *ret_callback)
{
    bool found = false;
    pthread_mutex_lock(&callbacks->lock);
    if (!round->begun)
        *round = (struct np_callbacks_round){.begun = true, .end = callbacks->added + 1};
    for (unsigned i = 0; i < callbacks->count && !found; i++) { /* in the order of their numbers */
        *ret_callback = callbacks->list[i];
        found = ret_callback->number > round->last && ret_callback->number < round->end;
    }
    if (found)
        round->last = ret_callback->number;
    pthread_mutex_unlock(&callbacks->lock);
    return found;
}
