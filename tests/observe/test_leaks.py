#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The leak report names the line, tells a cycle from a reference that was not released, and shows
the way to what it holds; leak_check prints it and chooses the exit status."""
import json
import os

from client import PLANTED, SOURCE, path
from tap import done, ok, run

source = open(os.path.join(SOURCE, "tests/observe/planted.c"), encoding="utf-8").read()
line = source[:source.index("/* the leaking line */")].count("\n") + 1

status, text = run([PLANTED, "leaks", path("leaks.json")])
ok(status == 0, "planted leaks runs", text)
report = json.load(open(path("leaks.json"), encoding="utf-8"))
types = {group["type"]: group for group in report["types"]}
ok(report["objects"] == 5 and set(types) == {"hub", "side", "leaf", "stubborn"},
   "five objects of four types", report)
hub, side, leaf, stubborn = (types[name] for name in ("hub", "side", "leaf", "stubborn"))
ok(hub["line"] == line and hub["file"].endswith("planted.c") and hub["function"] == "leak",
   "the line that made it", hub)
ok(hub["extra_references"] == 1 and hub["path"] == "outside -> hub", "one reference too many", hub)
ok(side["extra_references"] == 0 and leaf["extra_references"] == 0 and
   leaf["path"] == "outside -> hub.left -> side.own -> leaf", "the way to what it holds", leaf)
ok(stubborn["in_cycles"] == 2 and stubborn["extra_references"] == 0 and "path" not in stubborn,
   "a cycle is told from that", stubborn)
ok("1 references from outside were not released" in text and f"planted.c:{line} (leak)" in text and
   "held by: outside -> hub.left -> side" in text and "2 objects are in cycles" in text,
   "the text says the same", text)

for word, wanted in (("off", 1), ("print", 1), ("exit-code", 23)):
    status, text = run([PLANTED, "leak", path("unused")],
                       env={**os.environ, "NEAP_OPTIONS": f"leak_check={word}"})
    ok(status == wanted and ("objects still alive" in text) == (word != "off"),
       f"leak_check={word}: status {wanted}", f"status {status}\n{text}")
done()
