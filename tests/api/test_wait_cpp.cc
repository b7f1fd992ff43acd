/* SPDX-License-Identifier: MIT
 *
 * Blocking regions in C++: the forms compile, and an exception leaves them. */
#include <neap/neap.h>

#include <stdexcept>

#include "tests/harness.h"

static int value_or_throw(bool wanted)
{
    if (!wanted)
        throw std::runtime_error("unwanted");
    return 5;
}

/* Would panic inside a region. */
static void touch()
{
    neap_safepoint();
}

int main()
{
    plan_lazy();
    harness_begin();
    is_int(NEAP_BLOCKED(value_or_throw(NEAP_BLOCKED(true))), 5, "expressions nest");
    bool caught = false;
    try {
        (void)NEAP_BLOCKED(value_or_throw(false));
    } catch (const std::runtime_error &) {
        touch();
        caught = true;
    }
    ok(caught, "an exception leaves NEAP_BLOCKED");
    caught = false;
    try {
        NEAP_BLOCKING
        {
            value_or_throw(false);
        }
    } catch (const std::runtime_error &) {
        touch();
        caught = true;
    }
    ok(caught, "and NEAP_BLOCKING");
    return harness_end();
}
