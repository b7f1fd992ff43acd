/* SPDX-License-Identifier: MIT
 *
 * neap: threads. A thread that makes or touches objects is attached. Attached threads are asked,
 * never interrupted: no signals. So an attached thread polls often (neap_new's slow path and
 * neap_safepoint do) and says when it is about to wait (NEAP_BLOCKED, or the
 * calls of <neap/wait.h>). One that does neither delays
 * every collection.
 *
 *     neap_thread_attach("worker");
 *     while (running) {
 *         ssize_t n = NEAP_BLOCKED(read(fd, buffer, sizeof buffer));
 *         handle(buffer, n);
 *         neap_safepoint();
 *     }
 *     neap_thread_detach();
 *
 * A stop point is where the world may be stopped. A quiescent point is where, besides, peeked
 * pointers end (<neap/slot.h>).
 */
#ifndef NEAP_THREAD_H
#define NEAP_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include <neap/export.h>
#include <neap/header.h>
#include <neap/site.h>
#include <neap/status.h>
#include <neap/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Attaches the calling thread; name (may be NULL, 31 bytes are kept) is for reports. Nests; undone
 * by neap_thread_detach or by itself at thread exit. Never stops the world; waits while it is
 * stopped.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_thread_attach(const char *name);

/* Inverse of neap_thread_attach; the outermost runs what is pending on this thread and leaves its
 * memory to the others. The thread that called the outermost neap_init is detached by
 * neap_shutdown.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_thread_detach(void);

/* pthread_create for a thread that is attached when run is called and detached after it returned.
 * *ret_thread is set on success and joined with neap_thread_join. Returns once the thread is
 * attached: NEAP_OK, NEAP_ENOMEM.
 * refs: none | user code: no | point: stop | threads: attached | fails: status */
NEAP_PUBLIC int neap_thread_create(pthread_t *ret_thread, const char *name, void *(*run)(void *),
                                   void *arg);

/* A poll: lets the world stop here, ends peeks, takes a budget of deferred destruction and pending
 * user code (option release_budget). Nearly free when nothing is asked: call it in every loop.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_safepoint(void);

/* The same at a place that the caller names, for language runtimes: neap_safepoint(), which is a
 * macro besides, gives the place where it stands, so that option safepoint_warn_ms can print file
 * and line of a thread's last poll.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_safepoint_at(const struct neap_site *site);

/* The inline fast path's other half. Not for direct use.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_safepoint_slow(void);

static inline void neap_safepoint_inline(const struct neap_site *site)
{
    struct neap_poll_point *poll = neap_thread_local.poll;
    /* relaxed, both: a hint for others; the slow path reads again with acquire */
    __atomic_store_n(&poll->site, site, __ATOMIC_RELAXED);
    if (__builtin_expect(__atomic_load_n(&poll->requests, __ATOMIC_RELAXED) != 0, 0))
        neap_safepoint_slow();
}

#ifdef NEAP_INLINE
#    define neap_safepoint() neap_safepoint_inline(NEAP_HERE)
#else
#    define neap_safepoint() neap_safepoint_at(NEAP_HERE)
#endif

/* Runs at most `most` items of pending user code (finalizers, disposals, callbacks of what the
 * collector found dead) and returns how many ran.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_run_pending(size_t most);

/* One round of the background work that the helper thread does, for programs that run with option
 * helper=0 and call this from their own loop, a few times a second: gives idle memory back, runs
 * pending user code that has waited for finalize_ms.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_tick(void);

/* Enters and leaves a region in which the thread may wait without delaying anybody. Nests. Inside,
 * memory of objects held by a counted reference may be read and written and untyped blocks used;
 * object, slot and weak calls panic. errno is preserved. Leaving waits while the world is stopped.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_blocking_enter(void);

/* refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_blocking_leave(void);

static inline void neap_blocking_cleanup_(int *unused)
{
    (void)unused;
    neap_blocking_leave();
}

#define NEAP_JOIN_(a, b)  NEAP_JOIN2_(a, b)
#define NEAP_JOIN2_(a, b) a##b

/* NEAP_BLOCKED(expression): its value, which may be void, evaluated in a blocking region:
 * n = NEAP_BLOCKED(read(fd, buffer, size)). Nests. In C++ an exception leaves the region too. */
#define NEAP_BLOCKED(...) NEAP_BLOCKED_(NEAP_JOIN_(neap_blocked_, __COUNTER__), __VA_ARGS__)
#define NEAP_BLOCKED_(guard, ...) \
    __extension__({ \
        __attribute__((cleanup(neap_blocking_cleanup_), unused)) int guard = \
            (neap_blocking_enter(), 0); \
        __VA_ARGS__; \
    })

/* NEAP_BLOCKING { ... }: a block inside a blocking region. return and goto leave it rightly; break
 * and continue end the block only. */
#define NEAP_BLOCKING NEAP_BLOCKING_(NEAP_JOIN_(neap_blocking_, __COUNTER__))
#define NEAP_BLOCKING_(once) \
    for (int once __attribute__((cleanup(neap_blocking_cleanup_))) = (neap_blocking_enter(), 1); \
         once; once = 0)

#ifdef __cplusplus
}
#endif

#endif
