/* SPDX-License-Identifier: MIT
 *
 * Counting peers in C (counting.c): with COUNT_ATOMICALLY C11 atomics as every threaded refcount
 * uses them (relaxed up, acquire-release down), without it a plain int, the floor: right for one
 * thread only; with COUNT_BY_CALL the plain int behind calls, the floor of neap's function mode. */
#include <stdint.h>
#include <stdlib.h>

#include "bench/counting.h"
#include "bench/shim.h"

#if defined(COUNT_ATOMICALLY)
#    include <stdatomic.h>
#    define PEER_NAME    "atomic"
#    define PEER_ADD     counting_add_atomic
#    define PEER_THREADS true
typedef atomic_uint counter;
#    define COUNT_UP(count) ((void)atomic_fetch_add_explicit((count), 1, memory_order_relaxed))
#    define COUNT_DOWN_LAST(count) \
        (atomic_fetch_sub_explicit((count), 1, memory_order_acq_rel) == 1)
#elif defined(COUNT_BY_CALL)
#    include "bench/counting_call.h"
#    define PEER_NAME              "plain_call"
#    define PEER_ADD               counting_add_plain_call
#    define PEER_THREADS           false
typedef unsigned counter;
#    define COUNT_UP(count)        counting_call_up(count)
#    define COUNT_DOWN_LAST(count) counting_call_down_last(count)
#else
#    define PEER_NAME              "plain"
#    define PEER_ADD               counting_add_plain
#    define PEER_THREADS           false
typedef unsigned counter;
#    define COUNT_UP(count)        ((void)++*(count))
#    define COUNT_DOWN_LAST(count) (--*(count) == 0)
#endif
#define PEER_ATTACHED false
#define PEER_MANY     true

struct counted {
    counter count;
    int64_t payload[3];
};
typedef struct counted *peer_ref;

static void peer_new(peer_ref *to)
{
    *to = calloc(1, sizeof **to);
    if (*to == NULL)
        abort();
    (*to)->count = 1;
}

static inline void peer_retain(peer_ref *to, const peer_ref *from)
{
    *to = *from;
    COUNT_UP(&(*to)->count);
}

static inline void peer_release(peer_ref *ref)
{
    if (COUNT_DOWN_LAST(&(*ref)->count))
        free(*ref);
}

#define peer_use(ref) bench_use(*(ref))
#define peer_poll()   ((void)0)

#include "bench/counting_rows.h"
