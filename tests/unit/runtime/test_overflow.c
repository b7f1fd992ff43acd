/* SPDX-License-Identifier: MIT
 *
 * Counts that run over stick: the object lives on, which is reported, and never dies early. */
#include <neap/neap.h>

#include "runtime/count.h"
#include "tests/tap.h"

static int disposed;
static void counted_dispose(void *self)
{
    (void)self;
    disposed++;
}
struct counted {
    int value;
};
NEAP_DEFINE_TYPE(counted, (), .dispose = counted_dispose);

static struct counted *mine; /* immortal in the end: Valgrind sees who has it */

int main(void)
{
    plan_lazy();
    if (neap_init(NULL) != NEAP_OK)
        bail("neap_init");
    struct counted *shared = neap_new(counted);
    mine = neap_new(counted);
    struct neap_header *header = neap_header_of(mine);
    header->local = INT32_MAX;
    neap_retain(mine);
    is_int(header->owner, NEAP_OWNER_IMMORTAL,
           "2^31 references of the owner make an object immortal");
    for (int i = 0; i < 10; i++)
        neap_release(mine);
    header = neap_header_of(shared);
    header->owner = NEAP_OWNER_NONE;
    header->shared = (uint32_t)NP_COUNT_LIMIT * NP_SHARED_ONE | NP_MERGED | NP_PUBLISHED;
    uint32_t before = header->shared;
    neap_retain(shared);
    neap_release(shared);
    neap_release(shared);
    is_int(header->shared, before, "a shared count at its limit is neither raised nor lowered");
    is_int(disposed, 0, "neither dies");
    struct neap_stats stats;
    neap_stats_get(&stats);
    is_int(stats.stuck_objects, 1, "what ran over is reported");
    header->shared = NP_MERGED | NP_SHARED_ONE;
    neap_release(shared);
    is_int(disposed, 1, "an object within its limits dies as always");
    is_int(neap_shutdown(NULL), 0, "and the immortal one is no leak");
    return done();
}
