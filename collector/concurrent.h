/* SPDX-License-Identifier: MIT
 *
 * Concurrent old collections (option collector=concurrent; docs/concurrent.md): one thread finds
 * candidates while the program runs, then stops it, in slices, only to judge them.
 *
 *   request     a thread whose old collection is due (collect.c)
 *     v
 *   handshake   running           blocks of old objects are held back from here on (hold.h)
 *   count       running           proposal.h: read as it changes
 *   trace       running
 *   order       running           looked at again, and in components, sources first
 *     |         what was held back returns
 *     v
 *   prepare     running, lock     as many components as fit the pause target, at least one
 *   judge       STOP              judge.h: exactly; weak references cleared, condemned
 *   sweep       running           what needs user code becomes pending; the rest is freed
 *     |         twice as long as the stop was, at least, and from `prepare` again
 *     v
 *   end         the words given back, pacing and statistics told
 *
 * What is left to stopped collections: neap_collect(2), memory refused, one in
 * NP_CONCURRENT_ROUNDS rounds at most where proposals leave more outside than they did, and
 * programs that outrun the cycle in spite of np_concurrent_throttle. A stopped collection of
 * generation 2 ends the cycle under way.
 *
 * Concurrency: one cycle at a time, by a thread of its own, which is started by the first request
 * and sleeps in a blocking region between cycles.
 *
 * Implemented by concurrent.c. Used by collect.c. */
#ifndef NP_COLLECTOR_CONCURRENT_H
#define NP_COLLECTOR_CONCURRENT_H

#include <stdbool.h>
#include <stdint.h>

enum { NP_CONCURRENT_ROUNDS = 8 };

/* An old collection is due. True: a cycle is under way or has been asked for; false: collect
 * stopped. Any attached thread; no lock of concurrent.c's is held at a stop point. */
bool np_concurrent_takes(void);

/* While a cycle is under way that does not keep up with what is promoted, the calling thread waits,
 * parked, in proportion to the time since it was here last. At a stop point. */
void np_concurrent_throttle(void);

/* A stopped collection of generation 2 has looked at everything: the cycle under way ends. */
void np_concurrent_cancel(void);

/* Until a cycle that is to end holds no memory back any more. At a stop point. */
void np_concurrent_await_end(void);

/* The rounds that have come to their end, for tests. */
uint64_t np_concurrent_cycles(void);

/* As np_helper_forbid and np_helper_allow: without the thread from here on. */
void np_concurrent_forbid(void);
void np_concurrent_allow(void);
/* In a forked child: the thread is gone, and its cycle. */
void np_concurrent_forked(void);
void np_concurrent_fini(void);

#endif
