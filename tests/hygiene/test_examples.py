#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every C program that a document shows compiles without a warning and runs to status 0.

A fenced block marked c or cpp is a whole program with a main; code that is not is quoted from a
source file, with a line <!-- from: path --> before it, which tools/check-docs verifies.
"""
import os
import sys

from tap import BUILD, CC, CXX, INCLUDE, SOURCE, WARNINGS, done, ok, run, scratch, write

sys.path.insert(0, os.path.join(SOURCE, "tools"))
import tree  # noqa: E402, the tools' own

shown = set()
for path, line, language, code in tree.programs():
    shown.add(path)
    is_c = language == "c"
    source = write("example.c" if is_c else "example.cc", code)
    program = os.path.join(scratch, "example")
    flags = ["-std=gnu11"] if is_c else ["-std=gnu++17"]
    status, output = run((CC if is_c else CXX) + flags + WARNINGS + [
        INCLUDE, source, "-o", program, "-L" + BUILD, "-lneap", "-Wl,-rpath," + BUILD, "-pthread"])
    if ok(status == 0, f"{path}, line {line}: compiles", output):
        status, output = run([program], timeout=60, cwd=scratch)
        ok(status == 0, f"{path}, line {line}: runs", f"status {status}\n{output}")
for path in ("README.md", "docs/tutorial.md", "docs/implementers.md", "docs/from-malloc.md",
             "docs/from-shared-ptr.md", "docs/from-boehm.md"):
    ok(path in shown, f"{path} shows a program", sorted(shown))
done()
