#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""NEAP_OPTIONS=profile=1 prints the line-by-line table of a marked function, and neap top -l the same
for the whole program by place."""
import os
import re
import subprocess
import sys

from client import SOURCE, path
from tap import done, ok

PROGRAM = os.environ["NEAP_PROFILED"]
source = open(os.path.join(SOURCE, "tests/observe/profiled.c"), encoding="utf-8").read().split("\n")
HEAD = "Line #    Mem usage    Increment  Occurrences   Line Contents"


def line_of(mark):
    return 1 + next(number for number, text in enumerate(source) if mark in text)


def run(arguments, options, cwd=None):
    return subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, check=False, cwd=cwd,
                          timeout=120, env={**os.environ, "NEAP_OPTIONS": options})


def rows(text):
    """{line: (memory, increment, occurrences, text)}"""
    found = {}
    for row in text.split("\n"):
        match = re.fullmatch(r" *(\d+) +(-?[\d.]+) MiB +(-?[\d.]+) MiB +(\d+)   (.*)", row)
        if match:
            found[int(match[1])] = (float(match[2]), float(match[3]), int(match[4]), match[5])
    return found


def shows_the_function(text):
    seen = rows(text)
    call, release = seen.get(line_of("/* the calling line */")), seen.get(line_of("/* the releasing line */"))
    if call is None or release is None or f"{HEAD}\n{'=' * len(HEAD)}" not in text:
        return False
    each = call[1] / 3
    return (call[2] == 3 and release[2] == 1 and 1 <= each < 1.1 and abs(release[1] + each) < 0.002 and
            abs(release[0] - 2 * each) < 0.002 and call[3] == source[line_of("/* the calling line */") - 1])


ended = run([], "profile=1")
ok(ended.returncode == 0 and shows_the_function(ended.stderr), "the table is printed at neap_shutdown",
   ended.stderr)
ok(ended.stdout == "", "on standard error alone")
ended = run(["exit"], "profile=1", cwd="/")
ok(ended.returncode == 0 and shows_the_function(ended.stderr),
   "and in exit, and the source is found from another folder", ended.stderr)
ended = run([], "")
ok(ended.returncode == 0 and ended.stderr == "", "without the option nothing is printed")

# beside a recording: the profile's wish, every allocation, is the recording's
os.makedirs(path("folder"), exist_ok=True)
os.environ["NEAP_RECORD"] = path("folder")
ended = run([], "profile=1,record=1")
ok(shows_the_function(ended.stderr) and len(os.listdir(path("folder"))) == 3, "a recording goes on beside it",
   ended.stderr)

ended = run([path("p")], "profile=1")
ok(ended.returncode == 0, "the program writes a profile", ended.stderr)
top = subprocess.run([sys.executable, os.path.join(SOURCE, "tools/neap"), "top", "-l", path("p")], text=True,
                     capture_output=True, check=False)
row = rows(top.stdout).get(line_of("/* the page's line */"))
ok(top.returncode == 0 and row is not None and row[2] == 3 and abs(row[0] - row[1] * 2 / 3) < 0.002 and
   1 <= row[1] / 3 < 1.1, "neap top -l: alive, made and how often, by line", top.stdout + top.stderr)
ok("profiled.c" in top.stdout and HEAD in top.stdout, "under the file's name", top.stdout)
for words in (["top", "-l"], ["top", path("p"), "many"], ["top", "-l", path("p"), "1", "2"]):
    wrong = subprocess.run([sys.executable, os.path.join(SOURCE, "tools/neap"), *words], text=True,
                           capture_output=True, check=False)
    ok(wrong.returncode == 1 and wrong.stderr.startswith("neap: ") and "Traceback" not in wrong.stderr,
       f"neap {' '.join(words[:2])[:8]} with {len(words)} words: a sentence", wrong.stderr)
done()
