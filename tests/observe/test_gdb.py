#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gdb commands tell the truth about a known heap, on the live process and on its core file, and
say in words what they cannot do."""
import os
import re
import resource
import shutil

from client import BUILD, SOURCE, path
from tap import done, ok, run, skip

COMMANDS = os.path.join(SOURCE, "tools", "neap-gdb.py")
INSPECTED = os.environ["NEAP_INSPECTED"]
# LeakSanitizer refuses to work in a program that a debugger holds.
ENV = {**os.environ, "NEAP_OPTIONS": "heap_reserve_bytes=64m", "DEBUGINFOD_URLS": "",
       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def gdb(*commands, program=INSPECTED, core=None):
    arguments = ["gdb", "-nx", "-batch", "-iex", "set auto-load off"]
    for command in ("set confirm off", "set print thread-events off", f"source {COMMANDS}", *commands):
        arguments += ["-ex", command]
    return run([*arguments, program, *([core] if core else [])], env=ENV)[1]


def check(where, output):
    """What the commands said of the known heap."""
    ok(re.search(r"\bblocking\s+sleeper\b", output), f"{where}: neap-threads has the sleeper", output)
    ok(re.search(r"\brunning\s+main\b.* \S*inspected\.c:\d+", output) or
       re.search(r"\brunning\s+\S+\s+- \S*inspected\.c:\d+", output),
       f"{where}: and where the other polled last", output)
    ok(re.search(r"^ +2 +\d+  leaf$", output, re.M) and re.search(r"^ +1 +5\d\d\d  giant$", output, re.M)
       and re.search(r"^ +1 +\d+  hub$", output, re.M), f"{where}: neap-heap counts by type", output)
    ok(re.search(r"^hub at 0x\w+, \d+ bytes$", output, re.M) and
       re.search(r'^  owner thread 1 ".*"; counts: its 2, others\' 0$', output, re.M),
       f"{where}: neap-object tells type, owner and counts", output)
    leaf = re.search(r"^  left = (0x\w+) leaf$", output, re.M)
    ok(leaf and f"  many[1] = {leaf.group(1)} leaf" in output and "many[0]" not in output and
       re.search(r"^  all = 0x\w+ neap_list$", output, re.M), f"{where}: and the slots by name", output)
    ok(re.search(r"^hub at 0x\w+, \d+ bytes, 8 bytes into it$", output, re.M),
       f"{where}: an address inside leads to its object", output)
    ok(re.search(r"^hub at 0x\w+: left\nhub at 0x\w+: many\[1\]\nneap_list at 0x\w+: \[0\]\n"
                 r"3 references from objects to leaf at 0x\w+\ncounted are 4: 1 held from outside$",
                 output, re.M), f"{where}: neap-referrers finds all, and who is missing", output)
    ok(re.search(r"^giant at 0x\w+: hub$", output, re.M), f"{where}: from a large object too", output)
    ok('"a hub\'s name"' in output, f"{where}: a string is printed as its text", output)
    ok(re.search(r"neap_list of 1 = \{0x\w+", output), f"{where}: a list as its elements", output)
    ok("lies in no object" in output, f"{where}: no object: said in words", output)


def check_probes():
    """The probes are in the library's notes, and gdb finds them there."""
    library = os.path.join(BUILD, "libneap.so")
    if ".note.stapsdt" not in run(["readelf", "-S", "-W", library])[1]:
        skip("probes", "built without sys/sdt.h (apt-get install systemtap-sdt-dev)")
        return
    notes = run(["readelf", "-n", "-W", library])[1]
    listed = gdb("info probes stap neap", program=library)
    for name in ("gc__start", "gc__done", "world__stop", "world__start"):
        ok(f"Name: {name}" in notes and re.search(rf"neap +{name} ", listed),
           f"the probe {name} is listed", listed)
    output = gdb("break stand_still", "run", "break -probe-stap neap:gc__start", "continue",
                 "print $_probe_arg0")
    ok("$1 = 2" in output, "gdb stops at gc__start and knows the generation", output)


ASK = ("neap-threads", "neap-heap", "neap-object hub", "neap-object (char *)hub + 8",
       "neap-referrers leaf", "neap-referrers hub", "print *hub->name", "print *hub->all",
       "neap-object 4096")

if shutil.which("gdb") is None:
    skip("the gdb commands", "no gdb (apt-get install gdb)")
    done()
output = gdb("neap-heap")
ok("Traceback" not in output and "neap: no np_region" in output or "not running" in output,
   "before the program runs it is said", output)
output = gdb("info types ^struct np_pool$", "break stand_still", "run", "print 40 + 2")
if "libneap" not in gdb("break stand_still", "run", "info sharedlibrary neap"):
    skip("the gdb commands", "gdb cannot run programs here (ptrace is not allowed)")
    done()
output = gdb("break stand_still", "run", "ptype struct np_pool")
if "block_bytes" not in output:
    skip("the gdb commands", "libneap is built without debug information (./run test --with=debug)")
    done()
output = gdb("break stand_still", "run", *ASK, "continue")
check("live", output)
ok("exited normally" in output, "live: the program goes on as if nothing had been", output[-500:])
check_probes()
# The kernel's: gdb's own writes out all that is reserved, gigabytes of it.
os.mkdir(path("crash"))
run([INSPECTED, "abort"], env=ENV, cwd=path("crash"),
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2))
cores = os.listdir(path("crash"))
if not cores:
    skip("core file", "this system writes none here (/proc/sys/kernel/core_pattern)")
else:
    check("core file", gdb(*ASK, core=os.path.join(path("crash"), cores[0])))
done()
