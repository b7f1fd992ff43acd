/* SPDX-License-Identifier: MIT
 *
 * A list of the program's callbacks: functions with their argument, in the order in which they were
 * added. For a round of calls the list is copied, so that a callback may add and remove callbacks.
 *
 * Implemented by callbacks.c. Any thread. */
#ifndef NP_RUNTIME_CALLBACKS_H
#define NP_RUNTIME_CALLBACKS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/atomics.h"

enum { NP_CALLBACKS_MOST = 64 };

struct np_callback {
    void (*function)(void); /* of the type that the list is for */
    void *arg;
};

struct np_callbacks {
    pthread_mutex_t lock;
    unsigned count;                             /* (L) written; read as a hint */
    struct np_callback list[NP_CALLBACKS_MOST]; /* (L) */
};

#define NP_CALLBACKS_INIT \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

bool np_callbacks_add(struct np_callbacks *callbacks, void (*function)(void), void *arg);
void np_callbacks_remove(struct np_callbacks *callbacks, void (*function)(void), void *arg);
void np_callbacks_clear(struct np_callbacks *callbacks);
/* Returns how many there are. */
unsigned np_callbacks_copy(struct np_callbacks *callbacks,
                           struct np_callback ret_copy[NP_CALLBACKS_MOST]);

static inline bool np_callbacks_any(const struct np_callbacks *callbacks)
{
    return np_load_relaxed(&callbacks->count) > 0; /* relaxed: who is added now sees the next one */
}

#endif
