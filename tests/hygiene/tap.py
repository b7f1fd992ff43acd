# SPDX-License-Identifier: MIT
"""TAP for the tests written in Python, and what they share: compilers, commands, a scratch folder.

Meson passes the trees by NEAP_SOURCE and NEAP_BUILD and the compilers by NEAP_CC and NEAP_CXX.
"""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["NEAP_SOURCE"]
BUILD = os.environ["NEAP_BUILD"]
CC = os.environ["NEAP_CC"].split()
CXX = os.environ["NEAP_CXX"].split()
INCLUDE = "-I" + os.path.join(SOURCE, "include")
WARNINGS = ["-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Wconversion", "-Werror"]

_made = 0
_failed = 0

print("TAP version 13", flush=True)
scratch = tempfile.mkdtemp(prefix="neap-hygiene-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)


def remark(text):
    for line in str(text).rstrip().split("\n")[:60]:
        print("# " + line, flush=True)


def ok(condition, name, why=""):
    global _made, _failed
    _made += 1
    print(("ok" if condition else "not ok") + f" {_made} - {name}", flush=True)
    if not condition:
        _failed += 1
        remark(why)
    return bool(condition)


def skip(name, why):
    global _made
    _made += 1
    print(f"ok {_made} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{_made}", flush=True)
    sys.exit(1 if _failed or not _made else 0)


def run(command, **options):
    """(status, standard output and error together) of a command that reads nothing."""
    options.setdefault("timeout", 300)
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    except FileNotFoundError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired as expired:
        return 124, f"{command} took more than {expired.timeout} s"
    return ended.returncode, ended.stdout


def succeeds(command, name, **options):
    """One point: the command ends with status 0. Returns its output."""
    status, output = run(command, **options)
    ok(status == 0, name, f"{' '.join(map(str, command))}\nended with status {status}\n{output}")
    return output


def write(name, text):
    path = os.path.join(scratch, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def public_headers():
    folder = os.path.join(SOURCE, "include/neap")
    return sorted(name for name in os.listdir(folder) if name.endswith((".h", ".hpp")))
