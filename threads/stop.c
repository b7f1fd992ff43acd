/* SPDX-License-Identifier: MIT
 *
 * Stopping the world: every slot but the stopper's gets one suspend count. A slot that is at rest
 * (neither RUNNING, nor WAITING to run, nor claimed) is suspended by the stopper; the others get
 * the STOP token and are counted in `pending`. Who takes a token suspends the slot and uncounts it:
 * the thread at its poll, the thread after it published another state, a claimer after its drop, or
 * the stopper after a second look. So each slot is suspended exactly once, and the stopper sleeps
 * until pending is 0.
 *
 * Two looks each: the stopper sets the token, then reads the word; everybody else changes the word,
 * then reads the token. In the total order of those four (all seq_cst) one of the two sees the
 * other's write, so a slot at rest with a token on it never stays so.
 *
 * A WAITING slot gets the token and not the count, although it sleeps: it was suspended once
 * already and is to run before the next time (cpython#151518). New slots cannot slip through: the
 * registry is closed first, and what it makes from then on starts suspended.
 */
#include "threads/stop.h"

#include "base/check.h"
#include "base/event.h"
#include "base/os.h"
#include "base/perturb.h"
#include "base/probe.h"
#include "threads/blocking.h"
#include "threads/clock.h"
#include "threads/stop_stats.h"
#include "threads/turnstile.h"
#include "threads/watchdog.h"
#include "threads/word.h"

/* (L) under the turnstile, but for pending and owner. */
static struct {
    struct np_turnstile turnstile;
    uint32_t pending __attribute__((aligned(NP_CACHE_LINE))); /* (x) tokens out, and one: asking */
    const void *owner; /* (x) the stopper's np_tls while the world is stopped */
    enum np_stop_cause cause;
    uint64_t asked_ns, stopped_ns;
    uint32_t serial; /* of the stop; read by who takes its token */
} world;

/* How often pending is read before the stopper sleeps: the threads that poll at once on another
 * core answer within a microsecond, a sleep and its wake-up cost five. */
enum { SPINS = 200 };

static bool is_at_rest(uint32_t word)
{
    return np_word_state(word) != NP_RUNNING && !(word & (NP_WORD_WAITING | NP_WORD_CLAIMED));
}

static void answered(void)
{
    /* [MM-stop-1] acq_rel: what the thread did before it stopped is seen by the stopper; pairs with
     * the acquire in await_all */
    if (np_fetch_sub_acq_rel(&world.pending, 1) == 1)
        np_os_wake_all(&world.pending);
}

void np_stop_settle(struct np_thread *thread)
{
    uint32_t word = np_word_load(thread);
    while (is_at_rest(word)) {
        if (!np_token_take(thread, NP_REQUEST_STOP))
            return;
        np_perturb(stop_token);
        if (np_word_change(thread, &word, word + NP_WORD_SUSPEND)) {
            answered();
            return;
        }
        np_thread_request(thread, NP_REQUEST_STOP); /* back, then look again */
        word = np_word_load(thread);
    }
}

void np_stop_park(struct np_thread *thread)
{
    if (!np_token_take(thread, NP_REQUEST_STOP))
        return;
    uint32_t word = NP_RUNNING;
    /* WAITING at once: the next stop lets it run first */
    if (!np_word_change(thread, &word, (NP_PARKED + NP_WORD_SUSPEND) | NP_WORD_WAITING))
        np_panic("slot %u is not running but %#x", thread->id, word);
    uint64_t parked_ns = np_event_is_wanted() ? np_os_now_ns() : 0;
    uint32_t serial = world.serial;
    answered();
    np_unpark(thread);
    np_event_tell(NP_EVENT_STOPPED, parked_ns, 0, 0, serial);
}

static void ask(struct np_thread *thread)
{
    uint32_t word = np_word_load(thread);
    while (is_at_rest(word))
        if (np_word_change(thread, &word, word + NP_WORD_SUSPEND))
            return;
    np_fetch_add_relaxed(&world.pending, 1); /* relaxed: the token below publishes it */
    np_thread_request(thread, NP_REQUEST_STOP);
    np_stop_settle(thread);
}

