/* SPDX-License-Identifier: MIT
 *
 * The thread-local block itself. */
#include "base/tls.h"

_Static_assert(sizeof(struct neap_thread_local) <= 64, "static TLS budget of a dlopened library");

/* Nobody's answers are wanted at once, so that a poll of theirs takes the slow path, which says
 * what is wrong. */
struct neap_poll_point np_poll_of_nobody = {.requests = UINT32_MAX};

struct neap_cache np_cache_of_nobody;

__thread struct neap_thread_local neap_thread_local __attribute__((tls_model("initial-exec"))) = {
    .id = NEAP_OWNER_NOBODY, .poll = &np_poll_of_nobody, .cache = &np_cache_of_nobody};
