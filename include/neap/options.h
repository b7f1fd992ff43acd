/* SPDX-License-Identifier: MIT
 *
 * neap: the options, one row each. The struct's fields, their defaults, the parser of the
 * environment variable NEAP_OPTIONS=name=value,... , the text of NEAP_OPTIONS=help and the
 * documentation come from this table. The variable overrides what the program passes and is ignored
 * where the process runs with raised privilege (setuid, file capabilities).
 *
 * Not for values that may change while the program runs: options are read once, by the first
 * neap_init.
 */
#ifndef NEAP_OPTIONS_H
#define NEAP_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* X(name, default, least, most, sentence). All values are unsigned 64-bit. */
#define NEAP_OPTIONS_TABLE(X) \
    X(release_budget, 1000, 0, UINT64_MAX, \
      "objects that one neap_release or safepoint destroys before it leaves the rest for later; " \
      "0: all") \
    X(finalize_ms, 100, 0, 86400000, \
      "milliseconds until the helper thread runs pending user code nobody has taken; 0: never") \
    X(threshold_young, 700, 0, UINT64_MAX, \
      "tracked objects made and not freed before generation 0 is collected; 0: never by itself") \
    X(threshold_middle, 10, 0, UINT64_MAX, \
      "collections of generation 0 before generation 1 is collected too; 0: never by itself") \
    X(threshold_old, 10, 0, UINT64_MAX, \
      "collections of generation 1 before generation 2 is collected too; 0: never by itself") \
    X(collector_threads, 0, 0, 8, \
      "threads that count and trace an old collection together, the collecting one included; " \
      "0: one per processor") \
    X(confined, 1, 0, 1, \
      "1: a thread collects its own young objects that no other thread has acquired first, with " \
      "nobody stopped") \
    X(audit_visit, 0, 0, 1, \
      "1: every collection looks for types that report a slot twice, one that owns no reference, " \
      "or not all of them; slow") \
    X(heap_reserve_bytes, (uint64_t)256 << 30, (uint64_t)64 << 20, (uint64_t)16 << 40, \
      "address space reserved for small blocks; halved until the system grants it") \
    X(heap_soft_limit, 0, 0, UINT64_MAX, \
      "bytes of heap beyond which old collections follow each other, in a quarter of the time at " \
      "most; 0: none") \
    X(heap_hard_limit, 0, 0, UINT64_MAX, \
      "bytes of heap beyond which allocation returns NULL; 0: none") \
    X(cgroup_percent, 0, 0, 100, \
      "limits of the heap that are 0 become so many hundredths of the memory limits of the " \
      "process' cgroup: memory.max the hard one, memory.high the soft one (without it: 7/8 of " \
      "the hard one); 0: no") \
    X(decay_ms, 100, 0, 86400000, \
      "milliseconds an empty arena stays resident before its memory goes back to the system") \
    X(helper, 1, 0, 1, \
      "1: a background thread gives memory back and runs forgotten user code; 0: neap_tick does") \
    X(auto_attach, 0, 0, 1, \
      "1: a call from a thread that is not attached attaches it, until it exits; 0: it panics. " \
      "Such " \
      "a thread polls and blocks by the same rules as every other") \
    X(auto_defer, 0, 0, 1, \
      "1: an object that threads fight over becomes deferred by itself (neap_defer)") \
    X(deferred_limit, (uint64_t)64 << 20, 0, UINT64_MAX, \
      "bytes of dead peekable objects that wait for readers before the laggards are named (with " \
      "safepoint_warn_ms)") \
    X(safepoint_warn_ms, 0, 0, 86400000, \
      "milliseconds a thread may keep a stop or handshake waiting before it is named on standard " \
      "error; 0: never") \
    X(safepoint_backtrace, 0, 0, 1, \
      "1: a thread that was named prints its stack when it polls at last, for addr2line") \
    X(leak_check, 0, 0, 2, \
      "print: the last neap_shutdown tells what is still alive on standard error; exit-code: and " \
      "ends the program with status 23; 0: neither") \
    X(fail_nth, 0, 0, UINT64_MAX, \
      "fault injection: the n-th allocation from now fails, once; 0: none") \
    X(guard_sample, 0, 0, UINT64_MAX, \
      "one in so many refills of untyped blocks gives one that ends at a page nobody may touch; " \
      "0: none (1000 in debug builds)") \
    X(perturb, 0, 0, UINT64_MAX, \
      "SEED:RATE: RATE of 1,000 passes through a window of a lock-free protocol wait there; " \
      "debug " \
      "builds only") \
    X(one_block_pools, 0, 0, 1, \
      "1: a pool has one block, so that pools fill, empty and change hands all the time; for " \
      "tests") \
    X(eager_grace, 0, 0, 1, \
      "1: every stop point asks for grace periods and uses what has passed at once; for tests") \
    X(eager_collect, 0, 0, 1, \
      "1: every allocation is a slow path and collects, generation after generation; for tests") \
    X(fail_one_in, 0, 0, UINT64_MAX, \
      "fault injection: each allocation fails with the probability of one in so many; 0: none") \
    X(fail_seed, 1, 0, UINT64_MAX, \
      "what fail_one_in draws from: the same seed fails the same allocations of a single thread") \
    X(record, 0, 0, 1, \
      "1: a profile, a timeline and a heap snapshot of the run are written into the folder that " \
      "the environment variable NEAP_RECORD names, else the current one (neap record)") \
    X(record_bytes, 524288, 0, UINT64_MAX, \
      "record: mean distance of sampled allocations in bytes; 0: every allocation") \
    X(profile, 0, 0, 1, \
      "1: every allocation is traced, and the last neap_shutdown (or exit) prints a table of " \
      "memory by line for each function marked NEAP_PROFILE on standard error") \
    X(huge_pages, 0, 0, 1, \
      "1: asks for transparent huge pages under small blocks: fewer misses of the TLB, memory in " \
      "steps of 2 MiB") \
    X(collector, 0, 0, 1, \
      "concurrent: automatic old collections trace while the program runs and stop it in slices, " \
      "only to validate what they found; stopped: they stop it for all their work") \
    X(pause_target_us, 1000, 10, 1000000, \
      "microseconds that a stop of a concurrent old collection may take; one component of " \
      "garbage " \
      "that is larger takes longer")

struct neap_options {
    size_t
        struct_size; /* sizeof(struct neap_options) of the caller; fields beyond it have defaults */
#define NEAP_OPTION_FIELD(name, default_value, least, most, sentence) uint64_t name;
    NEAP_OPTIONS_TABLE(NEAP_OPTION_FIELD)
#undef NEAP_OPTION_FIELD
};

#define NEAP_OPTION_DEFAULT(name, default_value, least, most, sentence) .name = (default_value),
/* What every option is unless something else is said: struct neap_options options =
 * NEAP_OPTIONS_INIT. */
#define NEAP_OPTIONS_INIT \
    { \
        .struct_size = sizeof(struct neap_options), NEAP_OPTIONS_TABLE(NEAP_OPTION_DEFAULT) \
    }

#endif
