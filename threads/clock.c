/* SPDX-License-Identifier: MIT
 *
 * Each clock has an epoch. A tag is a new epoch: taking it is one fetch-and-add, after what it
 * guards became unreachable. Each slot remembers the epoch it saw at its last point of the clock's
 * kind; a tag has passed when every slot has seen it or is in a state that cannot hold anything.
 *
 * Why that is sound, in the total order S of the seq_cst accesses. Let U be the unlinking, T the
 * tag's fetch-and-add, U before T.
 *   - A slot whose `seen` is at least the tag read an epoch written by T or a later addition, all
 * one release sequence: so U happened before what the thread did since, and it cannot find the
 * thing. What it did before its point happened before its store of `seen` (release), which the
 * passer acquired.
 *   - A slot found at rest: the passer read the word after T in S. If the thread leaves that state
 *     later, it changes the word and then reads the epoch: T, the passer's load, the change, that
 *     read stand in this order in S, so the read sees the tag, and U happened before all that
 *     follows. What it did before it came to rest happened before its change of the word, which the
 *     passer's load read from (later changes of the word are read-modify-writes and carry it on).
 *   - A slot beyond the high mark that the passer read after T: its thread raised the mark later in
 *     S, and then read the epoch: as above.
 * `reached` only remembers the result of such a scan for smaller tags.
 */
#include "threads/clock.h"

#include "base/perturb.h"
#include "threads/word.h"

static struct {
    uint64_t epoch __attribute__((aligned(NP_CACHE_LINE))); /* (x) the last tag given */
    uint64_t reached;                                       /* (x) the greatest tag known passed */
} clocks[NP_CLOCK_COUNT];

uint64_t np_clock_tag(enum np_clock clock)
{
    /* [MM-clock-1] seq_cst: T above; pairs with np_clock_note and the loads in scan */
    return np_fetch_add_seq_cst(&clocks[clock].epoch, (uint64_t)1) + 1;
}

void np_clock_note(struct np_thread *thread, enum np_clock clock)
{
    /* [MM-clock-1] seq_cst: after the thread's change of the word, before all that it does next */
    uint64_t epoch = np_load_seq_cst(&clocks[clock].epoch);
    np_perturb(clock_noted);
    /* [MM-clock-2] release: what the thread did before this point is over; pairs with the acquire
     * in scan */
    np_store_release(&thread->clock_seen[clock], epoch);
}

void np_clock_note_both(struct np_thread *thread)
{
    np_clock_note(thread, NP_CLOCK_OPERATION);
    np_clock_note(thread, NP_CLOCK_PEEK);
}

/* A thread in this state holds nothing that the clock protects. */
static bool is_exempt(enum np_thread_state state, enum np_clock clock)
{
    return state == NP_DETACHED || state == NP_BLOCKING ||
           (state == NP_PARKED && clock == NP_CLOCK_OPERATION);
}

/* The greatest tag that has passed: the least epoch seen by those that count. */
static uint64_t scan(enum np_clock clock)
{
    uint64_t least = np_load_seq_cst(&clocks[clock].epoch); /* [MM-clock-1] before the words */
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if (is_exempt(np_word_state(np_word_load(thread)), clock))
            continue;
        np_perturb(clock_scan);
        uint64_t seen = np_load_acquire(&thread->clock_seen[clock]); /* [MM-clock-2] */
        if (seen < least)
            least = seen;
    }
    return least;
}

bool np_clock_passed(enum np_clock clock, uint64_t tag)
{
    /* [MM-clock-3] acquire: what the scan that passed the tag acquired; pairs with the release
     * below */
    uint64_t reached = np_load_acquire(&clocks[clock].reached);
    if (tag <= reached)
        return true;
    uint64_t found = scan(clock);
    while (found > reached)
        /* [MM-clock-3] release: hands the scan's result on */
        if (np_cas_acq_rel(&clocks[clock].reached, &reached, found))
            break;
    return tag <= found;
}

void np_clock_ask(enum np_clock clock, uint64_t tag)
{
    uint32_t bit = clock == NP_CLOCK_PEEK ? NP_REQUEST_PEEK : NP_REQUEST_CLOCK;
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if (is_exempt(np_word_state(np_word_load(thread)), clock))
            continue;
        /* relaxed: a smaller epoch than the true one asks in vain */
        if (np_load_relaxed(&thread->clock_seen[clock]) >= tag)
            continue;
        /* Asked already: the bit is cleared before the epoch is read, both in S after our tag. */
        if (!(np_requests_load(thread) & bit))
            np_thread_request(thread, bit);
    }
}

void np_clock_laggards(enum np_clock clock, uint64_t tag,
                       void (*report)(const struct np_thread *thread))
{
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if (!is_exempt(np_word_state(np_word_load(thread)), clock) &&
            np_load_relaxed(&thread->clock_seen[clock]) < tag) /* relaxed: a report */
            report(thread);
    }
}
