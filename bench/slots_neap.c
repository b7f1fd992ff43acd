/* SPDX-License-Identifier: MIT
 *
 * neap's part of the slots benchmark (slots.c): an atomic slot, read by neap_load and a release.
 * Compiled three times: without and with NEAP_INLINE (which makes the release inline; the load is a
 * call in both), and with SLOTS_PEEK: neap_peek of a NEAP_PEEKABLE object, which counts nothing;
 * the reader's peeks end at its polls, once per 1,024 reads. */
#include <stdint.h>
#include <stdlib.h>

/* One descriptor of each type per compilation. */
#if defined(SLOTS_PEEK)
#    define PEER_NAME          "neap_peek"
#    define PEER_ADD           slots_add_neap_peek
#    define CONFIG_FLAGS       NEAP_PEEKABLE
#    define neap_typeof_config neap_typeof_config_peek
#    define neap_typeof_holder neap_typeof_holder_peek
#elif defined(NEAP_INLINE)
#    define PEER_NAME          "neap_inline"
#    define PEER_ADD           slots_add_neap_inline
#    define CONFIG_FLAGS       0
#    define neap_typeof_config neap_typeof_config_inline
#    define neap_typeof_holder neap_typeof_holder_inline
#else
#    define PEER_NAME    "neap"
#    define PEER_ADD     slots_add_neap
#    define CONFIG_FLAGS 0
#endif
#define PEER_ATTACHED true
#define PEER_WRITES   true

#include <neap/neap.h>

#include "bench/shim.h"
#include "bench/slots.h"

struct config {
    int64_t value, payload[2];
};
NEAP_DEFINE_TYPE(config, (), .flags = CONFIG_FLAGS);

struct holder {
    struct config *current;
};
NEAP_DEFINE_TYPE(holder, (NEAP_ATOMIC(current)));

static struct holder *holder;

static void slot_replace(int64_t value)
{
    struct config *fresh = neap_new(config);
    if (fresh == NULL)
        abort();
    fresh->value = value;
    neap_store(&holder->current, fresh);
    neap_release(fresh);
}

static void slot_init(void)
{
    holder = neap_new(holder);
    if (holder == NULL)
        abort();
    slot_replace(0);
}

static void slot_fini(void)
{
    neap_release(holder);
}

static inline int64_t slot_read(void)
{
#ifdef SLOTS_PEEK
    return neap_peek(&holder->current)->value;
#else
    struct config *now = neap_load(&holder->current);
    int64_t value = now->value;
    neap_release(now);
    return value;
#endif
}

#define thread_enter() ((void)0)
#define thread_leave() ((void)0)
#define thread_poll()  neap_safepoint()

#include "bench/slots_rows.h"
