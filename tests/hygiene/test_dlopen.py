#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Built with -Dlarge=os, the library can be loaded by dlopen into a running program and used from
there: its thread-local data fits into what the C library keeps for latecomers."""
import os

from tap import CC, SOURCE, WARNINGS, INCLUDE, done, ok, run, scratch, succeeds, write

PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <neap/neap.h>

#define FIND(name) __typeof__(name) *p_##name = (__typeof__(name) *)dlsym(library, #name)

int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    FIND(neap_init);
    FIND(neap_shutdown);
    FIND(neap_alloc);
    FIND(neap_free);
    FIND(neap_type_create);
    FIND(neap_object_new);
    FIND(neap_object_release);
    FIND(neap_collect);
    if (p_neap_init(NULL) != NEAP_OK)
        return 3;
    struct neap_type_spec spec = {
        .struct_size = sizeof spec, .name = "big", .size = 100000, .alignment = 8};
    struct neap_type *type = p_neap_type_create(&spec);
    if (type == NULL)
        return 4;
    for (int i = 0; i < 1000; i++) {
        char *object = p_neap_object_new(type, 0), *block = p_neap_alloc(5000);
        if (object == NULL || block == NULL)
            return 5;
        memset(object, 1, 100000);
        memset(block, 2, 5000);
        p_neap_object_release(object);
        p_neap_free(block);
    }
    if (p_neap_collect(2) != 0)
        return 6;
    return p_neap_shutdown(NULL) == 0 ? 0 : 7;
}
"""

UNLOADER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <neap/neap.h>

static int (*attach)(const char *name);
static int ready[2], go[2];

static void *attach_and_wait(void *arg)
{
    char byte = 0;
    if (attach("outlives the library") != NEAP_OK || write(ready[1], &byte, 1) != 1 ||
        read(go[0], &byte, 1) != 1)
        return NULL;
    return arg;
}

/* A thread exits, and the process forks and ends, after dlclose. */
int main(int argc, char **argv)
{
    char byte = 0;
    void *value = NULL, *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || pipe(ready) != 0 || pipe(go) != 0)
        return 2;
    int (*init)(const struct neap_options *) =
        (int (*)(const struct neap_options *))dlsym(library, "neap_init");
    attach = (int (*)(const char *))dlsym(library, "neap_thread_attach");
    if (init == NULL || attach == NULL || init(NULL) != NEAP_OK)
        return 3;
    pthread_t thread;
    if (pthread_create(&thread, NULL, attach_and_wait, &byte) != 0 || read(ready[0], &byte, 1) != 1)
        return 4;
    dlclose(library);
    if (write(go[1], &byte, 1) != 1 || pthread_join(thread, &value) != 0)
        return 5;
    return value == &byte ? 0 : 6;
}
"""

tree = os.path.join(scratch, "tree")
succeeds(["meson", "setup", tree, SOURCE, "-Dlarge=os", "-Dtests=false", "-Dbench=disabled",
          "-Dexamples=disabled", "-Ddefault_library=shared"], "meson setup -Dlarge=os")
succeeds(["ninja", "-C", tree, "-j", "2"], "builds")
library = os.path.join(tree, "libneap.so")
needed = run(["readelf", "-d", library])[1]
ok("jemalloc" not in needed, "needs no jemalloc", needed)
program = os.path.join(scratch, "program")
succeeds(CC + ["-std=gnu11", write("main.c", PROGRAM), "-o", program, INCLUDE, "-ldl"] + WARNINGS,
         "a program that knows the headers alone compiles")
succeeds([program, library],
         "loads, makes large objects and blocks, collects, ends with nothing alive")
unloader = os.path.join(scratch, "unloader")
succeeds(CC + ["-std=gnu11", write("unloader.c", UNLOADER), "-o", unloader, INCLUDE, "-ldl",
               "-pthread"] + WARNINGS, "a program that unloads the library compiles")
succeeds([unloader, library], "a thread that exits after dlclose is detached all the same")
done()
