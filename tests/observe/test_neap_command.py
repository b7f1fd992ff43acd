#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The steps of the guides "my memory grows", "my pauses are long" and "who holds this object", with
the commands as docs/guides.md writes them, find what is planted."""
import os
import pty
import re
import resource
import subprocess
import sys

from client import SOURCE, path, planted
from tap import done, ok, run, skip

guide = open(os.path.join(SOURCE, "docs/guides.md"), encoding="utf-8").read()
source = open(os.path.join(SOURCE, "tests/observe/planted.c"), encoding="utf-8").read()


def line_of(mark):
    return source[:source.index(mark)].count("\n") + 1


def follow(command, files):
    """Runs a command line of the guide with its file names led to those written here."""
    ok(f"\n{command}" in guide, f"the guide says: {command}")
    words = [files.get(word, word) for word in re.split(r"\s+", command.split("#")[0].strip())]
    status, output = run([os.path.join(SOURCE, words[0])] + words[1:])
    ok(status == 0, "and it runs", output)
    return output


each = int(planted("pprof", "p")["each"])
files = {"before.pb.gz": path("p"), "after.pb.gz": path("p.second")}
output = follow("tools/neap top after.pb.gz", files)
first = output.splitlines()[1]
ok(f"planted.c:{line_of('/* the planted line */')} (planted_site) node" in first and
   f"{3000 * each:,}" in first, "the planted line is first", output)
output = follow("tools/neap diff before.pb.gz after.pb.gz", files)
ok(f"{2000 * each:,}" in output.splitlines()[1], "and grows most", output)

planted("graph", "g")
output = follow("tools/neap leaks heap.heapsnapshot", {"heap.heapsnapshot": path("g")})
row = output.splitlines()[1].split()
ok(row[-1] == "hub" and row[2] == "1", "the one object held from outside is shown", output)

run([os.environ["NEAP_PLANTED"], "leaks", path("l")])
output = follow("tools/neap leaks leaks.json", {"leaks.json": path("l")})
ok("held by: outside -> hub.left -> side.own -> leaf" in output and
   f"planted.c:{line_of('/* the leaking line */')} (leak)" in output, "the way to it, and its line",
   output)

planted("late", "t")
output = follow("tools/neap pauses timeline.json", {"timeline.json": path("t")})
rows = [row.split() for row in output.splitlines()[1:]]
ok(["walk", "laggard"] in [row[3:] for row in rows],
   "the thread that did not poll is named beside the stop that waited for it", output)
PHASES = {"gather", "known", "count", "trace", "part", "promote"}
ok(any(row[3] == "collect" and row[-2] in PHASES and float(row[-1]) >= 0 for row in rows),
   "and what took longest in a collection's", output)

for words in (["top", path("nothing")], ["top", path("g")], ["leaks", path("t")], ["wrong"]):
    status, output = run([os.path.join(SOURCE, "tools/neap")] + words)
    ok(status == 1 and output.startswith("neap: ") and "Traceback" not in output,
       f"neap {words[0]} of {os.path.basename(words[-1])}: a sentence", output)
# On a terminal long work says how far it is, and leaves nothing behind.
try:
    ours, its = pty.openpty()
except OSError as error:
    skip("progress on a terminal", f"no terminal can be made here ({error.strerror})")
else:
    subprocess.run([sys.executable, os.path.join(SOURCE, "tools/neap"), "leaks", path("g")], stderr=its,
                   stdout=subprocess.DEVNULL, timeout=120, check=False)
    told = os.read(ours, 65536).decode()
    os.close(ours), os.close(its)
    ok(f"reading {path('g')} 100 %" in told and "following references 0 %" in told and
       told.endswith("\r") and "\n" not in told, "progress on a terminal", told)
ok(subprocess.run([sys.executable, os.path.join(SOURCE, "tools/neap"), "leaks", path("g")], text=True,
                  capture_output=True, timeout=120, check=False).stderr == "", "and none elsewhere")

# neap record: a program that knows nothing of it, one that exits at once, one without neap.
EXAMPLE, NEAP = os.environ["NEAP_INSPECTED"], os.path.join(SOURCE, "tools", "neap")


def record(folder, *command, **environment):
    return subprocess.run([sys.executable, NEAP, "record", "-o", path(folder), "--", *command], text=True,
                          capture_output=True, timeout=120, check=False,
                          env={**os.environ, "NEAP_OPTIONS": "record_bytes=0", **environment})


ended = record("recorded", EXAMPLE)
files = {name.split(".", 2)[2]: path(os.path.join("recorded", name))
         for name in os.listdir(path("recorded"))}
ok(ended.returncode == 0 and set(files) == {"profile.pb.gz", "timeline.json", "heapsnapshot"},
   "neap record leaves three files", ended.stderr)
ok(all(f"{opener} {files[name]}" in ended.stderr for opener, name in
       (("neap top", "profile.pb.gz"), ("neap pauses", "timeline.json"), ("neap leaks", "heapsnapshot"))),
   "and says how to open each", ended.stderr)
for opener, name, words in (("top", "profile.pb.gz", "inspected.c"), ("pauses", "timeline.json", "collect"),
                            ("leaks", "heapsnapshot", "held from outside")):
    shown = subprocess.run([sys.executable, NEAP, opener, files[name]], text=True, capture_output=True,
                           check=False).stdout
    ok(words in shown, f"neap {opener} opens it", shown)
ended = record("failed", EXAMPLE, "exit")
ok(ended.returncode == 7 and len(os.listdir(path("failed"))) == 3,
   "a program that exits without neap_shutdown is recorded, its status kept", ended)
ended = record("nothing", "true")
ok(ended.returncode == 0 and "is it linked with neap?" in ended.stderr, "one without neap is told")
ended = record("none", path("no such program"))
ok(ended.returncode == 1 and "No such file" in ended.stderr, "and one that is not there", ended.stderr)
ended = record("unwritable", EXAMPLE, NEAP_OPTIONS="record_bytes=0,fail_nth=30")
ok(ended.returncode in (0, 2), "whichever allocation fails, the program goes on or says why", ended)
# A folder that is not there, and a disk that is full: the program goes on, and says so.
told = subprocess.run([EXAMPLE], text=True, capture_output=True, timeout=120, check=False, env={
    **os.environ, "NEAP_OPTIONS": "record=1", "NEAP_RECORD": path("no/such/folder")})
ok(told.returncode == 0 and all(f"{end}: " in told.stderr for end in
                                (".profile.pb.gz", ".timeline.json", ".heapsnapshot")),
   "each file that cannot be made is named", told.stderr)
os.makedirs(path("full"))
told = subprocess.run([EXAMPLE], text=True, capture_output=True, timeout=120, check=False,
                      restore_signals=False,  # SIGXFSZ stays ignored, as Python has it
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)),
                      env={**os.environ, "NEAP_OPTIONS": "record=1,record_bytes=0",
                           "NEAP_RECORD": path("full")})
ok(told.returncode == 0 and told.stderr.count("neap: record: ") == 3, "a full disk is told for each",
   told.stderr)
ok(os.listdir(path("full")) == [], "and no part of a file is left", os.listdir(path("full")))
done()
