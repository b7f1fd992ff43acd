#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""./run says what it can do, refuses what it cannot with status 2, and names missing packages."""
import os

from tap import SOURCE, done, ok, run, scratch, write

door = os.path.join(SOURCE, "run")
status, usage = run([door])
ok(status == 0, "no argument: status 0")
for command in ("demo", "test", "bench", "check", "stress", "fuzz", "models", "soak", "coverage",
                "docs", "package", "fresh"):
    ok(f"\n  {command}" in usage, f"lists {command}", usage)
ok("\n  publish" not in usage, "lists nothing that is not there", usage)
ok(run([door, "help"]) == (0, usage), "help says the same")
for wrong in (["brew"], ["test", "--with=luck"], ["test", "--fast"], ["check", "it"],
              ["package", "--stale"]):
    status, output = run([door] + wrong)
    ok(status == 2 and "run: " in output, f"{' '.join(wrong)}: status 2 and a reason",
       f"{status}\n{output}")
status, output = run([door, "demo"], cwd="/", env={"PATH": "/nonexistent", "NEAP_INSTALL": "no"})
ok(status != 0, "nothing on the PATH: fails")

# A machine that has a shell and the tools of the smallest systems, but is no Debian.
bare = os.path.join(scratch, "bin")
os.makedirs(bare)
for tool in ("sh", "dirname", "cat", "id", "grep", "env"):
    for folder in ("/bin", "/usr/bin"):
        if os.path.exists(os.path.join(folder, tool)):
            os.symlink(os.path.join(folder, tool), os.path.join(bare, tool))
            break
status, output = run([door, "test"], env={"PATH": bare})
ok(status == 1, "without apt-get: status 1", f"{status}\n{output}")
for package in ("gcc", "meson", "ninja-build", "liburcu-dev", "libjemalloc-dev"):
    ok(f" {package}" in output, f"without apt-get: names {package}", output)

# apt-get that only notes how it was called, and knows no package before its lists are fetched.
log, lists = os.path.join(scratch, "log"), os.path.join(scratch, "lists")
write("bin/apt-cache", f"#!/bin/sh\n[ -e {lists} ]\n")
write("bin/apt-get", f"#!/bin/sh\necho \"$DEBIAN_FRONTEND $*\" >>{log}\n"
                     f"case $2 in update) : >{lists} ;; esac\n")
write("bin/sudo", '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
for tool in ("apt-cache", "apt-get", "sudo"):
    os.chmod(os.path.join(bare, tool), 0o755)
status, output = run([door, "test"], env={"PATH": bare})
with open("/etc/os-release", encoding="utf-8") as file:
    on_debian = "debian" in file.read()
if on_debian:
    with open(log, encoding="utf-8") as file:
        calls = file.read().splitlines()
    ok("installing with apt-get:" in output and " meson" in output, "says what it installs", output)
    ok(calls and calls[0] == "noninteractive -q update", "fetches missing lists first", calls)
    wanted = "noninteractive -q install -y --no-install-recommends "
    ok(len(calls) > 1 and calls[1].startswith(wanted),
       "installs without asking", calls)
    ok(status == 1 and "still missing" in output, "notices when that did not help",
       f"{status}\n{output}")
    os.remove(log)
    status, output = run([door, "test"], env={"PATH": bare, "NEAP_INSTALL": "no"})
    ok(status == 1 and not os.path.exists(log), "NEAP_INSTALL=no installs nothing", output)
else:
    ok("only on Debian and Ubuntu" in output, "elsewhere it says so", output)
done()
