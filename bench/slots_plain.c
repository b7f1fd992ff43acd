/* SPDX-License-Identifier: MIT
 *
 * Slots peer (slots.c): a plain pointer that nobody replaces: the floor. */
#include <stdint.h>
#include <stdlib.h>

#include "bench/shim.h"
#include "bench/slots.h"

#define PEER_NAME     "plain"
#define PEER_ADD      slots_add_plain
#define PEER_ATTACHED false
#define PEER_WRITES   false

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
    return slot->value;
}

static void slot_replace(int64_t value)
{
    slot->value = value;
}

#define thread_enter() ((void)0)
#define thread_leave() ((void)0)
#define thread_poll()  ((void)0)

#include "bench/slots_rows.h"
