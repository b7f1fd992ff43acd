/* SPDX-License-Identifier: MIT
 *
 * An array in reserved memory. Counting meets an immortal object once: afterwards tracing has
 * marked it before. */
#include "collector/known.h"

#include "base/os.h"

#define KNOWN_LIMIT ((size_t)1 << 24)

static struct neap_header **known; /* (s) */
static size_t count;               /* (x) places taken, which may be more than there are */

int np_known_init(void)
{
    count = 0;
    known = np_os_reserve(KNOWN_LIMIT * sizeof *known, 1);
    return known != NULL ? 0 : -1;
}

void np_known_fini(void)
{
    if (known != NULL)
        np_os_unreserve(known, KNOWN_LIMIT * sizeof *known);
    known = NULL;
}

void np_known_add(struct neap_header *header)
{
    size_t place = np_fetch_add_relaxed(&count, 1); /* relaxed: read after the run */
    if (place < KNOWN_LIMIT)
        known[place] = header;
}

size_t np_known_count(void)
{
    size_t taken = np_load_relaxed(&count); /* relaxed: nobody adds meanwhile */
    return taken < KNOWN_LIMIT ? taken : KNOWN_LIMIT;
}

struct neap_header *np_known_at(size_t index)
{
    return known[index];
}
