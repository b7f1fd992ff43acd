/* SPDX-License-Identifier: MIT
 *
 * auto_defer: an object that a thread loses 64 swaps on in a row becomes deferred at its next
 * safepoint, and one that it loses fewer on does not. */
#include <neap/neap.h>

#include "runtime/contend.h"
#include "tests/tap.h"

struct hot {
    long value;
};
NEAP_DEFINE_TYPE(hot, ());

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.auto_defer = 1;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
    struct hot *hot = neap_new(hot), *warm = neap_new(hot);
    struct neap_header *header = neap_header_of(hot);
    for (int i = 0; i < 63; i++)
        np_contend_lost(neap_header_of(warm));
    for (int i = 0; i < 63; i++)
        np_contend_lost(header);
    neap_safepoint();
    ok(header->owner != NEAP_OWNER_DEFERRED, "63 lost swaps change nothing");
    np_contend_lost(header);
    is_int(neap_refcount(hot), 2, "the 64th takes a reference until the safepoint");
    neap_safepoint();
    is_int(header->owner, NEAP_OWNER_DEFERRED, "which makes it deferred");
    ok(neap_header_of(warm)->owner != NEAP_OWNER_DEFERRED, "and no other");
    is_int(neap_refcount(hot), 1, "with the count as before");
    is_int(neap_type_contention(&neap_typeof_hot), 127, "lost swaps are counted per type");
    neap_release(hot);
    neap_release(warm);
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
