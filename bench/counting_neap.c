/* SPDX-License-Identifier: MIT
 *
 * neap's part of the counting benchmark (counting.c). Compiled twice: as any program is, with calls
 * of neap_object_retain and neap_object_release, and with NEAP_INLINE. */
#include <stdint.h>
#include <stdlib.h>

/* One descriptor per compilation. */
#if defined(COUNT_DEFERRED)
#    define PEER_NAME           "neap_deferred"
#    define PEER_ADD            counting_add_neap_deferred
#    define PEER_MANY           false
#    define neap_typeof_counted neap_typeof_counted_deferred
#elif defined(NEAP_INLINE)
#    define PEER_NAME           "neap_inline"
#    define PEER_ADD            counting_add_neap_inline
#    define PEER_MANY           true
#    define neap_typeof_counted neap_typeof_counted_inline
#else
#    define PEER_NAME "neap"
#    define PEER_ADD  counting_add_neap
#    define PEER_MANY true
#endif
#define PEER_THREADS  true
#define PEER_ATTACHED true

#include <neap/neap.h>

#include "bench/counting.h"
#include "bench/shim.h"

struct counted {
    int64_t payload[3];
};
NEAP_DEFINE_TYPE(counted, ());
typedef struct counted *peer_ref;

static void peer_new(peer_ref *to)
{
    *to = neap_new(counted);
    if (*to == NULL)
        abort();
#ifdef COUNT_DEFERRED
    if (neap_defer(*to) != NEAP_OK)
        abort();
#endif
}

static inline void peer_retain(peer_ref *to, const peer_ref *from)
{
    *to = neap_retain(*from);
}

static inline void peer_release(peer_ref *ref)
{
    neap_release(*ref);
}

#define peer_use(ref) bench_use(*(ref))
#define peer_poll()   neap_safepoint()

#include "bench/counting_rows.h"
