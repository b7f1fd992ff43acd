/* SPDX-License-Identifier: MIT
 *
 * Workers sleep on `round`. A run raises it after having written the work down; each worker counts
 * itself off in `busy` when it is done, and the last one wakes the caller. A barrier counts
 * arrivals; the last one opens it by raising its generation. Waiting spins a little first: a phase
 * is often shorter than going to sleep. */
#include "collector/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/atomics.h"
#include "base/event.h"
#include "base/compiler.h"
#include "base/options.h"
#include "base/os.h"

enum { SPINS = 200 };
_Static_assert((int)NP_CREW_MOST <= (int)NP_EVENT_HELPERS, "each tells for itself");

static struct {
    unsigned size; /* (L) of collect.c: workers, the caller included; 0: not gathered yet */
    pthread_t threads[NP_CREW_MOST];

    uint32_t round
        __attribute__((aligned(NP_CACHE_LINE))); /* (x) raised for each run, and to end */
    unsigned workers;                            /* of the run at hand */
    enum neap_gc_phase phase;
    void (*work)(unsigned index, void *arg); /* NULL: end */
    void *arg;

    uint32_t busy __attribute__((aligned(NP_CACHE_LINE)));    /* (x) workers not done yet */
    uint32_t arrived __attribute__((aligned(NP_CACHE_LINE))); /* (x) at the barrier */
    uint32_t opened;                                          /* (x) barriers opened */
} crew;

/* Returns when *word is no longer `seen`, with its value. */
static uint32_t await_change(const uint32_t *word, uint32_t seen)
{
    for (unsigned spin = 0;; spin++) {
        /* [MM-crew-1] acquire: what the writer did before is seen; pairs with the releases below */
        uint32_t now = np_load_acquire(word);
        if (now != seen)
            return now;
        if (spin < SPINS)
            np_spin_hint();
        else
            np_os_wait(word, seen, UINT64_MAX);
    }
}

static void done(void)
{
    /* [MM-crew-1] acq_rel: our work is seen by the caller, which waits for 0 */
    if (np_fetch_sub_acq_rel(&crew.busy, 1) == 1)
        np_os_wake_all(&crew.busy);
}

/* Told before the caller goes on: it lies in the caller's phase. */
static void take_part(unsigned index)
{
    uint64_t start_ns = np_event_is_wanted() ? np_os_now_ns() : 0;
    crew.work(index, crew.arg);
    np_event_tell(NP_EVENT_PHASE, start_ns, 0, crew.phase, 0);
}

static void *worker_main(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg;
    uint32_t seen = 0;
    np_event_helper = index;
    for (;;) {
        seen = await_change(&crew.round, seen);
        if (crew.work == NULL)
            return NULL;
        if (index < crew.workers)
            take_part(index);
        done();
    }
}

static bool start_worker(unsigned index)
{
    return np_os_start_thread(&crew.threads[index], worker_main, (void *)(uintptr_t)index);
}

static unsigned wanted(void)
{
    uint64_t most = np_options.collector_threads;
    if (most == 0)
        most = np_os_processors();
    unsigned size = 1;
    while (size < NP_CREW_MOST && size * 2 <= most)
        size *= 2;
    return size;
}

static void raise_round(unsigned workers, void (*work)(unsigned index, void *arg), void *arg)
{
    crew.workers = workers;
    crew.work = work;
    crew.arg = arg;
    np_store_relaxed(&crew.busy, crew.size - 1); /* relaxed: ordered by the round */
    /* [MM-crew-1] release: the work is seen with the new round; pairs with await_change */
    np_store_release(&crew.round, crew.round + 1);
    np_os_wake_all(&crew.round);
}

static void await_workers(void)
{
    uint32_t left;
    /* [MM-crew-1] acquire: the workers' work is seen; pairs with done */
    while ((left = np_load_acquire(&crew.busy)) > 0)
        (void)await_change(&crew.busy, left);
}

/* Threads that cannot be had are done without: the size is then the next lower power of two. */
unsigned np_crew_gather(void)
{
    if (crew.size != 0)
        return crew.size;
    crew.round = 0;
    unsigned size = wanted(), started = 1;
    while (started < size && start_worker(started))
        started++;
    crew.size = started; /* threads that wait for a round, those beyond a power of two idle */
    return np_crew_size();
}

unsigned np_crew_size(void)
{
    unsigned size = 1;
    while (size * 2 <= crew.size)
        size *= 2;
    return size;
}

void np_crew_run(enum neap_gc_phase phase, unsigned workers,
                 void (*work)(unsigned index, void *arg), void *arg)
{
    if (workers <= 1) {
        crew.workers = 1;
        work(0, arg);
        return;
    }
    crew.phase = phase;
    raise_round(workers, work, arg);
    work(0, arg);
    await_workers();
}

void np_crew_barrier(void)
{
    if (crew.workers <= 1)
        return;
    uint32_t opened = np_load_relaxed(&crew.opened); /* relaxed: it opens after our arrival only */
    /* [MM-crew-2] acq_rel: what every worker did before is seen by the last to arrive */
    if (np_fetch_add_acq_rel(&crew.arrived, 1) + 1 == crew.workers) {
        np_store_relaxed(&crew.arrived, 0u); /* relaxed: ordered by the release that follows */
        /* [MM-crew-2] release: and by all who leave; pairs with the acquire in await_change */
        np_store_release(&crew.opened, opened + 1);
        np_os_wake_all(&crew.opened);
    } else {
        (void)await_change(&crew.opened, opened);
    }
}

void np_crew_fini(void)
{
    if (crew.size > 1) {
        raise_round(0, NULL, NULL);
        for (unsigned i = 1; i < crew.size; i++)
            pthread_join(crew.threads[i], NULL);
    }
    crew.size = 0;
}

void np_crew_forked(void)
{
    crew.size = 0;
    crew.arrived = crew.opened = 0;
}
