/* SPDX-License-Identifier: MIT
 *
 * A large object's mark is raised in stops, so one with a mark was wholly made before the last, and
 * its header can be read; one above generation 0 does not leave the list while blocks are held. */
#include "collector/roster.h"

#include "alloc/large.h"
#include "collector/proposal.h"

enum { AT_ONCE = 256 }; /* objects walked over with the list's lock held */

struct np_roster np_roster;
#define roster np_roster

static uint32_t place_of(const struct neap_header *header)
{
    return (uint32_t)(((uintptr_t)header / NP_OBJECT_MIN * 0x9E3779B97F4A7C15) >> 32) & roster.mask;
}

uint32_t *np_roster_find(const struct neap_header *header)
{
    for (uint32_t place = place_of(header);; place = (place + 1) & roster.mask) {
        uint32_t number = roster.table[place];
        if (number == 0)
            return NULL;
        if (roster.headers[number - 1] == header)
            return &roster.words[number - 1];
    }
}

static void enter(struct np_large *large, void *unused)
{
    (void)unused;
    struct neap_header *header = (struct neap_header *)(void *)(large + 1);
    if (large->mark == 0 || roster.count == roster.limit)
        return;
    /* relaxed, both: it may die now */
    uint8_t gc = np_load_relaxed(&header->gc);
    if ((gc & NP_GC_TRACKED) && (gc & NP_GC_GENERATION) && np_load_relaxed(&header->type) != 0)
        roster.headers[roster.count++] = header;
}

static bool make_table(void)
{
    uint32_t places = 2;
    while (places < 2 * (uint64_t)roster.count)
        places *= 2;
    roster.mask = places - 1;
    roster.words = np_proposal_memory(roster.count, sizeof *roster.words);
    roster.table = np_proposal_memory(places, sizeof *roster.table);
    if (roster.words == NULL || roster.table == NULL)
        return false;
    for (uint32_t i = 0; i < roster.count && np_proposal_poll_sometimes(); i++) {
        uint32_t place = place_of(roster.headers[i]);
        while (roster.table[place] != 0)
            place = (place + 1) & roster.mask;
        roster.table[place] = i + 1;
    }
    return true;
}

bool np_roster_make(void)
{
    struct np_large_counts counts;
    np_large_count(&counts);
    np_roster_drop();
    if (counts.blocks[1] == 0)
        return true;
    /* those that more are than that now are young */
    roster.limit = counts.blocks[1] < UINT32_MAX / 4 ? (uint32_t)counts.blocks[1] : UINT32_MAX / 4;
    roster.headers = np_proposal_memory(roster.limit, sizeof(struct neap_header *));
    if (roster.headers == NULL)
        return false;
    np_large_walk_begin();
    while (np_large_walk(AT_ONCE, enter, NULL) && np_proposal_poll())
        ;
    np_large_walk_end();
    if (roster.count == 0 || make_table())
        return true;
    np_roster_drop();
    return false;
}

void np_roster_drop(void)
{
    np_large_walk_end();
    roster = (struct np_roster){0};
}
