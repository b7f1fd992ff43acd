#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program outside the tree can use the library: installed into DESTDIR, shared and static, from C
and from C++, and straight from the build tree; through pkg-config alone. The program keeps its own
malloc."""
import os
import shutil

from tap import BUILD, CC, CXX, WARNINGS, done, ok, run, scratch, succeeds, write

PROGRAM = r"""
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <neap/neap.h>

struct pair {
    struct pair *other;
    int number;
};
NEAP_DECLARE_TYPE(pair);

int main(void)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "malloc");
    if (symbol == NULL || dladdr(symbol, &info) == 0 || strstr(info.dli_fname, "libc.so") == NULL) {
        fprintf(stderr, "malloc comes from %s\n", symbol ? info.dli_fname : "nowhere");
        return 2;
    }
    size_t before = mallinfo2().uordblks;
    void *block = malloc(100000);
    if (block == NULL || mallinfo2().uordblks < before + 100000) {
        fprintf(stderr, "malloc is not glibc's\n");
        return 3;
    }
    free(block);
    if (neap_init(NULL) != NEAP_OK)
        return 4;
    struct pair *a = neap_new(pair), *b = neap_new(pair);
    if (a == NULL || b == NULL)
        return 5;
    neap_set(&a->other, b);
    neap_set(&b->other, a);
    neap_release(a);
    neap_release(b);
    if (neap_collect(2) != 2)
        return 6;
    char *text = (char *)neap_alloc(3000);
    if (text == NULL)
        return 7;
    memset(text, 1, 3000);
    neap_free(text);
    return neap_shutdown(NULL) == 0 ? 0 : 8;
}
"""
TYPE = """
#include <neap/neap.h>
struct pair { struct pair *other; int number; };
NEAP_DEFINE_TYPE(pair, (other));
"""
MONITORED = """
#include <neap/monitor.h>
#include <neap/neap.h>
int main(void)
{
    if (neap_init(NULL) != NEAP_OK || neap_monitor_start("127.0.0.1:0") != NEAP_OK)
        return 1;
    neap_monitor_stop();
    return neap_shutdown(NULL) == 0 ? 0 : 2;
}
"""

root = os.path.join(scratch, "root")
succeeds(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root],
         "meson install into DESTDIR")
found = {}
for folder, _, names in os.walk(root):
    for name in names:
        found[name] = os.path.join(folder, name)
for name in ("neap.pc", "libneap.so", "libneap.so.0", "libneap.a", "neap.h"):
    ok(name in found, f"{name} is installed", sorted(found))

if os.path.exists(os.path.join(BUILD, "monitor", "libneap-monitor.so")):
    for name in ("neap-monitor.pc", "libneap-monitor.so.0", "monitor.h"):
        ok(name in found, f"{name} is installed", sorted(found))
else:
    ok("monitor.h" not in found, "no header of a library that is not built", sorted(found))

commands = [path for name, path in found.items() if name.endswith("-gdb.py")]
ok(len(commands) == 1 and "gdb/auto-load" in commands[0] and
   os.path.exists(os.path.join(root, commands[0].split("gdb/auto-load/")[1][:-len("-gdb.py")])),
   "gdb's commands are installed where gdb looks for the library's", commands)

main_c, main_cc, type_c = write("main.c", PROGRAM), write("main.cc", PROGRAM), write("type.c", TYPE)
library = os.path.dirname(found.get("libneap.so", ""))


def consume(name, pkg_env, static, run_env):
    environment = {**os.environ, **pkg_env}
    asked = ["pkg-config", "--cflags", "--libs"] + (["--static"] if static else []) + ["neap"]
    status, flags = run(asked, env=environment)
    if not ok(status == 0, f"{name}: pkg-config knows neap", flags):
        return
    flags = flags.split()
    if static:  # of libneap only: the C library stays shared
        at = flags.index("-lneap")
        flags[at:at + 1] = ["-l:libneap.a"]
    for compiler, main, standard in ((CC, main_c, "gnu11"), (CXX, main_cc, "gnu++17")):
        what = f"{name}, {'C' if main == main_c else 'C++'}"
        program, typed = os.path.join(scratch, "program"), os.path.join(scratch, "type.o")
        cflags = [flag for flag in flags if not flag.startswith(("-l", "-L"))]
        output = run(CC + ["-std=gnu11", "-c", type_c, "-o", typed] + WARNINGS + cflags)[1]
        status, more = run(compiler + [f"-std={standard}", main, typed, "-o", program] + WARNINGS +
                           flags + ["-ldl"])
        if ok(status == 0, f"{what}: compiles and links", output + more):
            if static:
                needed = run(["readelf", "-d", program])[1]
                ok("libneap" not in needed, f"{what}: needs no libneap.so", needed)
            status, output = run([program], env={**os.environ, **run_env})
            ok(status == 0, f"{what}: runs", f"status {status}\n{output}")


if shutil.which("pkg-config") and "neap.pc" in found:
    installed = {"PKG_CONFIG_PATH": os.path.dirname(found["neap.pc"]),
                 "PKG_CONFIG_SYSROOT_DIR": root}
    # The dependencies' own flags point outside DESTDIR: they get the sysroot too, and it has none
    # of their headers, which lie in /usr/include anyway.
    consume("installed, shared", installed, False, {"LD_LIBRARY_PATH": library})
    consume("installed, static", installed, True, {})
    uninstalled = {"PKG_CONFIG_PATH": os.path.join(BUILD, "meson-uninstalled")}
    consume("from the build tree, shared", uninstalled, False, {"LD_LIBRARY_PATH": BUILD})
    consume("from the build tree, static", uninstalled, True, {})
    if "neap-monitor.pc" in found:
        flags = run(["pkg-config", "--cflags", "--libs", "neap-monitor"],
                    env={**os.environ, **installed})[1].split()
        program = os.path.join(scratch, "monitored")
        monitored = write("monitored.c", MONITORED)
        output = run(CC + ["-std=gnu11", monitored, "-o", program] + WARNINGS + flags)[1]
        status, more = run([program], env={**os.environ, "LD_LIBRARY_PATH": library})
        ok(status == 0, "a program with the installed monitor runs", output + more)
done()
