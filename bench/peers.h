/* SPDX-License-Identifier: MIT
 *
 * The allocators side by side, in one process or in one process each.
 *
 * Every allocator is called in the same form: through a function pointer that the loop has in a
 * register, into a shared library. neap_alloc is reached in no other way than the peers' malloc,
 * and nobody is inlined. glibc's is the malloc of the process; the others are Debian's own
 * libraries, loaded with dlopen(RTLD_LOCAL | RTLD_DEEPBIND), so that they stay what they are and
 * replace nothing. Debian's jemalloc needs more static TLS than glibc keeps for dlopen:
 * bench_peers_prepare starts the program again with the glibc tunable that keeps more.
 *
 * Two allocators in a process disturb each other's caches, page tables and heap growth, and
 * resident memory cannot be told apart. So bench/run-bench starts a process per peer and
 * repetition, in turn, and each row also says its peak of resident memory; in one process (the
 * program started by hand) only the times mean something. An allocator is loaded when its first
 * case starts, not before. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_allocator {
    const char *name;
    const char *library; /* NULL: linked */
    const char *alloc_name, *zeroed_name, *free_name;
    void *(*alloc)(size_t bytes);
    void *(*zeroed)(size_t count, size_t bytes);
    void (*free)(void *block);
};

enum { BENCH_ALLOCATORS = 5 };
extern struct bench_allocator bench_allocators[BENCH_ALLOCATORS]; /* the first is neap */

/* First thing in main. */
void bench_peers_prepare(char **argv);
/* A bench_case.prepare: arg points to a struct bench_allocator. */
const char *bench_allocator_load(struct bench_allocator *allocator);
struct bench_allocator *bench_allocator_named(const char *name);

#ifdef __cplusplus
}
#endif

#endif
