#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shared library exports what the public headers declare, and nothing else: no internal name,
no name of a library linked into it, no declared function left undefined. What runs while the world
is stopped calls nothing that allocates, prints or takes a lock of the program's."""
import glob
import os
import re

from tap import BUILD, SOURCE, done, ok, public_headers, run

LIBRARIES = [os.path.join(BUILD, "libneap.so")]
MONITOR = os.path.join(BUILD, "monitor", "libneap-monitor.so")
if os.path.exists(MONITOR):  # else its header stays at home
    LIBRARIES.append(MONITOR)
exported = set()
for library in LIBRARIES:
    status, output = run(["nm", "-D", "--defined-only", library])
    ok(status == 0, f"nm reads {os.path.basename(library)}", output)
    rows = [line.split() for line in output.splitlines()]
    exported |= {row[-1].split("@")[0] for row in rows if len(row) >= 3}
exported.discard("NEAP_0")  # the version itself
ok(len(exported) > 50, f"{len(exported)} names are exported", exported)
strangers = sorted(name for name in exported if not name.startswith("neap_"))
ok(not strangers, "every exported name starts with neap_", strangers)

declared = set()
for header in public_headers():
    if header == "monitor.h" and MONITOR not in LIBRARIES:
        continue
    with open(os.path.join(SOURCE, "include/neap", header), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read().replace("\\\n", " "), flags=re.S)
    text = re.sub(r"^ *#.*", "", text, flags=re.M)
    for declaration in re.findall(r"(?:extern )?NEAP_PUBLIC\b([^;{]*)[;{]", text):
        plain = re.sub(r"__attribute__\s*\(\(.*\)\)", "", declaration.replace("\n", " "))
        match = re.search(r"(\w+)\s*(?:\(|$)", plain.strip())
        declared.add(match.group(1))
    types = re.findall(r"^NEAP_DECLARE_TYPE\((\w+)\)", text, re.M)
    declared.update("neap_typeof_" + name for name in types)
ok(len(declared) > 50, f"{len(declared)} names are declared", declared)
ok(not declared - exported, "every declared name is exported", sorted(declared - exported))
ok(not exported - declared, "every exported name is declared", sorted(exported - declared))

status, output = run(["readelf", "-d", os.path.join(BUILD, "libneap.so")])
ok("libneap.so.0" in output, "the SONAME carries the version of the interface", output)
ok("TEXTREL" not in output, "no relocations in code", output)

# The parts of a stop: with a thread stopped inside malloc or stdio either would wait for ever.
STOPPED = ("confined", "count", "garbage", "known", "phases", "scan", "side", "trace", "universe")
HARMLESS = re.compile(r"np_|neap_|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|mem(set|cpy|move|cmp)$|__(asan|tsan|ubsan)_")
for part in STOPPED:
    objects = glob.glob(os.path.join(BUILD, "libneap.so.*.p", f"collector_{part}.c.o"))
    status, output = run(["nm", "-u", *objects])
    names = [line.split()[-1] for line in output.splitlines() if line.strip()]
    ok(status == 0 and len(objects) == 1 and names, f"nm reads the object of collector/{part}.c", output)
    strangers = [name for name in names if not HARMLESS.match(name)]
    ok(not strangers, "it calls nothing of the system's", strangers)
done()
