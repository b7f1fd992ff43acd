/* SPDX-License-Identifier: MIT
 *
 * One word says it all; both sleep on it. */
#include "collector/partner.h"

#include <pthread.h>

#include "base/os.h"
#include "base/perturb.h"
#include "threads/blocking.h"
#include "threads/thread.h"

enum state { RESTING, OFFERED, TAKEN, ENDED, LEAVING };

static struct {
    uint32_t state;              /* (x) enum state */
    void (*work)(unsigned who);  /* (c) from the offer to its end */
    pthread_t thread;            /* the first thread's, all below */
    bool running, wanted, tried; /* tried: to start one, for this cycle */
    bool failed;                 /* (x) the second thread could not begin, and has gone */
} partner;

static void change(enum state state)
{
    /* [MM-partner-1] release: the work is seen with the offer, what it did with its end; pairs with
     * the acquires in take and np_partner_share */
    np_store_release(&partner.state, (uint32_t)state);
    np_os_wake_all(&partner.state);
}

static bool take(void)
{
    uint32_t offered = OFFERED;
    return np_cas_acq_rel(&partner.state, &offered, (uint32_t)TAKEN); /* [MM-partner-1] */
}

static void *routine(void *arg)
{
    (void)arg;
    if (np_thread_attach("neap marker") != 0) {
        np_store_relaxed(&partner.failed, true); /* out of memory: nobody takes an offer */
        return NULL;
    }
    np_blocking_enter(np_tls.thread);
    for (;;) {
        uint32_t seen = np_load_acquire(&partner.state); /* [MM-partner-1] */
        if (seen == LEAVING)
            break;
        if (seen != OFFERED) {
            np_os_wait(&partner.state, seen, UINT64_MAX);
            continue;
        }
        if (!take())
            continue;
        np_perturb(partner_taken);
        np_blocking_leave(np_tls.thread);
        partner.work(1);
        np_blocking_enter(np_tls.thread);
        change(ENDED);
    }
    np_blocking_leave(np_tls.thread);
    np_thread_detach();
    return NULL;
}

static void start(void)
{
    partner.tried = true;
    np_store_relaxed(&partner.failed, false); /* relaxed: a hint */
    partner.running = np_os_start_thread(&partner.thread, routine, NULL);
}

/* Nobody has come: the offer is off. */
static bool withdraw(void)
{
    uint32_t offered = OFFERED;
    return np_cas_relaxed(&partner.state, &offered,
                          (uint32_t)RESTING); /* relaxed: nothing was done */
}

void np_partner_share(void (*work)(unsigned who))
{
    if (partner.running && np_load_relaxed(&partner.failed)) /* relaxed: a hint */
        np_partner_end();
    if (partner.wanted && !partner.running && !partner.tried)
        start();
    if (!partner.wanted || !partner.running) {
        work(0);
        return;
    }
    partner.work = work;
    change(OFFERED);
    work(0);
    np_perturb(partner_shared);
    if (withdraw())
        return;
    uint32_t seen;
    np_blocking_enter(np_tls.thread);
    while ((seen = np_load_acquire(&partner.state)) != ENDED) /* [MM-partner-1] */
        np_os_wait(&partner.state, seen, UINT64_MAX);
    np_blocking_leave(np_tls.thread);
    np_store_relaxed(&partner.state, (uint32_t)RESTING); /* relaxed: between two offers */
}

void np_partner_want(bool wanted)
{
    partner.wanted = wanted;
    partner.tried = false;
}

static void forget(void)
{
    partner.running = false;
    np_store_relaxed(&partner.state, (uint32_t)RESTING); /* relaxed: nobody else is left */
}

void np_partner_end(void)
{
    if (!partner.running)
        return;
    change(LEAVING);
    np_blocking_enter(np_tls.thread);
    pthread_join(partner.thread, NULL);
    np_blocking_leave(np_tls.thread);
    forget();
}

void np_partner_forked(void)
{
    forget();
}
