/* SPDX-License-Identifier: MIT
 *
 * What misuse is told. Every message names the call, the object where there is one, and the rule.
 */
#include "runtime/usage.h"

#include "alloc/pool.h"
#include "base/check.h"
#include "base/options.h"
#include "base/os.h"
#include "neap/status.h"
#include "runtime/header.h"
#include "threads/thread.h"

bool np_usage_now;

void np_usage_set_alive(bool alive)
{
    np_store_relaxed(&np_usage_now, alive); /* relaxed: see np_usage_alive */
}

bool np_usage_attach(void)
{
    if (!np_usage_alive() || np_tls.attached > 0 || np_options.auto_attach == 0)
        return false;
    char name[NP_THREAD_NAME_BYTES];
    np_os_thread_name(name, sizeof name);
    return np_thread_attach(name) == NEAP_OK;
}

void np_usage_fail(const char *call)
{
    if (!np_usage_alive())
        np_panic_at(call, "the runtime is not running: call neap_init first");
    if (np_usage_attach())
        return;
    if (np_tls.attached == 0 && np_thread_has_exited())
        np_panic_at(call, "this thread has exited: a key destructor may release, nothing else");
    if (np_tls.attached == 0 && np_options.auto_attach)
        np_panic_at(call, "no memory or no slot to attach this thread");
    if (np_tls.attached == 0)
        np_panic_at(call, "this thread is not attached: call neap_thread_attach first, start it "
                          "with neap_thread_create, or set option auto_attach");
    np_panic_at(call, "called inside a blocking region: no object, slot or weak call between "
                      "neap_blocking_enter and neap_blocking_leave");
}

void np_usage_check_object(const char *call, const struct neap_header *header)
{
    uint32_t index = np_load_relaxed(&header->type); /* relaxed: constant while the object lives */
    bool placed = np_region_has(header) || (header->flags & NP_FLAG_LARGE);
    if (np_unlikely(!placed || index == 0 || index > np_type_count()))
        np_usage_dead(call, header);
}

_Noreturn void np_usage_dead(const char *call, const struct neap_header *header)
{
    const void *object = np_object_of(header);
    uint32_t index = np_load_relaxed(&header->type); /* relaxed: a report */
    if (index == 0 || index > np_type_count())
        np_panic_at(call,
                    "%p is not a living object: released too often, freed, or not from neap_new",
                    object);
    np_panic_at(call,
                "%s at %p is dying or dead: a reference was released more often than it was "
                "retained",
                np_type_at(index)->name, object);
}
