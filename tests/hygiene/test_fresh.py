#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/fresh-debian (./run fresh) leaves no process, mount or folder behind, whatever ends it. A
debootstrap of the test's own stands in for Debian's: it fetches nothing, and waits for ever."""
import os
import signal
import subprocess
import time

from tap import SOURCE, done, ok, run, scratch, skip, write

tool = os.path.join(SOURCE, "tools/fresh-debian")
temporary, ready = os.path.join(scratch, "tmp"), os.path.join(scratch, "ready")
os.mkdir(temporary)
write("bin/debootstrap", """#!/bin/sh
[ "${NEAP_TEST_FAILS-}" != yes ] || exit 1
while [ $# -gt 2 ]; do shift; done
mkdir -p "$1/proc" && mount -t tmpfs tmpfs "$1/proc" && : >"$1/proc/file" || exit 1
: >"$NEAP_TEST_READY"
while :; do sleep 60; done
""")
os.chmod(os.path.join(scratch, "bin/debootstrap"), 0o755)
environment = {**os.environ, "TMPDIR": temporary, "NEAP_TEST_READY": ready,
               "PATH": os.path.join(scratch, "bin") + ":" + os.environ["PATH"]}


def left():
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = [line for line in file if temporary in line]
    return os.listdir(temporary) + mounts


def start():
    """It, once it is in the middle of debootstrap."""
    process = subprocess.Popen(["env", "--default-signal=HUP,INT,TERM", tool, scratch, "true"],
                               stdin=subprocess.DEVNULL, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    end = time.monotonic() + 120
    while not os.path.exists(ready) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    begun = os.path.exists(ready)
    if begun:
        os.remove(ready)
    return process, begun


status, output = run([tool])
ok(status == 2 and "usage:" in output, "without a folder it says how it is used", output)
if os.getuid() != 0:
    status, output = run([tool, scratch, "true"], env=environment)
    ok(status == 1 and "root" in output, "it wants root, and says so", output)
elif run(["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", temporary])[0]:
    skip("nothing is left behind", "no namespaces here")
else:
    status, output = run([tool, scratch, "true"], env={**environment, "NEAP_TEST_FAILS": "yes"})
    ok(status == 1 and "debootstrap failed" in output and not left(),
       "debootstrap fails: nothing is left", f"{status} {output} {left()}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process, begun = start()
        process.send_signal(number)
        output = process.communicate()[0]
        ok(begun and process.returncode == 128 + number and not left(),
           f"{number.name}: it ends, and nothing is left", f"{process.returncode} {output} {left()}")
    process, begun = start()
    folders = [name for name in left() if name.endswith(".d")]
    process.kill()
    output = process.communicate()[0]
    for name in folders:  # free when all that ran in the system are gone
        run(["flock", os.path.join(temporary, name[:-len(".d")]), "true"])
    status, more = run([tool, scratch, "true"], env={**environment, "NEAP_TEST_FAILS": "yes"})
    ok(begun and folders and not left(), "SIGKILL: what it left is removed by the next run",
       f"{status} {output} {more} {left()}")
done()
