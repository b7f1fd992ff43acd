/* SPDX-License-Identifier: MIT
 *
 * A bump allocator over reserved chunks, and one counter. */
#include "alloc/meta.h"

#include <pthread.h>

#include "alloc/own.h"
#include "base/os.h"

#define CHUNK_BYTES ((size_t)8 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *next, *end; /* (L) what is left of the newest chunk */
static size_t used;      /* (x) bytes handed out */
static size_t committed; /* (x) the account */
static size_t limit;     /* (x) 0: none */

/* The account is to be told of. base 0: never. */
static struct {
    size_t base, mark; /* (x) */
} watch;

void np_meta_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_meta_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

size_t np_meta_bytes(void)
{
    return np_load_relaxed(&used); /* relaxed: a statistic */
}

void *np_meta_new(size_t bytes)
{
    bytes = (bytes + NP_CACHE_LINE - 1) & ~(size_t)(NP_CACHE_LINE - 1);
    if (np_may_fail() || !np_commit(bytes))
        return NULL;
    void *result = NULL;
    np_meta_lock();
    if ((size_t)(end - next) < bytes) {
        size_t chunk = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        size_t page = np_os_page_bytes();
        chunk = (chunk + page - 1) & ~(page - 1);
        char *memory = np_os_reserve(chunk, page);
        if (memory != NULL) {
            next = memory;
            end = memory + chunk;
        }
    }
    if ((size_t)(end - next) >= bytes) {
        result = next;
        next += bytes;
        np_store_relaxed(&used, used + bytes); /* relaxed: a statistic */
    }
    np_meta_unlock();
    if (result == NULL)
        np_uncommit(bytes);
    return result;
}

void np_commit_limit(size_t bytes)
{
    np_store_relaxed(&limit, bytes); /* relaxed: takes effect soon enough */
}

void np_commit_watch(size_t base, size_t mark)
{
    /* relaxed, both: hints */
    np_store_relaxed(&watch.base, base);
    np_store_relaxed(&watch.mark, mark);
}

/* Of the calling thread's allocation, until np_commit_outcome. */
static __thread struct {
    bool refused; /* by the account, at least once */
    bool wake;    /* hook `pressed` wants somebody to come by */
} outcome __attribute__((tls_model("initial-exec")));

static uint64_t refusals[2]; /* (x) relaxed: figures. [1]: by the account */

void np_commit_refusals(uint64_t *ret_by_limit, uint64_t *ret_by_system)
{
    *ret_by_limit = np_load_relaxed(&refusals[1]); /* relaxed, both: figures */
    *ret_by_system = np_load_relaxed(&refusals[0]);
}

static np_noinline void tell_pressed(bool refused)
{
    bool (*pressed)(bool) = np_hooks()->pressed;
    if (pressed != NULL && pressed(refused))
        outcome.wake = true;
}

void *np_commit_outcome(void *block)
{
    bool refused = outcome.refused;
    outcome.refused = false;
    if (np_unlikely(block == NULL)) {
        (void)np_fetch_add_relaxed(&refusals[refused], (uint64_t)1); /* relaxed: a figure */
        if (refused)
            tell_pressed(true);
    }
    if (np_unlikely(outcome.wake)) {
        void (*idle)(void) = np_hooks()->idle;
        outcome.wake = false;
        if (idle != NULL)
            idle();
    }
    return block;
}

bool np_commit(size_t bytes)
{
    /* relaxed, all: a count; nothing is published by it */
    size_t most = np_load_relaxed(&limit), now = np_load_relaxed(&committed);
    size_t mark = np_load_relaxed(&watch.mark);
    do {
        if (most != 0 && (now > most || bytes > most - now)) {
            outcome.refused = true;
            return false;
        }
    } while (!np_cas_relaxed(&committed, &now, now + bytes));
    if (np_unlikely(mark != 0 && now + bytes > mark))
        tell_pressed(false);
    return true;
}

void np_uncommit(size_t bytes)
{
    /* relaxed, all: a count, and hints */
    size_t now = np_fetch_add_relaxed(&committed, (size_t)0 - bytes) - bytes;
    size_t base = np_load_relaxed(&watch.base);
    if (np_unlikely(now < base && np_load_relaxed(&watch.mark) != base))
        np_store_relaxed(&watch.mark, base);
}

size_t np_committed(void)
{
    return np_load_relaxed(&committed); /* relaxed: a statistic */
}
