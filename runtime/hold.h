/* SPDX-License-Identifier: MIT
 *
 * The quarantine of concurrent collections (collector/concurrent.h): while one traces, the block of
 * an object above generation 0 that dies is held back, so that the tracer never meets a recycled
 * body.
 *
 * Blocks held are dead headers linked through word 0, on one stack: pushed by whoever frees, taken
 * as a whole by who gives them back. Nothing is asked where the object is young, and nothing that
 * was not asked before: the free path looks at the generation anyway (universe.h). Statistics count
 * what is held as objects still.
 *
 * Memory of pools stays mapped, so an address in one may be judged after the block has gone. That
 * of large objects does not: those are held back until the last slice is judged.
 *
 * The program may be refused memory that is only held back: who is out of memory ends the cycle and
 * waits for its end (collect.c).
 *
 * Implemented by hold.c. Used by death.c and the collector.
 */
#ifndef NP_RUNTIME_HOLD_H
#define NP_RUNTIME_HOLD_H

#include "base/plant.h"
#include "runtime/header.h"

enum np_hold { NP_HOLD_NOTHING, NP_HOLD_LARGE, NP_HOLD_ALL };
extern uint32_t np_hold; /* (x) enum np_hold */

/* NP_HOLD_ALL: from here on; a handshake later nobody frees such a block past it. NP_HOLD_LARGE:
 * from all, those in pools are read no more. The blocks held stay so until np_hold_return. */
void np_hold_set(enum np_hold hold);
/* Gives back what is held and need not be any more, by way of the calling thread's heap. Attached,
 * at a stop point. */
void np_hold_return(void);

/* The object is dead, its type 0. */
void np_hold_take(struct neap_header *header) np_cold;
void np_hold_take_large(struct neap_header *header) np_cold;

/* Bytes of large objects that are held back: memory that the program has given up. A hint. */
uint64_t np_hold_large_bytes(void);

/* In the child of a fork: what other threads were giving back is held again. */
void np_hold_forked(void);

/* least: NP_HOLD_ALL for a block in a pool. */
static inline bool np_hold_wanted(enum np_hold least)
{
    /* [MM-hold-2] acquire: a block that is not held back any more has been read for the last time;
     * pairs with the release in np_hold_set. On: the handshake orders it */
    return np_load_acquire(&np_hold) >= (uint32_t)least && !np_planted(skip_quarantine);
}

#endif
