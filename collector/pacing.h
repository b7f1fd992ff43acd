/* SPDX-License-Identifier: MIT
 *
 * When to collect what: Python's three thresholds and counters.
 *
 *   counts[0]  objects made and not freed since the last collection, gathered from the heaps'
 * credits counts[1]  collections of generation 0 since the last of generation 1 counts[2]
 * collections of generation 1 since the last of generation 2
 *
 * A collection of generation g sets counts 0 .. g to 0 and adds one to counts[g + 1]. The oldest
 * generation over its threshold is collected, but generation 2 waits until what was promoted to it
 * since its last collection is a quarter of what that collection left alive: the work is then
 * linear in what is allocated.
 *
 * Where old collections are concurrent, what counts is growth: objects promoted to generation 1
 * less those that died by counting, and an eighth of the promoted at least, since what has died may
 * have been replaced by garbage. A cycle begins so early that it ends when a quarter has grown,
 * going by how much grew during the last one. Generation 1 is the cycles' too, once its collection
 * by a stop would be long.
 *
 * The young threshold is multiplied by a scale that keeps what a collection costs beside looking at
 * objects (reaching every thread) a small part of it, and a young stop under PAUSE_TARGET_NS.
 *
 * Each thread looks for garbage among its own objects first, as soon as it has half a threshold;
 * that, and the blocks it has at hand, which count as made, are nothing to stop for. So there is an
 * allowance for several threads, as long as what stops find is mostly garbage.
 *
 * The scale is set aside when memory has grown by an eighth and 2 MiB since the last collection:
 * then garbage is not allowed to pile up for the sake of fewer stops. Over option heap_soft_limit
 * old collections follow each other, within a quarter of the time.
 *
 * Implemented by pacing.c. Used by collect.c and gc.c. Thresholds, counts and the switch: any
 * thread, relaxed; the rest under collect.c's lock.
 */
#ifndef NP_COLLECTOR_PACING_H
#define NP_COLLECTOR_PACING_H

#include <stdbool.h>
#include <stdint.h>

struct np_heap;

struct np_pacing {
    bool enabled;            /* (x) */
    uint64_t thresholds[3];  /* (x) */
    int64_t counts[3];       /* (x) */
    uint64_t scale;          /* (x) written under the lock */
    uint64_t allowance;      /* (x) written under the lock; in young thresholds */
    uint64_t resets;         /* (s) */
    uint64_t old_alive;      /* (L) objects that the last old collection left alive */
    uint64_t old_pending;    /* (L) objects promoted to generation 2 since then; where old
                              * collections are concurrent, to generation 1 */
    int64_t old_freed;       /* (L) of the latter, and of older ones, died by counting since then */
    uint64_t middle;         /* (L) objects promoted to generation 1 since its last collection */
    uint64_t cycle_growth;   /* (x) growth during the last concurrent collection */
    uint64_t committed;      /* (x) bytes in use when the last collection ended */
    int64_t external_before; /* (x) np_pressure_external when the last collection ended */
    uint64_t old_end_ns;     /* (x) when the last old collection ended, */
    uint64_t old_cost_ns;    /* (x) and how long it took */
};
extern struct np_pacing np_pacing;

/* What a collection did, for the decisions that follow. */
struct np_pacing_outcome {
    int generation;
    uint64_t alive;    /* members it left alive */
    uint64_t garbage;  /* members that were not */
    uint64_t promoted; /* of them, into generation 2 */
    uint64_t start_ns, end_ns, stopped_ns;
};

void np_pacing_init(void);

/* Adds what the heap has handed out since the last time, net of what it got back, to counts[0] and
 * gives it new credit. Returns what it added. */
int64_t np_pacing_take_debt(struct np_heap *heap);
/* How often counts[0] has been set to 0 by a collection; changes in stops only. */
uint64_t np_pacing_resets(void);
/* Adds to counts[0]: what was counted there is known better now. */
void np_pacing_correct(int64_t delta);
/* Without the scale. */
int64_t np_pacing_threshold_young(void);
/* Are there automatic collections of generation 0? */
bool np_pacing_is_on(void);
/* New credit for a heap, its objects counted already or still new. */
void np_pacing_give_credit(struct np_heap *heap);
/* The generation whose collection is due, or -1. Any thread; collect.c asks again under its lock.
 */
int np_pacing_due(void);
/* The same, when an old one is due and somebody else's: 0, 1 or -1. */
int np_pacing_due_younger(void);
/* Is so much new that allocating has to wait for the collection under way? */
bool np_pacing_is_behind(void);
/* The world is stopped: everything made so far has been looked at. */
void np_pacing_reset_stopped(int generation);
void np_pacing_learn(const struct np_pacing_outcome *outcome);
/* A concurrent old collection begins: what was promoted until now is its; the lock is held. It has
 * ended, having looked at so many objects and found so many of them to be garbage. */
void np_pacing_begin_concurrent(void);
void np_pacing_learn_concurrent(uint64_t members, uint64_t found, uint64_t start_ns,
                                uint64_t end_ns);
/* Growth since the cycle under way began, in 32nds of what was alive then, or of half a million
 * objects if that is more. */
uint64_t np_pacing_growth_32nds(void);

#endif
