/* SPDX-License-Identifier: MIT
 *
 * Is the caller allowed to make this call now? O(1) checks that stay on in release builds.
 *
 * Implemented by usage.c. */
#ifndef NP_RUNTIME_USAGE_H
#define NP_RUNTIME_USAGE_H

#include <stdbool.h>

#include "base/atomics.h"
#include "base/tls.h"
#include "neap/header.h"

/* Between the first neap_init and the last neap_shutdown. */
extern bool np_usage_now; /* (x) written by the first init and the last shutdown */
static inline bool np_usage_alive(void)
{
    /* relaxed: a thread that attached saw init; others may not call */
    return np_load_relaxed(&np_usage_now);
}
void np_usage_set_alive(bool alive);

/* Attaches the caller if it is not and option auto_attach is on; false: it is as it was. */
bool np_usage_attach(void);

/* The calling thread is attached and not in a blocking region, or becomes so by np_usage_attach;
 * else a panic that names the call and the remedy. np_tls is to be read after it. */
void np_usage_fail(const char *call);
static inline void np_usage_check(const char *call)
{
    if (__builtin_expect(np_tls.id == NEAP_OWNER_NOBODY, 0))
        np_usage_fail(call);
}

/* The same for calls that do nothing once there is no runtime any more: false then. */
static inline bool np_usage_may(const char *call)
{
    if (__builtin_expect(np_tls.id != NEAP_OWNER_NOBODY, 1))
        return true;
    if (!np_usage_alive())
        return false;
    np_usage_fail(call);
    return true;
}

/* Does the address look like a living object: in a pool or large, with a known type? What neither
 * the owner nor an earlier foreign call has vouched for is asked once. */
void np_usage_check_object(const char *call, const struct neap_header *header);

/* Panics that name the object's type and the rule. */
_Noreturn void np_usage_dead(const char *call, const struct neap_header *header);

#endif
