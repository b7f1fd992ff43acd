/* SPDX-License-Identifier: MIT
 *
 * A list of the program's callbacks: functions with their argument, in the order in which they were
 * added. A round of calls takes them one by one, so that a callback may add and remove callbacks:
 * what is removed before its turn is not called any more, what is added is called next time.
 *
 * Implemented by callbacks.c. Any thread. */
#ifndef NP_RUNTIME_CALLBACKS_H
#define NP_RUNTIME_CALLBACKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"

enum { NP_CALLBACKS_MOST = 64 };

struct np_callback {
    void (*function)(void); /* of the type that the list is for */
    void *arg;
    uint64_t number; /* counts what was ever added to the list: the order */
};

struct np_callbacks_round {
    bool begun;
    uint64_t last,
        end; /* numbers: of the callback called last, and of the first not to be called */
};

struct np_callbacks {
    pthread_mutex_t lock;
    uint64_t added;                             /* (L) ever, from 0 */
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
/* The next of a round, which begins with {0}; false: it has ended. No lock is held afterwards: a
 * callback that another thread removes now may still be called this once. */
bool np_callbacks_next(struct np_callbacks *callbacks, struct np_callbacks_round *round,
                       struct np_callback *ret_callback);

static inline bool np_callbacks_any(const struct np_callbacks *callbacks)
{
    return np_load_relaxed(&callbacks->count) > 0; /* relaxed: who is added now sees the next one */
}

#endif
