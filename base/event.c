/* SPDX-License-Identifier: MIT */
#include "base/event.h"

np_event_fn *np_event_hook;
