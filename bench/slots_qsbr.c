/* SPDX-License-Identifier: MIT
 *
 * Slots peer (slots.c): liburcu's QSBR, rcu_dereference inside a read section (inlined,
 * _LGPL_SOURCE). The reader passes a quiescent state every 1,024 reads; the writer waits for a
 * grace period before it frees what it replaced, so "flat out" is as fast as grace periods go. */
#define _LGPL_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "bench/shim.h"
#include "bench/slots.h"

#define PEER_NAME     "qsbr"
#define PEER_ADD      slots_add_qsbr
#define PEER_ATTACHED false
#define PEER_WRITES   true

struct config {
    int64_t value, payload[2];
};
static struct config *slot;

static void slot_init(void)
{
    slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        abort();
}

static void slot_fini(void)
{
    free(slot);
}

static inline int64_t slot_read(void)
{
    rcu_read_lock();
    int64_t value = rcu_dereference(slot)->value;
    rcu_read_unlock();
    return value;
}

static void slot_replace(int64_t value)
{
    struct config *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        abort();
    fresh->value = value;
    struct config *old = rcu_xchg_pointer(&slot, fresh);
    synchronize_rcu();
    free(old);
}

#define thread_enter() rcu_register_thread()
#define thread_leave() rcu_unregister_thread()
#define thread_poll()  rcu_quiescent_state()

#include "bench/slots_rows.h"
