/* SPDX-License-Identifier: MIT
 *
 * Planted bugs, for proving that the tests find such bugs: known mistakes of systems like this one,
 * each at the place where it would be made. Compiled only with -Dplant=true; one is chosen at run
 * time by the environment variable NEAP_PLANT. Nothing in other builds. */
#ifndef NP_BASE_PLANT_H
#define NP_BASE_PLANT_H

#include <stdbool.h>

#include "base/compiler.h"

/* X(name, one in so many passes goes wrong, what is wrong) */
#define NP_PLANTS(X) \
    X(skip_retain, 200, "a slot is set without counting the value") \
    X(skip_recheck, 1, "a load does not look again after it counted what it found") \
    X(drop_merge, 20, "a merge queue loses an object") \
    X(adopt_by_stores, 1, "a handed object stands as merged, and is adopted by plain stores") \
    X(lose_weak_bit, 20, "an object with a weak reference does not know it") \
    X(class_without_grace, 1, "an empty pool changes its class while readers may look at it") \
    X(free_before_dispose, 1, "a garbage set is disposed of and freed one by one") \
    X(lose_remote_free, 20, "a block freed by another thread does not come home") \
    X(miss_reference, 500, "the collector does not follow a reference") \
    X(skip_peek_grace, 1, "a peekable object dies without waiting for its readers") \
    X(lose_deferred_count, 2, "a thread's counts of deferred objects are lost at a stop") \
    X(forget_published, 1, "an object taken out of another thread's slot is not marked so") \
    X(forget_sticky, 1, "the last look passes over a mark whose reference is gone again") \
    X(skip_last_look, 1, "a thread frees what another has acquired while it looked for garbage") \
    X(lose_ward, 200, "the collector reaches a key in a weak map and not its value") \
    X(trust_proposal, 1, "a concurrent collection frees what it proposed, held or not") \
    X(edge_twice, 20, "a concurrent collection subtracts a reference twice") \
    X(judge_dead, 1, "a concurrent collection judges a candidate that has died meanwhile") \
    X(skip_quarantine, 1, "a block is used again while a concurrent collection reads it")

enum np_plant {
    NP_PLANT_NONE,
#define NP_PLANT_NUMBER(name, one_in, sentence) NP_PLANT_##name,
    NP_PLANTS(NP_PLANT_NUMBER)
#undef NP_PLANT_NUMBER
        NP_PLANT_COUNT
};

#ifdef NP_PLANT
/* Does it go wrong this time? */
bool np_plant_hit(enum np_plant plant) np_cold;
#    define np_planted(name) np_unlikely(np_plant_hit(NP_PLANT_##name))
#else
#    define np_planted(name) ((void)NP_PLANT_##name, false)
#endif

#endif
