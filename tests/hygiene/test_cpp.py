#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""<neap/neap.hpp> works with g++ and clang++, in C++17 and C++20: its test and the example compile
without a warning and run to status 0."""
import os
import shutil

from tap import BUILD, CC, CXX, INCLUDE, SOURCE, WARNINGS, done, ok, run, scratch, skip, succeeds

objects = []
for name in ("harness", "tap", "death", "random"):
    objects.append(os.path.join(scratch, name + ".o"))
    succeeds(CC + ["-std=gnu11", "-D_GNU_SOURCE", INCLUDE, "-I" + SOURCE, "-c",
                   os.path.join(SOURCE, "tests", name + ".c"), "-o", objects[-1]],
             f"{name}.c compiles")
program = os.path.join(scratch, "program")
for compiler in dict.fromkeys((CXX[0], "g++", "clang++")):
    if shutil.which(compiler) is None:
        skip(compiler, f"no {compiler}")
        continue
    for standard in ("c++17", "c++20"):
        for source, extra in (("tests/api/test_cpp.cc", objects), ("examples/graph.cc", [])):
            what = f"{source} as {standard} by {os.path.basename(compiler)}"
            status, output = run([compiler, f"-std={standard}"] + WARNINGS + [
                INCLUDE, "-I" + SOURCE, os.path.join(SOURCE, source)] + extra + [
                    "-o", program, "-L" + BUILD, "-lneap", "-Wl,-rpath," + BUILD, "-pthread"])
            if ok(status == 0, f"{what}: compiles", output):
                status, output = run([program], timeout=60)
                ok(status == 0, f"{what}: runs", f"status {status}\n{output}")
done()
