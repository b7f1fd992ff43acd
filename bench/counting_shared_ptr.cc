/* SPDX-License-Identifier: MIT
 *
 * std::shared_ptr's part of the counting benchmark (counting.c). The process has a second thread
 * (shim.h), so libstdc++ counts with locked instructions. */
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "bench/counting.h"
#include "bench/shim.h"

#define PEER_NAME     "shared_ptr"
#define PEER_ADD      counting_add_shared_ptr
#define PEER_THREADS  true
#define PEER_ATTACHED false
#define PEER_MANY     true

namespace
{

struct counted {
    int64_t payload[3];
};
using pointer = std::shared_ptr<counted>;

/* The rows are C: storage whose life is begun by peer_new and peer_retain and ended by
 * peer_release. */
struct peer_ref {
    alignas(pointer) unsigned char storage[sizeof(pointer)];
    pointer *get()
    {
        return std::launder(reinterpret_cast<pointer *>(storage));
    }
    const pointer *get() const
    {
        return std::launder(reinterpret_cast<const pointer *>(storage));
    }
};

void peer_new(peer_ref *to)
{
    new (to->storage) pointer(std::make_shared<counted>());
}

inline void peer_retain(peer_ref *to, const peer_ref *from)
{
    new (to->storage) pointer(*from->get());
}

inline void peer_release(peer_ref *ref)
{
    ref->get()->~pointer();
}

} // namespace

#define peer_use(ref) bench_use(ref)
#define peer_poll()   ((void)0)

#include "bench/counting_rows.h"
