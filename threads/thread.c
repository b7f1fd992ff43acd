/* SPDX-License-Identifier: MIT
 *
 * Slots are found by number through a table of chunks; chunks are reserved when the first slot in
 * them is needed and stay until np_threads_fini. Free slots form a stack through next_free, its
 * head a tag and a number in one word (the tag counts changes, so that a pop that was overtaken
 * fails): attaching to a used slot is lock-free but for the wait for a stop. Only a slot that never
 * was takes the grow lock, which is also where a stop learns of it.
 *
 * A thread's exit detaches it in the last round of key destructors, so that the destructors of
 * others can use the runtime until then. Afterwards the key's value says that it is over: an attach
 * would never be undone.
 *
 * Concurrency: a slot belongs to the thread that popped it until that thread pushes it back, after
 * it published DETACHED.
 */
#include "threads/thread.h"

#include <errno.h>

#include "base/check.h"
#include "base/os.h"
#include "neap/status.h"
#include "threads/address_lock.h"
#include "threads/blocking.h"
#include "threads/clock.h"
#include "threads/handshake.h"
#include "threads/safepoint.h"
#include "threads/word.h"

enum {
    CHUNK_LOG2 = 8,
    CHUNK_SLOTS = 1 << CHUNK_LOG2,
    CHUNKS = (NEAP_OWNER_LAST >> CHUNK_LOG2) + 1,
    CHUNK_BYTES = CHUNK_SLOTS * sizeof(struct np_thread)
};

_Static_assert(sizeof(struct np_thread) == 4 * NP_CACHE_LINE, "a slot is four cache lines");
_Static_assert(offsetof(struct np_thread, requests) == offsetof(struct neap_poll_point, requests) &&
                   offsetof(struct np_thread, site) == offsetof(struct neap_poll_point, site),
               "a slot begins with what a poll touches");
_Static_assert(offsetof(struct np_thread, state) == NP_CACHE_LINE, "requests stand alone");
_Static_assert(offsetof(struct np_thread, clock_seen) == 2 * NP_CACHE_LINE, "so does the word");

static struct {
    struct np_thread *chunks[CHUNKS]; /* (L) written once; read with acquire */
    uint64_t free;                    /* (x) tag << 16 | slot number, 0: none */
    uint32_t high;                    /* (L) written; read seq_cst */
    uint32_t attached;                /* (x) threads attached */
    bool closed;                      /* (L) new slots start suspended */
    bool has_key;
    pthread_key_t key; /* (c) the thread's slot while attached; `exited` after the last round */
    pthread_mutex_t grow;
} registry = {.grow = PTHREAD_MUTEX_INITIALIZER};

static char exited; /* its address is the key's value of a thread that is over */

struct np_thread_hooks np_thread_hooks;

/* ---- slots ---- */

struct np_thread *np_thread_at(uint16_t id)
{
    /* [MM-chunk-1] acquire: the chunk's slots are made; pairs with the release in make_slot */
    struct np_thread *chunk = np_load_acquire(&registry.chunks[id >> CHUNK_LOG2]);
    return &chunk[id & (CHUNK_SLOTS - 1)];
}

uint32_t np_thread_high(void)
{
    return np_load_seq_cst(&registry.high); /* [MM-high-1] see clock.c; pairs with make_slot */
}

/* NULL: no memory, or every number is taken. */
static struct np_thread *make_slot(void)
{
    struct np_thread *slot = NULL;
    pthread_mutex_lock(&registry.grow);
    uint32_t id = np_load_relaxed(&registry.high) + 1; /* relaxed: under the lock */
    struct np_thread *chunk = NULL;
    if (id <= NEAP_OWNER_LAST) {
        chunk = np_load_relaxed(&registry.chunks[id >> CHUNK_LOG2]); /* relaxed: under the lock */
        if (chunk == NULL) {
            chunk = np_os_reserve(CHUNK_BYTES, NP_CACHE_LINE);
            /* [MM-chunk-1] release: a chunk is zero; pairs with the acquire in np_thread_at */
            np_store_release(&registry.chunks[id >> CHUNK_LOG2], chunk);
        }
    }
    if (chunk != NULL) {
        slot = &chunk[id & (CHUNK_SLOTS - 1)];
        slot->id = (uint16_t)id;
        /* relaxed: the mark publishes it */
        np_store_relaxed(&slot->state, NP_DETACHED | (registry.closed ? NP_WORD_SUSPEND : 0));
        /* [MM-high-1] seq_cst: the mark rises before the slot's thread reads an epoch */
        np_store_seq_cst(&registry.high, id);
    }
    pthread_mutex_unlock(&registry.grow);
    return slot;
}

uint32_t np_registry_close(void)
{
    pthread_mutex_lock(&registry.grow);
    registry.closed = true;
    uint32_t high = np_thread_high();
    pthread_mutex_unlock(&registry.grow);
    return high;
}

uint32_t np_registry_open(void)
{
    pthread_mutex_lock(&registry.grow);
    registry.closed = false;
    uint32_t high = np_thread_high();
    pthread_mutex_unlock(&registry.grow);
    return high;
}

