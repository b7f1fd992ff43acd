#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each public header compiles by itself and twice, as C11 and as C++17, under gcc and clang,
without a warning; so does the umbrella with the inline fast paths."""
import os
import shutil

from tap import CC, CXX, INCLUDE, WARNINGS, done, public_headers, run, ok, skip, write

compilers = {"C": [(CC, "c11"), (CC, "gnu17")], "C++": [(CXX, "c++17")]}
for name, language, standard in (
        ("gcc", "C", "c11"), ("clang", "C", "c11"), ("g++", "C++", "c++17"),
        ("clang++", "C++", "c++17"), ("clang++", "C++", "c++20")):
    compilers[language].append(([name], standard))

cases = [(f"neap/{name}", []) for name in public_headers()] + [("neap/neap.h", ["-DNEAP_INLINE"])]
for header, flags in cases:
    text = f"#include <{header}>\n#include <{header}>\nint nothing;\n"
    for language, choices in compilers.items():
        if header.endswith(".hpp") and language == "C":
            continue
        path = write("one.c" if language == "C" else "one.cc", text)
        for compiler, standard in choices:
            what = f"{header} {' '.join(flags)} as {standard} by {os.path.basename(compiler[0])}"
            if shutil.which(compiler[0]) is None:
                skip(what, f"no {compiler[0]}")
                continue
            status, output = run(compiler + [f"-std={standard}", "-fsyntax-only", INCLUDE] +
                                 WARNINGS + flags + [path])
            ok(status == 0, what, output)
done()
