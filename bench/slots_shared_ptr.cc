/* SPDX-License-Identifier: MIT
 *
 * Slots peers (slots.c) in C++20: std::atomic<std::shared_ptr>, or with SLOTS_MUTEX a
 * std::shared_ptr under a std::mutex. */
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "bench/shim.h"
#include "bench/slots.h"

#define PEER_ATTACHED false
#define PEER_WRITES   true

namespace
{

struct config {
    int64_t value = 0, payload[2] = {0, 0};
};
using pointer = std::shared_ptr<config>;

#ifdef SLOTS_MUTEX
#    define PEER_NAME "mutex_shared_ptr"
#    define PEER_ADD  slots_add_mutex_shared_ptr

std::mutex lock;
pointer slot;

inline pointer load()
{
    std::lock_guard<std::mutex> hold(lock);
    return slot;
}

inline void store(pointer fresh)
{
    std::lock_guard<std::mutex> hold(lock);
    slot.swap(fresh); /* the old one dies after the lock is released: arguments outlive locals */
}
#else
#    define PEER_NAME "atomic_shared_ptr"
#    define PEER_ADD  slots_add_atomic_shared_ptr

std::atomic<pointer> slot;

inline pointer load()
{
    return slot.load(std::memory_order_acquire);
}

inline void store(pointer fresh)
{
    slot.store(std::move(fresh), std::memory_order_release);
}
#endif

void slot_replace(int64_t value)
{
    pointer fresh = std::make_shared<config>();
    fresh->value = value;
    store(std::move(fresh));
}

void slot_init()
{
    slot_replace(0);
}

void slot_fini()
{
    store(nullptr);
}

inline int64_t slot_read()
{
    return load()->value;
}

} // namespace

#define thread_enter() ((void)0)
#define thread_leave() ((void)0)
#define thread_poll()  ((void)0)

#include "bench/slots_rows.h"
