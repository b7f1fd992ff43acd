#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program outside the tree can use the library: installed into DESTDIR, shared and static, from C
and from C++, by pkg-config and by CMake; and straight from the build tree. The program keeps its own
malloc. The command, the manual pages and the headers are installed with it."""
import os
import re
import shutil

from tap import (BUILD, CC, CXX, SOURCE, WARNINGS, done, ok, public_headers, run, scratch, skip,
                 succeeds, write)

CONSUMERS = os.path.join(SOURCE, "tests/consumers")
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
for name in ("neap.pc", "libneap.so", "libneap.so.0", "libneap.a", "neapConfig.cmake",
             "neapConfigVersion.cmake", "neap", "neap.1", "neap.3"):
    ok(name in found, f"{name} is installed", sorted(found))
left_out = {name for name in public_headers() if name not in found}
ok(left_out <= {"monitor.h"}, "the headers are installed", left_out)  # its library is optional
if os.path.exists(os.path.join(BUILD, "monitor", "libneap-monitor.so")):
    for name in ("neap-monitor.pc", "libneap-monitor.so.0", "monitor.h"):
        ok(name in found, f"{name} is installed", sorted(found))
else:
    ok("monitor.h" not in found, "no header of a library that is not built", sorted(found))

commands = [path for name, path in found.items() if name.endswith("-gdb.py")]
ok(len(commands) == 1 and "gdb/auto-load" in commands[0] and
   os.path.exists(os.path.join(root, commands[0].split("gdb/auto-load/")[1][:-len("-gdb.py")])),
   "gdb's commands are installed where gdb looks for the library's", commands)
library = os.path.dirname(found.get("libneap.so", ""))

# ---- the command and the manual ----

status, output = run([found["neap"], "doctor"])
ok(status == 0 and f"{library}/libneap.so.0" in output and re.search(r"^works +yes$", output, re.M),
   "the installed command finds the library beside it and tries it", output)
version = re.search(r"^version +(\S+)$", output, re.M)
ok(version and version.group(1) in open(found["neap.pc"], encoding="utf-8").read(),
   "which has the version that neap.pc tells", output)
for name in ("neap_new", "neap_release", "neap_map_set", "neap_collect"):
    path = found.get(name + ".3", "")
    text = open(path, encoding="utf-8").read() if path else ""
    page = re.fullmatch(r"\.so man3/(\S+)\n", text)
    ok(page and page.group(1) in found, f"man {name} leads to a page", text)
if shutil.which("groff"):
    for name in sorted(found):
        if re.fullmatch(r"neap(-.*)?\.[13]", name):
            status, output = run(["groff", "-man", "-ww", "-Tutf8", "-Kutf8", "-z", found[name]])
            ok(status == 0 and not output, f"{name} is sound", output)
else:
    skip("the manual pages are sound", "no groff")

# ---- pkg-config ----

main_c, main_cc, type_c = (os.path.join(CONSUMERS, name)
                           for name in ("program.c", "program.cc", "type.c"))


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

# ---- CMake: the installation as it lies there, which is not where it was made for ----

if shutil.which("cmake") is None:
    skip("find_package(neap)", "no cmake")
else:
    project, built = os.path.join(scratch, "cmake"), os.path.join(scratch, "cmake-build")
    shutil.copytree(os.path.join(CONSUMERS, "cmake"), project)
    for name in ("program.c", "program.cc", "type.c"):
        shutil.copy(os.path.join(CONSUMERS, name), project)
    prefix = os.path.dirname(os.path.dirname(found["neap"]))
    configure = ["cmake", "-G", "Ninja", "-S", project, "-DCMAKE_BUILD_TYPE=Debug",
                 f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={CC[-1]}",
                 f"-DCMAKE_CXX_COMPILER={CXX[-1]}",
                 f"-Dneap_DIR={os.path.dirname(found['neapConfig.cmake'])}"]
    succeeds(configure + ["-B", built], "find_package(neap) finds it")
    succeeds(["cmake", "--build", built], "a CMake project builds, shared and static, C and C++")
    for name in ("program", "program_static", "program_cpp", "program_cpp_static"):
        program = os.path.join(built, name)
        needed = run(["readelf", "-d", program])[1]
        ok(("libneap.so.0" in needed) == ("static" not in name), f"CMake's {name}: linked as asked",
           needed)
        succeeds([program], f"CMake's {name}: runs")
    lists = os.path.join(project, "CMakeLists.txt")
    with open(lists, encoding="utf-8") as file:
        text = file.read()
    for wanted in ("0.9", "1.0"):
        with open(lists, "w", encoding="utf-8") as file:
            file.write(text.replace("find_package(neap 0.1", f"find_package(neap {wanted}"))
        status, output = run(configure + ["-B", built + wanted])
        ok(status != 0 and "not" in output, f"version {wanted} is not found", output)
done()
