/* SPDX-License-Identifier: MIT
 *
 * Loading the peers (peers.h). Called under the shim's prepare lock or before any thread: no lock
 * of its own. */
#include "bench/peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/block.h>

struct bench_allocator bench_allocators[BENCH_ALLOCATORS] = {
    {.name = "neap", .alloc = neap_alloc, .zeroed = neap_calloc, .free = neap_free},
    {.name = "glibc", .alloc = malloc, .zeroed = calloc, .free = free},
    {.name = "jemalloc",
     .library = "libjemalloc.so.2",
     .alloc_name = "malloc",
     .zeroed_name = "calloc",
     .free_name = "free"},
    {.name = "mimalloc",
     .library = "libmimalloc.so.2",
     .alloc_name = "mi_malloc",
     .zeroed_name = "mi_calloc",
     .free_name = "mi_free"},
    {.name = "tcmalloc",
     .library = "libtcmalloc_minimal.so.4",
     .alloc_name = "tc_malloc",
     .zeroed_name = "tc_calloc",
     .free_name = "tc_free"},
};

#define TUNABLE "glibc.rtld.optional_static_tls"

void bench_peers_prepare(char **argv)
{
    const char *now = getenv("GLIBC_TUNABLES");
    char wanted[512];
    if (now != NULL && strstr(now, TUNABLE) != NULL)
        return;
    int length = snprintf(wanted, sizeof wanted, "%s%s" TUNABLE "=16384", now == NULL ? "" : now,
                          now == NULL ? "" : ":");
    if (length < 0 || (size_t)length >= sizeof wanted)
        return;
    setenv("GLIBC_TUNABLES", wanted, 1);
    execv("/proc/self/exe", argv);
    perror("cannot start again with " TUNABLE); /* goes on: jemalloc is reported as missing */
}

const char *bench_allocator_load(struct bench_allocator *allocator)
{
    static char why[256];
    if (allocator->alloc != NULL)
        return NULL;
    void *library = dlopen(allocator->library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL) {
        snprintf(why, sizeof why, "missing: %s", dlerror());
        return why;
    }
    void *found[3] = {dlsym(library, allocator->alloc_name), dlsym(library, allocator->zeroed_name),
                      dlsym(library, allocator->free_name)};
    if (found[0] == NULL || found[1] == NULL || found[2] == NULL) {
        snprintf(why, sizeof why, "missing: a function in %s", allocator->library);
        return why;
    }
    /* POSIX: what dlsym returns is a function's address; C has no cast for it. */
    memcpy(&allocator->zeroed, &found[1], sizeof found[1]);
    memcpy(&allocator->free, &found[2], sizeof found[2]);
    memcpy(&allocator->alloc, &found[0], sizeof found[0]);
    return NULL;
}

struct bench_allocator *bench_allocator_named(const char *name)
{
    for (int i = 0; i < BENCH_ALLOCATORS; i++)
        if (strcmp(bench_allocators[i].name, name) == 0)
            return &bench_allocators[i];
    return NULL;
}