static uint64_t retag(uint64_t head, uint16_t id)
{
    return ((head >> 16) + 1) << 16 | id;
}

static struct np_thread *pop_slot(void)
{
    /* [MM-free-1] acquire: the slot's fields as its last thread left them; pairs with push_slot */
    uint64_t head = np_load_acquire(&registry.free);
    while ((uint16_t)head != 0) {
        struct np_thread *slot = np_thread_at((uint16_t)head);
        /* relaxed: may be of another time; then the tag has changed and the swap fails */
        uint16_t next = np_load_relaxed(&slot->next_free);
        if (np_cas_acq_rel(&registry.free, &head, retag(head, next))) /* [MM-free-1] acquire */
            return slot;
    }
    return NULL;
}

static void push_slot(struct np_thread *slot)
{
    uint64_t head = np_load_relaxed(&registry.free); /* relaxed: the swap decides */
    do {
        np_store_relaxed(&slot->next_free, (uint16_t)head); /* relaxed: published by the swap */
        /* [MM-free-1] release: hands the slot on; pairs with pop_slot */
    } while (!np_cas_acq_rel(&registry.free, &head, retag(head, slot->id)));
}

void np_registry_lock(void)
{
    pthread_mutex_lock(&registry.grow);
}

void np_registry_unlock(void)
{
    pthread_mutex_unlock(&registry.grow);
}

void np_registry_rebuild(bool closed)
{
    /* relaxed: the only thread */
    np_store_relaxed(&registry.free, 0);
    for (uint32_t id = np_thread_high(); id >= 1; id--)
        if (np_thread_at((uint16_t)id) != np_tls.thread)
            push_slot(np_thread_at((uint16_t)id));
    np_store_relaxed(&registry.attached, np_tls.thread != NULL);
    registry.closed = closed;
    np_registry_unlock();
}

/* ---- what a slot says about its thread ---- */

static void set_name(struct np_thread *thread, const char *name)
{
    size_t i = 0;
    for (; name != NULL && name[i] != '\0' && i < NP_THREAD_NAME_BYTES - 1; i++)
        np_store_relaxed(&thread->name[i], name[i]); /* relaxed: a hint, see thread.h */
    np_store_relaxed(&thread->name[i], '\0');
}

void np_thread_name(const struct np_thread *thread, char ret_name[NP_THREAD_NAME_BYTES])
{
    for (size_t i = 0; i < NP_THREAD_NAME_BYTES; i++)
        ret_name[i] = np_load_relaxed(&thread->name[i]); /* relaxed: a hint */
    ret_name[NP_THREAD_NAME_BYTES - 1] = '\0';
}

enum np_thread_state np_thread_state_of(const struct np_thread *thread)
{
    return np_word_state(np_word_load(thread));
}

size_t np_thread_attached_count(void)
{
    /* [MM-attached-1] acquire: whoever is no longer counted is done with its slot */
    return np_load_acquire(&registry.attached);
}

void np_thread_request(struct np_thread *thread, uint32_t bits)
{
    /* [MM-token-1] [MM-token-2] [MM-request-1] seq_cst: what is asked for is there before the bit,
     * and the bit before the asker looks at the word; pairs with np_token_take, np_requests_load
     * and the polls */
    np_fetch_or_seq_cst(&thread->requests, bits);
}

/* ---- attach and detach ---- */

static void clear_thread_local(void)
{
    np_tls_become_nobody();
    np_tls.attached = 0;
    np_tls.thread = NULL;
    np_tls.heap = NULL;
    np_tls.local = NULL;
}

/* What handshakes and hooks find, also after the detaching hook has cleared it. */
static void restore_thread_local(struct np_thread *slot)
{
    np_tls.heap = slot->heap;
    np_tls.local = slot->local;
}

static int attach_slot(struct np_thread *slot, const char *name)
{
    slot->blocking_depth = 0;
    slot->claims = 0;
    slot->exit_rounds = 0;
    slot->last_stop = (struct np_stop_times){0};
    set_name(slot, name);
    np_store_relaxed(&slot->os_id, np_os_thread_id()); /* relaxed: hints, both */
    np_store_relaxed(&slot->site, NULL);
    np_store_relaxed(&slot->code, NULL);
    np_store_relaxed(&slot->caught, 0);
    np_word_enter(slot);
    np_clock_note(slot, NP_CLOCK_OPERATION);
    np_clock_note(slot, NP_CLOCK_PEEK);
    np_tls.thread = slot;
    np_tls_become(slot);
    np_tls.attached = 1;
    if (pthread_setspecific(registry.key, slot) == 0 && np_thread_hooks.attached(slot)) {
        /* [MM-ready-1] release: heap and local are there; pairs with np_handshake */
        np_store_release(&slot->ready, 1);
        np_fetch_add_relaxed(&registry.attached, 1);
        return NEAP_OK;
    }
    pthread_setspecific(registry.key, NULL);
    restore_thread_local(slot);
    np_word_leave(slot, NP_DETACHED, false);
    clear_thread_local();
    push_slot(slot);
    return NEAP_ENOMEM;
}

