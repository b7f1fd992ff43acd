/* SPDX-License-Identifier: MIT
 *
 * The thread-local block itself. */
#include "base/tls.h"

_Static_assert(sizeof(struct neap_thread_local) <= 64, "static TLS budget of a dlopened library");

__thread struct neap_thread_local neap_thread_local
    __attribute__((tls_model("initial-exec"))) = {.id = NEAP_OWNER_NOBODY};
