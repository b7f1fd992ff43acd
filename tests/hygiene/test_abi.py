#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library still has what programs that were compiled with it rely on: each recorded symbol and,
by abidiff, each recorded type; and the code that NEAP_INLINE compiles into programs is the recorded
one. Each comparison is seen to fail on a broken record. docs/abi.md says what to do."""
import os
import platform
import re
import shutil
import sys

from tap import BUILD, SOURCE, done, ok, run, skip, write

LIBRARY = os.path.join(BUILD, "libneap.so")
FOLDER = os.path.join(SOURCE, "tests/abi")
with open(os.path.join(FOLDER, "libneap.abi"), encoding="utf-8") as file:
    recorded = file.read()
with open(os.path.join(FOLDER, "inline.txt"), encoding="utf-8") as file:
    recorded_inline = file.read()

# ---- symbols: every build ----


def missing(record, exported):
    symbols = re.findall(r"<elf-symbol name='(\w+)' version='(\w+)'", record)
    return len(symbols), [name for name, version in symbols
                          if f"{name}@@{version}" not in exported]


def test_symbols():
    status, output = run(["nm", "-D", "--defined-only", LIBRARY])
    exported = {row.split()[-1] for row in output.splitlines()}
    count, gone = missing(recorded, exported)
    ok(count > 150 and not gone, f"all {count} recorded symbols are exported, with their version", gone)
    ok(missing(recorded.replace("name='neap_adopt'", "name='neap_adopt_all'"),
               exported)[1] == ["neap_adopt_all"],
       "one that is gone is noticed")


# ---- inline code: every build ----


def test_inline_code():
    status, inline = run([os.path.join(SOURCE, "tools/record-abi"), "inline"])
    ok(status == 0 and "neap_release_inline" in inline and "header.h neap_header" in inline,
       "inline code and layout are found", inline)
    changed = sorted(set(inline.splitlines()) ^ set(recorded_inline.splitlines()))
    ok(not changed, "what NEAP_INLINE compiles into programs is the recorded code: if old and new may be "
       "mixed, tools/record-abi write BUILD-TREE; else docs/abi.md", "\n".join(changed))
    copy = os.path.dirname(write("copy/include/neap/x", ""))
    for name in os.listdir(os.path.join(SOURCE, "include/neap")):
        shutil.copy(os.path.join(SOURCE, "include/neap", name), copy)
    with open(os.path.join(copy, "header.h"), encoding="utf-8") as file:
        header = file.read()
    write("copy/include/neap/header.h", header.replace("uint16_t owner;", "uint32_t owner;"))
    status, output = run([os.path.join(SOURCE, "tools/record-abi"), "inline"],
                         env={**os.environ, "NEAP_ROOT": os.path.dirname(os.path.dirname(copy))})
    ok(status == 0 and output != inline, "a wider owner field is noticed", output)


# ---- types: builds with debug information, on the machine that the record is of ----


def compare(record, now):
    return run(["abidiff", "--no-added-syms", "--suppressions",
                os.path.join(FOLDER, "may-grow.ini"), record, now])


def test_types():
    status, sections = run(["readelf", "-SW", LIBRARY])
    what = "abidiff finds nothing that a program would notice"
    if shutil.which("abidiff") is None:
        skip(what, "no abidiff (package abigail-tools)")
    elif ".debug_info" not in sections:
        skip(what, "no debug information here; test_abi_types, in the debug build, looks at types")
    elif platform.machine() != "x86_64":
        skip(what, "recorded on x86_64")
    else:
        status, output = run([os.path.join(SOURCE, "tools/record-abi"), "types", BUILD])
        ok(status == 0, "abidw describes the library", output)
        now = write("now.abi", output)
        status, output = compare(os.path.join(FOLDER, "libneap.abi"), now)
        ok(status == 0, what, f"status {status}\n{output}")
        for name in ("neap_slot", "neap_type", "neap_poll_point"):
            broken = re.sub(rf"(<class-decl name='{name}' size-in-bits=')(\d+)",
                            lambda match: match.group(1) + str(int(match.group(2)) - 64), recorded)
            status, output = compare(write("broken.abi", broken), now)
            ok(broken != recorded and status & 4, f"a longer struct {name} is noticed",
               f"status {status}\n{output}")
        broken = re.sub(r"(<function-decl name='neap_collect'.*?)<parameter [^>]*/>", r"\1", recorded,
                        count=1, flags=re.S)
        ok(broken != recorded, "the record has neap_collect's parameter")
        status, output = compare(write("broken.abi", broken), now)
        ok(status & 4 and "neap_collect" in output, "a parameter more is noticed",
           f"status {status}\n{output}")


if "--types" not in sys.argv:
    test_symbols()
    test_inline_code()
test_types()
done()
