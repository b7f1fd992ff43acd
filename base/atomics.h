/* SPDX-License-Identifier: MIT
 *
 * Atomic access with the order in the name, so that a reader sees it where it matters.
 *
 * The macros work on plain C objects through the compiler's __atomic builtins: the same field can
 * be read in a public C++ header, and ThreadSanitizer sees every access. Each access stronger than
 * relaxed carries a [MM-...] tag in its comment; docs/memory-model.md holds both sides.
 */
#ifndef NP_BASE_ATOMICS_H
#define NP_BASE_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define np_load_relaxed(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define np_load_acquire(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define np_load_seq_cst(p)         __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define np_store_relaxed(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define np_store_release(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define np_store_seq_cst(p, v)     __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define np_exchange_relaxed(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define np_exchange_acquire(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define np_exchange_acq_rel(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define np_exchange_seq_cst(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define np_fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define np_fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define np_fetch_add_seq_cst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define np_fetch_sub_release(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE)
#define np_fetch_sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define np_fetch_or_relaxed(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define np_fetch_or_release(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_RELEASE)
#define np_fetch_or_seq_cst(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define np_fetch_and_relaxed(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define np_fetch_and_acq_rel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)
#define np_fetch_and_seq_cst(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define np_fence_acquire()         __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define np_fence_release()         __atomic_thread_fence(__ATOMIC_RELEASE)
#define np_fence_seq_cst()         __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Strong compare-and-swap: *e takes the value found when it fails, read with the failure order. */
#define np_cas_relaxed(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define np_cas_acquire(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define np_cas_release(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define np_cas_acq_rel(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define np_cas_seq_cst(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* *word == 0, relaxed, by one instruction where the compiler's own atomic load would need two. */
static inline bool np_is_zero_relaxed(const uint32_t *word)
{
#if defined(__x86_64__) && !defined(NP_TSAN)
    bool zero;
    __asm__ volatile("cmpl $0, %1" : "=@ccz"(zero) : "m"(*word));
    return zero;
#else
    return np_load_relaxed(word) == 0;
#endif
}

/* Tells the processor that this is a spin wait. */
static inline void np_spin_hint(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
