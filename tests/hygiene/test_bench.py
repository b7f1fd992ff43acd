#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bench/run-bench makes of figures: comparisons, refusals, the page; on figures made up here.
Where the benchmarks are built some run, tiny: their times mean nothing, and are not looked at."""
import argparse
import copy
import importlib.machinery
import importlib.util
import json
import os
import platform
import re
import sys
from html.parser import HTMLParser

from tap import BUILD, SOURCE, done, ok, run, scratch, skip, write

BENCH = os.path.join(SOURCE, "bench", "run-bench")
TABLE = os.path.join(SOURCE, "bench", "performance-table")
told = {
    "machine": {"cpu": "A <fast> one", "processors": 2, "memory_mib": 4096, "kernel": "1", "system": "D",
                "load": 0.0},
    "versions": {"libc6": "1"}, "commit": "abc", "quick": True, "repetitions": 3, "min_time": 0.03,
    "when": "then", "skipped": {"counting/one": {"atomic": "no <reason>"}},
    "missing": {"collect_nim": "nim"}, "left_out": ["load/server_5s"],
    "build": {"buildtype": "release", "checks": "release", "compiler": "gcc 12.2.0"},
    "figures": {
        "counting/one": {"neap_inline": {"time": [1.0, 1.1, 1.2], "cpu": [1, 1, 1]},
                         "plain": {"time": [2.0, 2.1, 2.2], "cpu": [1, 1, 1]}},
        "load/server_1s": {
            peer: {"time": [9.0] * 3, "p50_us": [2.0 * slow] * 3, "p90_us": [3.0 * slow] * 3,
                   "p99_us": [5.0 * slow] * 3, "p999_us": [40.0 * slow] * 3, "max_us": [900.0 * slow] * 3}
            for peer, slow in (("neap", 1), ("go", 7))},
        "processes/idle": {"neap": {"cpu_us_per_s": [0.0] * 3}, "java": {"cpu_us_per_s": [80.0] * 3}},
    }}


def kept(name, change=lambda figures: None):
    figures = copy.deepcopy(told)
    change(figures)
    return write(name, json.dumps(figures))


def compare(old, new):
    return run([sys.executable, BENCH, "--compare", old, new])


# ---- comparisons ----

old = kept("old.json")
status, output = compare(old, kept("same.json"))
ok(status == 0 and "nothing" in output, "the same figures: nothing changed", output)


def slower(figures):
    figures["figures"]["counting/one"]["neap_inline"]["time"] = [1.5, 1.6, 1.7]
    figures["figures"]["counting/one"]["plain"]["time"] = [2.15, 2.3, 2.4]


status, output = compare(old, kept("slower.json", slower))
ok(status == 0 and re.search(r"counting/one +neap_inline +time +1\.1 -> +1\.6 +\+45 %", output),
   "what became slower beyond noise is told", output)
ok("plain" not in output, "what changed within its range is not", output)
for key, value in (("cpu", "another"), ("processors", 64), ("memory_mib", 1), ("kernel", "2")):
    status, output = compare(old, kept("other.json", lambda f: f["machine"].update({key: value})))
    ok(status == 1 and "another machine" in output and key in output, f"another {key}: refused", output)
for key, value in (("quick", False), ("min_time", 0.1)):
    status, output = compare(old, kept("other.json", lambda f: f.update({key: value})))
    ok(status == 1 and f"another {key}" in output, f"another {key}: refused", output)
for key, value in (("buildtype", "debug"), ("checks", "paranoid"), ("compiler", "clang 14.0.6")):
    status, output = compare(old, kept("other.json", lambda f: f["build"].update({key: value})))
    ok(status == 1 and f"another {key}" in output, f"built with another {key}: refused", output)
for name, text in (("broken.json", "{"), ("empty.json", "{}")):
    status, output = compare(write(name, text), old)
    ok(status == 1 and "no figures" in output, f"{name}: no figures", output)
status, output = run([sys.executable, BENCH, "--compare", old, old, old])
ok(status == 2, "three files: refused", output)

# ---- the page ----

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, "bench"))
import report  # noqa: E402


class Page(HTMLParser):
    EMPTY = ("meta", "rect", "path", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.ids, self.links = [], [], set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.ids.update(value for key, value in attributes if key == "id")
        self.links.update(value[1:] for key, value in attributes if key == "href")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


path = os.path.join(scratch, "page.html")
goals = [(True, "counting/one", "neap_inline", "time", 0.5, 1.3, "plain")]
report.write(path, told, goals, re.compile("^neap").match, lambda value: f"{value:.3g}",
             lambda row: {"load": "p99_us", "processes": "cpu_us_per_s"}.get(row.split("/")[0], "time"))
with open(path, encoding="utf-8") as file:
    text = file.read()
page = Page(text)
ok(not page.wrong and not page.open, "tags are closed in order", (page.wrong, page.open))
ok(page.links and page.links <= page.ids, "the contents lead to what is there", page.links - page.ids)
ok("A &lt;fast&gt; one" in text and "no &lt;reason&gt;" in text, "names are text", text)
ok("collect_nim (package nim)" in text, "what is missing is named", text)
ok("Left out" in text and "load/server_5s" in text, "what a quick run leaves out is named", text)
ok(text.count("<polyline") == 2 and "5, 900" in text and "35, 6.3e+03" in text,
   "answering times: a line per peer, with 99 of 100 and the longest", text)

# ---- the README's table ----

status, output = run([sys.executable, TABLE, old])
ok(status == 1 and "| `./run bench --only counting/one` |" in output and "plain 2.1" in output and
   "no figures for alloc/lifo_48" in output, "a row of the table, with what repeats it", output)

# ---- what takes long ----

loader = importlib.machinery.SourceFileLoader("run_bench", BENCH)
driver = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_bench", loader))
loader.exec_module(driver)
calls = []


def pretend(command, what, limit=None):
    calls.append(what)
    if what == "collect/rings/late" and calls.count(what) == 2:
        raise driver.TooLong
    return json.dumps({"benchmarks": [{"name": what, "run_type": "iteration", "real_time": 1.0,
                                       "cpu_time": 1.0, "time_unit": "ns", "iterations": 1}]})


options = argparse.Namespace(repetitions=7, slow_repetitions=3, min_time=0.1, limit=30)
cases = [("a", "collect/rings/quick"), ("b", "collect/rings/late")]
real, driver.run_process = driver.run_process, pretend
figures = driver.Figures()
driver.run_apart(figures, cases, options)
ok(calls.count("collect/rings/quick") == 7 and calls.count("collect/rings/late") == 2 and
   figures.skipped == {"collect/rings": {"late": "over 30 s: not repeated"}},
   "seven repetitions, none after one that took too long", (calls, figures.skipped))
calls.clear()
driver.SLOW = -1
driver.run_apart(driver.Figures(), cases[:1], options)
ok(calls == ["collect/rings/quick"] * 3, "three of what is slow", calls)
driver.run_process = real
try:
    driver.run_process(["sh", "-c", "sleep 1000 & sleep 1000"], "sleep", 0.2)
    ok(False, "what takes too long is ended")
except driver.TooLong:
    ok(True, "what takes too long is ended, and what it started")

# ---- the programs, tiny ----

if not os.path.exists(os.path.join(BUILD, "bench", "processes")):
    skip("benchmarks run", "they are not built")
else:
    out = os.path.join(scratch, "tiny.json")
    status, output = run([sys.executable, BENCH, "--build", BUILD, "--repetitions", "1", "--min-time", "0.001",
                          "--json", out, "--html", os.path.join(scratch, "tiny.html"), "--only", "counting/one",
                          "--only", "processes/start/c", "--only", "processes/start/neap",
                          "--only", "alloc/lifo_48/neap"])
    ok(status == 0 and "FAILED" not in output, "some run", output)
    with open(out, encoding="utf-8") as file:
        tiny = json.load(file)
    ok(all(tiny["figures"].get(row, {}).get(peer, {}).get("time")
           for row, peer in (("counting/one", "neap"), ("processes/start", "c"), ("processes/start", "neap"),
                             ("alloc/lifo_48", "neap"))), "and tell times", sorted(tiny["figures"]))
    ok(tiny["machine"]["kernel"] == platform.release(), "with the machine they ran on", tiny["machine"])
    ok(tiny["build"].get("compiler", "").startswith(("gcc ", "clang ")) and "checks" in tiny["build"],
       "how they were built", tiny["build"])
    ok(set(tiny["seconds"]) == {"counting", "alloc", "processes"}, "and how long each question took",
       tiny["seconds"])
    status, output = run([sys.executable, BENCH, "--build", BUILD, "--quick", "--only", "load/server_5s/neap",
                          "--json", out, "--html", os.path.join(scratch, "tiny.html")])
    with open(out, encoding="utf-8") as file:
        ok(status == 0 and "Left out by --quick: load/server_5s" in output and
           json.load(file)["left_out"] == ["load/server_5s"], "what --quick leaves out is told", output)
    status, output = run([sys.executable, BENCH, "--build", BUILD, "--compare", old])
    ok(status == 1 and "another machine" in output, "another machine's figures: refused before anything runs",
       output)
done()
