/* SPDX-License-Identifier: MIT
 *
 * The parent's threads stand still while it forks, so the child finds every slot's state at a point
 * where it may be taken over. What the child cannot trust is what unattached threads were doing: an
 * attach half way between the free stack and the word. So the child builds the stack anew, and
 * frees every slot but its own, whoever had popped it.
 *
 * The world stays stopped by the child's only thread until its slots are in order; then the stop,
 * and a handshake that was open, are forgotten without waking anybody: there is nobody. */
#include "threads/fork.h"

#include "base/os.h"
#include "threads/address_lock.h"
#include "threads/clock.h"
#include "threads/handshake.h"
#include "threads/stop.h"
#include "threads/word.h"

static bool was_stopped; /* (s) the program forks inside a stop of its own */

void np_threads_fork_prepare(void)
{
    bool stopped = np_world_is_stopped();
    if (!stopped)
        np_world_stop(NP_STOP_FORK);
    was_stopped = stopped;
    np_registry_lock();
}

void np_threads_fork_parent(void)
{
    np_registry_unlock();
    if (!was_stopped)
        np_world_start();
}

/* The word as the stop left it if that goes on, else without anybody's counts and wishes. */
static void settle_word(struct np_thread *thread, enum np_thread_state state)
{
    uint32_t kept = np_word_load(thread) & (was_stopped ? NP_WORD_SUSPENDS : 0);
    np_store_relaxed(&thread->state, state | kept); /* relaxed: the only thread */
}

void np_threads_fork_child(void (*vanished)(struct np_thread *thread))
{
    struct np_thread *self = np_tls.thread;
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        bool gone = thread != self && np_thread_state_of(thread) != NP_DETACHED;
        if (gone && np_load_relaxed(&thread->ready) && vanished != NULL)
            vanished(thread);
        if (thread != self) {
            np_store_relaxed(&thread->requests, 0); /* relaxed: the only thread */
            settle_word(thread, NP_DETACHED);
        }
    }
    if (self != NULL) {
        settle_word(self, np_thread_state_of(self));
        np_token_take(self, NP_REQUEST_STOP | NP_REQUEST_HANDSHAKE);
        np_store_relaxed(&self->os_id, np_os_thread_id()); /* relaxed: a hint */
    }
    np_registry_rebuild(was_stopped);
    np_handshake_forget();
    np_address_locks_forget_waiters();
    np_stop_forget(was_stopped);
}