static void await_all(void)
{
    struct np_watch watch = {.since_ns = world.asked_ns, .token = NP_REQUEST_STOP};
    uint32_t pending;
    for (unsigned i = 0; i < SPINS; i++) {
        if (np_load_acquire(&world.pending) == 0) /* [MM-stop-1] */
            return;
        np_spin_hint();
    }
    while ((pending = np_load_acquire(&world.pending)) != 0) /* [MM-stop-1] */
        np_os_wait(&world.pending, pending, np_watchdog_look(&watch));
}

static struct np_thread *running_self(void)
{
    return np_tls.id != NEAP_OWNER_NOBODY ? np_tls.thread : NULL;
}

void np_world_stop(enum np_stop_cause cause)
{
    struct np_thread *self = running_self();
    np_check(!np_world_is_stopped(), "this thread has stopped the world already");
    np_assert(self == NULL || (self->claims == 0 && np_tls.operation == 0));
    uint64_t asked_ns = np_os_now_ns();
    np_turnstile_enter(&world.turnstile, self);
    if (self != NULL)
        np_clock_note(self, NP_CLOCK_OPERATION);
    world.cause = cause;
    world.serial++;
    world.asked_ns = np_os_now_ns();
    np_stop_stats_note_turn(cause, world.asked_ns - asked_ns);
    np_store_relaxed(&world.pending, 1); /* relaxed: nobody answers before a token is set */
    uint32_t high = np_registry_close();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if (thread != self)
            ask(thread);
    }
    np_perturb(stop_asked);
    answered();
    await_all();
    np_store_relaxed(&world.owner, &np_tls); /* relaxed: only compared, by its writer */
    world.stopped_ns = np_os_now_ns();
    NP_PROBE(world__stop, (unsigned)cause, world.stopped_ns - world.asked_ns);
}

/* One count less; returns the word before. */
static uint32_t resume(struct np_thread *thread)
{
    uint32_t word = np_word_load(thread);
    do
        np_assert((word & NP_WORD_SUSPENDS) == NP_WORD_SUSPEND);
    while (!np_word_change(thread, &word, word - NP_WORD_SUSPEND));
    return word;
}

/* A stopper that is not RUNNING cannot act for others: it leaves that to the first that polls. */
static void pass_on_missed(uint32_t high)
{
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        /* relaxed: a slot that is made just now has missed nothing */
        if (np_load_relaxed(&thread->ready))
            np_thread_request(thread, NP_REQUEST_AGAIN);
    }
}

void np_world_start(void)
{
    np_check(np_world_is_stopped(), "this thread has not stopped the world");
    struct np_thread *self = running_self();
    np_assert(self == NULL || self->claims == 0);
    uint64_t end_ns = np_os_now_ns();
    struct np_stop_times times = {
        .to_safepoint_ns = world.stopped_ns - world.asked_ns,
        .stopped_ns = end_ns - world.stopped_ns,
        .end_ns = end_ns,
    };
    np_stop_stats_note(world.cause, &times);
    NP_PROBE(world__start, (unsigned)world.cause, times.stopped_ns);
    np_event_tell(NP_EVENT_TO_SAFEPOINT, world.asked_ns, world.stopped_ns, 0, world.serial);
    np_event_tell(NP_EVENT_WORLD, world.stopped_ns, end_ns, world.cause, world.serial);
    np_store_relaxed(&world.owner, NULL); /* relaxed: only compared, by its writer */
    uint32_t high = np_registry_open();
    uint32_t seen = 0;
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if (thread != self)
            seen |= resume(thread);
    }
    if (seen & NP_WORD_WAITING)
        np_word_wake();
    np_turnstile_leave(&world.turnstile);
    if (self != NULL)
        self->last_stop = times;
    if ((seen & NP_WORD_AGAIN) && self != NULL)
        np_claim_missed();
    else if (seen & NP_WORD_AGAIN)
        pass_on_missed(high);
}

bool np_world_is_stopped(void)
{
    /* relaxed: equal only for the thread that wrote it */
    return np_load_relaxed(&world.owner) == &np_tls;
}

uint64_t np_world_stopped_since(void)
{
    return world.stopped_ns;
}

struct np_stop_times np_world_last_stop(void)
{
    return np_tls.thread->last_stop;
}

void np_stop_forget(bool goes_on)
{
    world.turnstile = (struct np_turnstile){.next = goes_on};
    if (!goes_on)
        np_store_relaxed(&world.owner, NULL); /* relaxed: the only thread */
}
