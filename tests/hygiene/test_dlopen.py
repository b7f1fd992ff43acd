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
done()
