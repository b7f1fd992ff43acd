/* SPDX-License-Identifier: MIT
 *
 * When memory becomes short, and who wants to know (<neap/pressure.h>).
 *
 *   the account grows past the mark, or refuses     alloc/meta.c, under any lock: raise
 *     |  wanted; a running thread asks itself for a safepoint, any other asks all attached
 *     |  threads and, once it holds no lock, wakes the helper
 *     v
 *   an attached thread's slow path, safepoint, or the helper: serve
 *     |  one pending item; the mark moves up a sixteenth of the limit
 *     v
 *   where user code may run: callbacks, unless there is room again
 *
 * The mark falls back to the limit when the account falls below it.
 *
 * Implemented by pressure.c. Any thread. */
#ifndef NP_RUNTIME_PRESSURE_H
#define NP_RUNTIME_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"

struct np_thread;

void np_pressure_init(void); /* reads the limits from the options */
void np_pressure_fini(void); /* forgets the callbacks */

/* Hook of alloc: the account has passed the mark; refused: it is the hard limit that was met. Takes
 * no lock. True: the helper is to be woken, once no lock is held. */
bool np_pressure_raise(bool refused);
/* What the program holds outside, in all, as far as it told; less than 0 is none. */
extern int64_t np_pressure_external; /* (x) relaxed: a sum */
static inline uint64_t np_external_bytes(void)
{
    int64_t external = np_load_relaxed(&np_pressure_external);
    return external > 0 ? (uint64_t)external : 0;
}
/* It is so many bytes more. Returns the sum. */
int64_t np_pressure_tell(int64_t delta);

extern unsigned np_pressure_wanted; /* (x) who was asked, 0: nobody; relaxed: a hint, taken by one
                                     * exchange */
void np_pressure_serve_slow(void);

/* Of an attached thread that holds no lock of ours. */
static inline void np_pressure_serve(void)
{
    if (np_unlikely(np_load_relaxed(&np_pressure_wanted) != 0)) /* relaxed: a hint */
        np_pressure_serve_slow();
}

/* The thread has just been attached: what was asked before holds for it too. */
void np_pressure_attached(struct np_thread *thread);

/* Around a fork: no thread is in the middle of adding or removing a callback. */
void np_pressure_lock(void);
void np_pressure_unlock(void);

#endif
