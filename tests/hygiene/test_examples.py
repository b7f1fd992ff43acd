#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every C program in README.md and docs/ compiles without a warning and runs to status 0.

A fenced block marked c or cpp is a whole program with a main; code that is not is quoted from a
source file, with a line <!-- from: path --> before it, which tools/check-docs verifies.
"""
import os
import re

from tap import BUILD, CC, CXX, INCLUDE, SOURCE, WARNINGS, done, ok, run, scratch, write

BLOCK = re.compile(
    r"(?P<quoted><!-- from: \S+ -->\n)?^```(?P<language>c|cpp)\n(?P<code>.*?)^```", re.S | re.M)

documents = ["README.md"]
for folder, _, names in os.walk(os.path.join(SOURCE, "docs")):
    documents += [os.path.relpath(os.path.join(folder, name), SOURCE) for name in names]
programs = 0
for path in sorted(documents):
    if not path.endswith(".md"):
        continue
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        text = file.read()
    for match in BLOCK.finditer(text):
        if match["quoted"]:
            continue
        programs += 1
        what = f"{path}, line {text.count(chr(10), 0, match.start()) + 1}"
        is_c = match["language"] == "c"
        source = write("example.c" if is_c else "example.cc", match["code"])
        program = os.path.join(scratch, "example")
        flags = ["-std=gnu11"] if is_c else ["-std=gnu++17"]
        status, output = run((CC if is_c else CXX) + flags + WARNINGS + [
            INCLUDE, source, "-o", program, "-L" + BUILD, "-lneap", "-Wl,-rpath," + BUILD,
            "-pthread"])
        if ok(status == 0, f"{what}: compiles", output):
            status, output = run([program], timeout=60, cwd=scratch)
            ok(status == 0, f"{what}: runs", f"status {status}\n{output}")
ok(programs > 0, "README.md shows a program")
done()
