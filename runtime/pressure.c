/* SPDX-License-Identifier: MIT
 *
 * The item that calls the callbacks exists once, so nothing here can fail for want of memory. */
#include "runtime/pressure.h"

#include "alloc/meta.h"
#include "base/options.h"
#include "base/tls.h"
#include "neap/pressure.h"
#include "neap/status.h"
#include "runtime/callbacks.h"
#include "runtime/pending.h"
#include "threads/thread.h"

enum {
    HARD_SHARE = 8, /* without a soft limit: an eighth below the hard one */
    STEP_SHARE = 16 /* told again after growth by a sixteenth */
};

/* Bits of np_pressure_wanted. */
enum asked { ASKED_ITSELF = 1 << 0, ASKED_ALL = 1 << 1 };

static struct np_callbacks callbacks = NP_CALLBACKS_INIT;

/* relaxed, all accesses to these: figures and hints; the pending list's lock orders the item */
unsigned np_pressure_wanted; /* enum asked */
int64_t np_pressure_external;
static struct {
    uint64_t limit; /* (c) beyond which memory is short; 0: never */
    uint64_t mark;  /* (x) and beyond which somebody is told, again */
    bool refused;   /* (x) since the last call */
    bool queued;    /* (x) the item is on the pending list */
} state;

static void run(struct np_pending_item *unused);
static struct np_pending_item item = {.run = run};

static uint64_t used_bytes(void)
{
    return np_committed() + np_external_bytes();
}

/* From how many bytes in use on alloc is to raise; in its own terms, without those outside. */
static void watch(uint64_t mark)
{
    uint64_t external = np_external_bytes();
    np_store_relaxed(&state.mark, mark);
    np_commit_watch(state.limit > external ? state.limit - external : 1,
                    mark > external ? mark - external : 1);
}

void np_pressure_init(void)
{
    uint64_t soft = np_options.heap_soft_limit, hard = np_options.heap_hard_limit;
    state.limit = soft != 0 ? soft : hard - hard / HARD_SHARE;
    np_store_relaxed(&np_pressure_external, 0);
    np_store_relaxed(&state.refused, false);
    np_store_relaxed(&np_pressure_wanted, 0u);
    if (state.limit != 0)
        watch(state.limit);
}

void np_pressure_fini(void)
{
    np_callbacks_clear(&callbacks);
    np_commit_watch(0, 0);
}

bool np_pressure_raise(bool refused)
{
    if (refused)
        np_store_relaxed(&state.refused, true);
    if (np_tls.id != NEAP_OWNER_NOBODY) { /* attached, and not in a blocking region */
        (void)np_fetch_or_relaxed(&np_pressure_wanted, ASKED_ITSELF);
        np_thread_request(np_tls.thread, NP_REQUEST_PENDING);
        return false;
    }
    if (np_fetch_or_relaxed(&np_pressure_wanted, ASKED_ALL) & ASKED_ALL)
        return false;
    np_pending_ask_all();
    return np_callbacks_any(&callbacks);
}

void np_pressure_attached(struct np_thread *thread)
{
    /* one raised meanwhile may miss the thread: its first slow path serves it */
    if (np_unlikely(np_load_relaxed(&np_pressure_wanted) != 0))
        np_thread_request(thread, NP_REQUEST_PENDING);
}

int64_t np_pressure_tell(int64_t delta)
{
    int64_t now = np_fetch_add_relaxed(&np_pressure_external, delta) + delta;
    if (state.limit == 0)
        return now;
    uint64_t used = used_bytes(), mark = np_load_relaxed(&state.mark);
    watch(used <= state.limit ? state.limit : mark);
    if (used > mark)
        (void)np_pressure_raise(false);
    return now;
}

static bool is_short(void)
{
    return (state.limit != 0 && used_bytes() > state.limit) || np_load_relaxed(&state.refused);
}

void np_pressure_serve_slow(void)
{
    if (np_exchange_relaxed(&np_pressure_wanted, 0) == 0 || !is_short())
        return;
    watch(used_bytes() + state.limit / STEP_SHARE);
    bool queued = false;
    if (np_callbacks_any(&callbacks) && np_cas_relaxed(&state.queued, &queued, true))
        np_pending_push(&item);
}

static void run(struct np_pending_item *unused)
{
    (void)unused;
    struct np_callbacks_round round = {0};
    struct np_callback callback;
    np_store_relaxed(&state.queued, false);
    if (!is_short())
        return;
    struct neap_pressure pressure = {
        .used_bytes = used_bytes(),
        .soft_limit_bytes = np_options.heap_soft_limit,
        .hard_limit_bytes = np_options.heap_hard_limit,
        .refused = np_exchange_relaxed(&state.refused, false),
    };
    np_tls.dying++; /* no collection inside; what it releases dies afterwards */
    while (np_callbacks_next(&callbacks, &round, &callback))
        ((neap_pressure_fn *)callback.function)(&pressure, callback.arg);
    np_tls.dying--;
}

int neap_pressure_add_callback(neap_pressure_fn *callback, void *arg)
{
    if (!np_callbacks_any(&callbacks)) { /* nobody was told, so nobody is told now, of what was */
        np_store_relaxed(&state.refused, false);
        np_store_relaxed(&np_pressure_wanted, 0u);
    }
    bool added = np_callbacks_add(&callbacks, (void (*)(void))callback, arg);
    return added ? NEAP_OK : NEAP_ENOMEM;
}

void neap_pressure_remove_callback(neap_pressure_fn *callback, void *arg)
{
    np_callbacks_remove(&callbacks, (void (*)(void))callback, arg);
}

void np_pressure_lock(void)
{
    pthread_mutex_lock(&callbacks.lock);
}

void np_pressure_unlock(void)
{
    pthread_mutex_unlock(&callbacks.lock);
}
