/* SPDX-License-Identifier: MIT */
#include "base/event.h"

np_event_fn *np_event_hook;
__thread uint32_t np_event_helper __attribute__((tls_model("initial-exec")));