int np_thread_attach(const char *name)
{
    if (np_tls.thread != NULL) {
        np_check(np_tls.attached < UINT16_MAX, "attached 65535 times");
        np_tls.attached++;
        return NEAP_OK;
    }
    if (pthread_getspecific(registry.key) == &exited)
        return NEAP_ESTATE;
    struct np_thread *slot = pop_slot();
    if (slot == NULL)
        slot = make_slot();
    if (slot == NULL)
        return NEAP_ENOMEM;
    int saved = errno;
    int status = attach_slot(slot, name);
    errno = saved;
    return status;
}

/* Everything of the thread's own goes; then DETACHED is published and the queues are looked at
 * again, as before a blocking region. What comes of the second look goes the same way. */
static void leave_for_good(struct np_thread *slot)
{
    do {
        restore_thread_local(slot);
        np_quiescent_point(slot);
        np_handshake_serve(slot);
        np_tls.attached = 2; /* user code may attach and detach, not end this */
        np_thread_hooks.detaching(slot);
        np_check(np_tls.attached == 2, "user code that ran in it did not pair attach with detach");
        np_tls.attached = 1;
    } while (!np_word_try_leave(slot, NP_DETACHED, true));
    pthread_setspecific(registry.key, NULL);
    clear_thread_local();
    push_slot(slot);
    /* [MM-attached-1] release: done with the slot's memory; pairs with np_thread_attached_count */
    np_fetch_sub_acq_rel(&registry.attached, 1);
}

void np_thread_detach(void)
{
    struct np_thread *slot = np_tls.thread;
    np_check(slot != NULL, "this thread is not attached");
    if (np_tls.attached > 1) {
        np_tls.attached--;
        return;
    }
    np_check(slot->blocking_depth == 0, "called inside a blocking region");
    int saved = errno;
    leave_for_good(slot);
    errno = saved;
}

/* Also after pthread_exit and cancellation, which may leave a blocking region, and dispose
 * functions, half done. */
static void at_thread_exit(void *value)
{
    if (value == &exited) {
        pthread_setspecific(registry.key, &exited); /* it stays over in the rounds to come */
        return;
    }
    struct np_thread *slot = value;
    np_tls.dying = 0;
    if (slot->blocking_depth > 0) {
        slot->blocking_depth = 1;
        np_blocking_leave(slot);
    }
    if (++slot->exit_rounds < NP_EXIT_ROUNDS) {
        np_quiescent_point(slot);
        pthread_setspecific(registry.key, slot);
        return;
    }
    np_tls.attached = 1;
    np_thread_depart();
}

bool np_thread_has_exited(void)
{
    return registry.has_key && pthread_getspecific(registry.key) == &exited;
}

int np_thread_return(void)
{
    pthread_setspecific(registry.key, NULL);
    int status = np_thread_attach("exiting");
    if (status != NEAP_OK)
        pthread_setspecific(registry.key, &exited);
    return status;
}

void np_thread_depart(void)
{
    np_thread_detach();
    pthread_setspecific(registry.key, &exited);
}

/* ---- life ---- */

static bool attached_nothing(struct np_thread *thread)
{
    (void)thread;
    return true;
}

static bool has_no_work(struct np_thread *thread)
{
    (void)thread;
    return false;
}

static void do_nothing(struct np_thread *thread)
{
    (void)thread;
}

static void install(const struct np_thread_hooks *hooks)
{
    np_thread_hooks = *hooks;
    if (np_thread_hooks.attached == NULL)
        np_thread_hooks.attached = attached_nothing;
    if (np_thread_hooks.detaching == NULL)
        np_thread_hooks.detaching = do_nothing;
    if (np_thread_hooks.has_work == NULL)
        np_thread_hooks.has_work = has_no_work;
    if (np_thread_hooks.before_blocking == NULL)
        np_thread_hooks.before_blocking = do_nothing;
    for (unsigned i = 0; i < NP_REQUEST_BITS; i++)
        if (np_thread_hooks.handler[i] == NULL)
            np_thread_hooks.handler[i] = do_nothing;
}

int np_threads_init(const struct np_thread_hooks *hooks)
{
    if (!registry.has_key) {
        if (pthread_key_create(&registry.key, at_thread_exit) != 0)
            return -1;
        registry.has_key = true;
    }
    install(hooks);
    return 0;
}

void np_threads_fini(void)
{
    np_check(np_thread_attached_count() == 0, "%zu threads are attached",
             np_thread_attached_count());
    np_address_locks_fini();
    np_store_seq_cst(&registry.high, 0); /* [MM-high-1] nobody is left to see it */
    np_store_relaxed(&registry.free, 0); /* relaxed, as below: no other thread is in the library */
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct np_thread *chunk = np_load_relaxed(&registry.chunks[i]);
        np_store_relaxed(&registry.chunks[i], NULL);
        if (chunk != NULL)
            np_os_unreserve(chunk, CHUNK_BYTES);
    }
}
