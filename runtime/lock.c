/* SPDX-License-Identifier: MIT
 *
 * The public face of threads/address_lock.h. */
#include "neap/lock.h"

#include "base/check.h"
#include "runtime/usage.h"
#include "threads/address_lock.h"
#include "threads/safepoint.h"

void neap_lock(void *object)
{
    np_usage_check("neap_lock");
    np_check(object != NULL, "NULL is not an object");
    np_poll_code(np_tls.thread, __builtin_return_address(0));
    np_address_lock(object);
}

void neap_unlock(void *object)
{
    np_usage_check("neap_unlock");
    np_address_unlock(object);
}

void neap_lock2(void *a, void *b)
{
    np_usage_check("neap_lock2");
    np_check(a != NULL && b != NULL, "NULL is not an object");
    np_poll_code(np_tls.thread, __builtin_return_address(0));
    np_address_lock2(a, b);
}

void neap_unlock2(void *a, void *b)
{
    np_usage_check("neap_unlock2");
    np_address_unlock2(a, b);
}
