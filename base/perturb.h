/* SPDX-License-Identifier: MIT
 *
 * Perturbation points: the windows of the lock-free protocols, by name. Where option perturb is
 * set, a thread that comes by may spin, yield or sleep there, at random, so that windows of
 * nanoseconds become wide enough to be hit. Compiled in debug builds and, without what those check,
 * in builds with planted bugs (plant.h); nothing in others. */
#ifndef NP_BASE_PERTURB_H
#define NP_BASE_PERTURB_H

#include "base/atomics.h"
#include "base/check.h"

#if NP_CHECK_LEVEL >= 1 || defined(NP_PLANT)
#    define NP_PERTURB 1
#else
#    define NP_PERTURB 0
#endif

/* X(name, what is about to happen to others meanwhile) */
#define NP_PERTURB_POINTS(X) \
    X(slot_read, "a load has read the slot and not yet counted the object") \
    X(slot_counted, "a load has counted the object and not yet looked again") \
    X(slot_stored, "an exchange is done, the old object not yet published") \
    X(slot_published, "a value is counted and published, not yet stored") \
    X(release_word, "a release has read the word and not yet swapped it") \
    X(release_queued, "QUEUED is set, the object not yet in a batch") \
    X(release_last, "local is 0, shared not yet read") \
    X(merge_unowned, "owner is none, MERGED not yet set") \
    X(merge_taken, "a batch is out of the queue, its objects not yet merged") \
    X(batch_pushed, "a batch is pushed, its owner's state not yet read") \
    X(hand_over, "the last look at an exclusive object, before it is given away") \
    X(adopt, "a handed object is seen, not yet adopted") \
    X(weak_read, "the target is read, not yet counted") \
    X(weak_counted, "the target is counted, not yet read again") \
    X(weak_clear, "the object is dead, its weak references not yet cleared") \
    X(watch_added, "the has-weak bit is set, the target not yet visible") \
    X(death, "the object is dead by value, not yet destroyed") \
    X(grace_tag, "an object waits for its readers, the tag not yet taken") \
    X(word_left, "the state is published, queues and requests not yet looked at") \
    X(word_enter, "the state is about to become RUNNING") \
    X(claimed, "a slot is claimed") \
    X(unclaimed, "a claim is dropped, the requests not yet looked at") \
    X(stop_token, "a stop's token is taken, the slot not yet suspended") \
    X(stop_asked, "the tokens are out") \
    X(handshake, "a handshake's token is out, the slot not yet claimed") \
    X(clock_noted, "an epoch is read, not yet noted") \
    X(clock_scan, "a state is read, the epoch it saw not yet") \
    X(remote_pushed, "a parcel is pushed, its owner not yet told") \
    X(remote_taken, "the owner of a block is read, the block not yet on its way") \
    X(pool_adopt, "an abandoned pool is chosen, its owner not yet changed") \
    X(pool_given, "an empty pool is nobody's, its tag not yet taken") \
    X(resumed, "the world goes on, verdicts not yet carried out") \
    X(confined_counted, "a thread has counted its own objects, not yet marked what lives") \
    X(concurrent_poll, "a concurrent collection has read objects, and polls") \
    X(concurrent_counted, "a concurrent collection has counted, not yet marked what lives") \
    X(concurrent_traced, "a concurrent collection has candidates, not yet looked again") \
    X(concurrent_proposed, "a concurrent collection's candidates are in order, not yet judged") \
    X(partner_taken, "a share of a pass is taken, not yet begun") \
    X(partner_shared, "the first thread is through with a pass, the offer not yet withdrawn") \
    X(helper_idle, "the helper is about to sleep")

enum np_perturb_point {
#define NP_PERTURB_NUMBER(name, sentence) NP_PERTURB_##name,
    NP_PERTURB_POINTS(NP_PERTURB_NUMBER)
#undef NP_PERTURB_NUMBER
        NP_PERTURB_COUNT
};

#if NP_PERTURB
extern uint32_t np_perturb_rate; /* (x) of 1,000 passes, those that wait; 0: off */

void np_perturb_at(enum np_perturb_point point) np_cold;

#    define np_perturb(name) \
        do { \
            /* relaxed: set before any thread of the runtime */ \
            if (np_unlikely(np_load_relaxed(&np_perturb_rate) != 0)) \
                np_perturb_at(NP_PERTURB_##name); \
        } while (0)
#else
#    define np_perturb(name) ((void)NP_PERTURB_##name)
#endif

/* What option perturb says: the seed in the upper half, the rate in the lower. */
void np_perturb_set(uint64_t option);

/* How often each point has made somebody wait, for tests. */
uint64_t np_perturb_hits(enum np_perturb_point point);

#endif
