/* SPDX-License-Identifier: MIT
 *
 * One lock, one stack of fixed size. Waiters sleep on `news`, which whoever gives or ends raises.
 */
#include "collector/share.h"

#include <pthread.h>
#include <string.h>

#include "base/atomics.h"
#include "base/os.h"

enum { CHUNKS = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    unsigned workers;
    unsigned idle;                                      /* (L) written; read as a hint */
    bool done;                                          /* (L) */
    uint32_t news;                                      /* (L) written; waited on */
    size_t chunk_count;                                 /* (L) */
    struct neap_header *chunks[CHUNKS][NP_SHARE_CHUNK]; /* (L) */
} share;

void np_share_begin(unsigned workers)
{
    share.workers = workers;
    share.idle = 0;
    share.done = false;
    share.chunk_count = 0;
}

bool np_share_wanted(void)
{
    return np_load_relaxed(&share.idle) > 0; /* relaxed: a hint */
}

static void announce_locked(void)
{
    np_store_relaxed(&share.news, share.news + 1); /* relaxed: the lock orders what it announces */
    np_os_wake_all(&share.news);
}

bool np_share_give(struct neap_header **objects)
{
    pthread_mutex_lock(&lock);
    bool room = share.chunk_count < CHUNKS;
    if (room) {
        memcpy(share.chunks[share.chunk_count++], objects, sizeof share.chunks[0]);
        announce_locked();
    }
    pthread_mutex_unlock(&lock);
    return room;
}

size_t np_share_take(struct neap_header **ret_objects)
{
    size_t taken = 0;
    pthread_mutex_lock(&lock);
    np_store_relaxed(&share.idle, share.idle + 1); /* relaxed: read as a hint */
    while (share.chunk_count == 0 && !share.done) {
        if (share.idle == share.workers) {
            share.done = true;
            announce_locked();
            break;
        }
        uint32_t news = share.news;
        pthread_mutex_unlock(&lock);
        np_os_wait(&share.news, news, UINT64_MAX);
        pthread_mutex_lock(&lock);
    }
    if (!share.done) {
        memcpy(ret_objects, share.chunks[--share.chunk_count], sizeof share.chunks[0]);
        taken = NP_SHARE_CHUNK;
        np_store_relaxed(&share.idle, share.idle - 1); /* relaxed: as above */
    }
    pthread_mutex_unlock(&lock);
    return taken;
}
