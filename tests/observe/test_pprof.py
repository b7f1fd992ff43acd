#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""go tool pprof finds the planted line: -top, -list, -base, -tags, -traces; collapsed stacks add up."""
import os

from client import SOURCE, path, planted, program
from tap import done, ok, run, skip

each = int(planted("pprof", "one.pb.gz")["each"])
source = open(os.path.join(SOURCE, "tests/observe/planted.c"), encoding="utf-8").read()
line = source[:source.index("/* the planted line */")].count("\n") + 1

stacks = [row.rsplit(" ", 1) for row in open(path("one.pb.gz.collapsed"), encoding="utf-8")]
mine = [(stack, int(value)) for stack, value in stacks if stack.endswith(";node")]
ok(len(mine) == 1 and mine[0][1] == 1000 * each, "one collapsed stack has all nodes", stacks)
ok(";planted_caller;planted_site (" in mine[0][0] and f"planted.c:{line});node" in mine[0][0],
   "with the caller, the place and the type", mine)

if program("go") is None:
    for name in ("-top", "-list", "-base", "-tags", "-sample_index"):
        skip(f"go tool pprof {name}", "no go (apt-get install golang-go)")
    done()
env = {**os.environ, "GOFLAGS": "", "HOME": path("home"), "PPROF_TMPDIR": path("pprof"),
       "PPROF_BINARY_PATH": ""}


def pprof(*arguments):
    status, output = run(["go", "tool", "pprof", *arguments], env=env)
    return output if status == 0 else f"status {status}\n{output}"


def amount(bytes_):
    """As pprof prints it in kB with two decimals."""
    return f"{bytes_ / 1024:.2f}kB"


output = pprof("-top", "-unit=kb", path("one.pb.gz"))
rows = [row.split() for row in output.splitlines() if "planted_site" in row]
ok(rows and rows[0][0] == amount(1000 * each), "-top shows the planted function's bytes", output)
output = pprof("-top", "-sample_index=alloc_objects", path("one.pb.gz"))
rows = {row.split()[-1]: row.split()[0] for row in output.splitlines() if "_site" in row}
ok(rows == {"planted_site": "1000", "other_site": "500"}, "allocations are counted", output)
output = pprof("-list=planted_site", "-unit=kb", f"-source_path={SOURCE}/tests/observe",
               f"-trim_path={os.path.dirname(SOURCE)}", path("one.pb.gz"))
marked = [row for row in output.splitlines() if "the planted line" in row]
ok(len(marked) == 1 and amount(1000 * each) in marked[0] and f" {line}:" in marked[0],
   "-list shows the planted line", output)
output = pprof("-top", "-unit=kb", "-base", path("one.pb.gz"), path("one.pb.gz.second"))
rows = [row.split() for row in output.splitlines() if "planted_site" in row]
ok(rows and rows[0][0] == amount(2000 * each), "-base shows what came between", output)
output = pprof("-tags", path("one.pb.gz"))
ok("node" in output and "main" in output and "type:" in output and "thread:" in output,
   "-tags has types and threads", output)
output = pprof("-traces", path("one.pb.gz"))
ok("planted_caller" in output and "main" in output, "-traces has the callers", output)
done()
