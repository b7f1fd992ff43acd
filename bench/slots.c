/* SPDX-License-Identifier: MIT
 *
 * What does it cost to read through a shared slot that another thread replaces?
 *
 * Models: a configuration, a routing table, the head of a cache: one reader in a loop finds the
 * current value, reads a word of it and lets it go, while nobody writes (alone), a writer replaces
 * the value every 10 us, or one replaces it as fast as it can (flat out). Every new value is a new
 * object; the old one is freed when its last reader is gone. And the writer alone (store): a new
 * object in place of the old.
 *
 * Peers: a plain pointer (the floor; nobody may write), liburcu's QSBR (no counting, values live
 * until a grace period has passed), std::atomic<std::shared_ptr>, a mutex around a std::shared_ptr.
 * neap: neap_load and release; neap_peek.
 *
 * Leaves out: several readers, several slots, values that are kept for long.
 *
 * Reading: nanoseconds per read; of store per new object, its allocation and the old one's death
 * included, where QSBR waits for a grace period each time. writes_per_ms says how fast the writer
 * was: peers with slow writers disturb their readers less, so read both. */
#include "bench/shim.h"
#include "bench/slots.h"

int main(int argc, char **argv)
{
    slots_add_plain();
#ifdef BENCH_HAS_QSBR
    slots_add_qsbr();
#endif
    slots_add_atomic_shared_ptr();
    slots_add_mutex_shared_ptr();
    slots_add_neap();
    slots_add_neap_inline();
    slots_add_neap_peek();
    return bench_main(argc, argv);
}
