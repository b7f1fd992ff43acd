/* SPDX-License-Identifier: MIT
 *
 * The bug is chosen before main, so that it is one for the whole life of the process. */
#include "base/plant.h"

#ifdef NP_PLANT

#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>

#    include "base/atomics.h"
#    include "base/check.h"

static const struct {
    const char *name, *sentence;
    uint32_t one_in;
} plants[] = {{"", "", 1},
#    define ROW(name, one_in, sentence) {#    name, sentence, one_in},
              NP_PLANTS(ROW)
#    undef ROW
};

static unsigned chosen; /* (c) */
static uint32_t passes; /* (x) relaxed: a count */

bool np_plant_hit(enum np_plant plant)
{
    return plant == chosen && np_fetch_add_relaxed(&passes, 1) % plants[plant].one_in == 0;
}

/* NEAP_PLANT=help lists them, a name and a sentence each, and ends the process. */
static __attribute__((constructor)) void choose(void)
{
    const char *name = getenv("NEAP_PLANT");
    if (name == NULL)
        return;
    while (++chosen < np_count_of(plants) && strcmp(name, plants[chosen].name) != 0)
        ;
    if (chosen < np_count_of(plants))
        return;
    chosen = NP_PLANT_NONE;
    bool help = strcmp(name, "help") == 0;
    for (unsigned i = 1; i < np_count_of(plants); i++)
        fprintf(help ? stdout : stderr, "%s\t%s\n", plants[i].name, plants[i].sentence);
    exit(help ? 0 : 2);
}

#else

typedef int np_plant_unused; /* ISO C forbids an empty file */

#endif
