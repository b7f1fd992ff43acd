#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""heaptrack_print reads what is written and shows the planted places with what they made and hold."""
import os
import re

from client import SOURCE, path, planted, program
from tap import done, ok, run, skip

each = int(planted("pprof", "one.pb.gz")["each"])
file = path("one.pb.gz.heaptrack")
lines = open(file, encoding="utf-8").read().splitlines()
ok(lines[0] == "v 10400 3", "the version is heaptrack's", lines[0])
source = open(os.path.join(SOURCE, "tests/observe/planted.c"), encoding="utf-8").read()
line = source[:source.index("/* the planted line */")].count("\n") + 1
if program("heaptrack_print") is None:
    skip("heaptrack_print reads it", "no heaptrack_print (apt-get install heaptrack)")
    done()
status, output = run(["heaptrack_print", "-f", file, "-l", "1", "-T", "1", "-a", "1"])
ok(status == 0, "heaptrack_print reads it", output)
leaked = re.search(r"([\d.]+)([KMG]?)B? leaked over (\d+) calls from\n *planted_site \[node\]\n"
                   r" *at \S*planted\.c:(\d+)", output)
ok(leaked and int(leaked.group(3)) == 1000 and int(leaked.group(4)) == line,
   "what is alive, by its line", output[-3000:])
ok(leaked and abs(float(leaked.group(1)) * {"": 1, "K": 1000, "M": 1000000}[leaked.group(2)] -
                  1000 * each) <= 1000 * each * 0.01, "in bytes", leaked and leaked.group(0))
ok(re.search(r"^500 calls to allocation functions with .* peak consumption from\n *other_site", output,
             re.M), "what has been freed, by its calls", output[-3000:])
ok("planted_caller" in output and "main" in output, "with the callers")
temporary = re.search(r"^temporary memory allocations: (\d+)", output, re.M)
ok(temporary and int(temporary.group(1)) >= 500, "and as temporary", output[-600:])
done()
