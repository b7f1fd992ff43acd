#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo: its report, what it refuses in words, and that it leaves nothing behind, on Ctrl-C neither.

usage: test_demo.py DEMO BUILD_DIR"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tidepool_test import PATIENCE, diag, done, ok, same, skip, skip_all

DEMO, BUILD = sys.argv[1], sys.argv[2]
NEAP = os.path.join(os.path.dirname(DEMO), "..", "..", "tools", "neap")


def start(work, *arguments, path=None):
    """The demo in a process group and with a temporary directory of its own."""
    environment = dict(os.environ, TMPDIR=work)
    if path is not None:
        environment["PATH"] = path
    # As at a terminal, where a test runner may have SIGINT ignored.
    return subprocess.Popen([shutil.which("sh"), DEMO, *arguments], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))


def group_is_gone(group):
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def left_nothing(work, process, name):
    ok(group_is_gone(process.pid), name + ": no process is left")
    same(os.listdir(work), [], name + ": no file is left")


def test_report(work):
    process = start(work, BUILD, "--seconds", "2", "--threads", "2")
    text, _ = process.communicate(timeout=10 * PATIENCE)
    ok(process.returncode == 0, "the demo succeeds")
    for wanted in ("PING_INLINE", "LRANGE_600", "requests/s", "p99.9", "collections, world stopped", "zset",
                   "objects alive", "RSS", "leaked at shutdown 0", "demo: no errors, no leaks"):
        ok(wanted in text, "its report has \"%s\"" % wanted)
    if process.returncode != 0:
        diag(text)
    for command, words in (("top profile.pb.gz", "in all"), ("leaks heap.heapsnapshot", "held from outside"),
                           ("pauses timeline.json", "collect")):
        name, file = command.split()
        line = "neap %s %s" % (name, os.path.join(BUILD, "demo", file))
        ended = subprocess.run([sys.executable, NEAP, *line.split()[1:]], capture_output=True, text=True,
                               check=False)
        ok(line in text and words in ended.stdout, "it says how to open %s, and that works" % file)
        if words not in ended.stdout:
            diag(ended.stdout + ended.stderr)
    left_nothing(work, process, "at its end")


def test_beside(work):
    if shutil.which("redis-server") is None:
        skip("--beside shows redis-server's figures too", "redis-server is not installed")
        return
    process = start(work, BUILD, "--seconds", "2", "--threads", "1", "--beside")
    text, _ = process.communicate(timeout=10 * PATIENCE)
    rows = [line.split() for line in text.splitlines() if line.startswith("16 ")]
    same([process.returncode, len(rows), {len(row) for row in rows}], [0, 19, {12}],
         "--beside shows redis-server's figures too")
    if process.returncode != 0:
        diag(text)
    left_nothing(work, process, "--beside")


def test_interrupt(work, moment, name):
    process = start(work, BUILD, "--seconds", "100")
    line = process.stdout.readline()
    ok(line.startswith("tidepool on "), "the demo starts")
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    ok(process.returncode != 0, "%s: fails" % name)
    left_nothing(work, process, name)


def test_serve(work):
    process = start(work, BUILD, "--serve")
    line = process.stdout.readline()
    port = line.split("127.0.0.1:")[1].split()[0]
    answer = subprocess.run(["redis-cli", "-p", port, "PING"], capture_output=True, check=False)
    same(answer.stdout, b"PONG\n", "--serve leaves a server to the user")
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=PATIENCE)
    ok(process.returncode == 0 and "no leaks" in text, "which ends on Ctrl-C")
    left_nothing(work, process, "--serve")


def test_refusals(work):
    for arguments, status, words in (((), 2, "build directory"), ((BUILD, "--seconds"), 2, "number"),
                                     ((BUILD, "--seconds", "x"), 2, "number"),
                                     ((BUILD, "--nonsense"), 2, "no such flag"),
                                     ((work,), 1, "build it first")):
        process = start(work, *arguments)
        text, _ = process.communicate(timeout=PATIENCE)
        ok(process.returncode == status and words in text, "refused: demo " + " ".join(arguments[1:]))
    bare = os.path.join(work, "bin")
    os.mkdir(bare)
    process = start(work, BUILD, path=bare)
    text, _ = process.communicate(timeout=PATIENCE)
    os.rmdir(bare)
    ok(process.returncode == 1 and "redis-benchmark is missing" in text, "without redis-benchmark it says so")
    left_nothing(work, process, "after refusals")


if shutil.which("redis-benchmark") is None:
    skip_all("redis-benchmark is not installed")
with tempfile.TemporaryDirectory(prefix="tidepool-demo-test.") as directory:
    test_refusals(directory)
    test_report(directory)
    test_beside(directory)
    test_interrupt(directory, 0.5, "Ctrl-C while rates are measured")
    test_serve(directory)
done()
