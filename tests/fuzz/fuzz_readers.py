#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Damaged files given to the `neap` command (tools/neap): each ends in output or in one sentence.

usage: fuzz_readers.py TOOL CORPUS [SECONDS FOUND]

Files of the corpus are named after the command that reads them. As a test (TAP): each file cut short
at every length, and a few hundred random damages each, the seed from NEAP_TEST_SEED. With SECONDS:
random damages for as long; what breaks the tool is left as FOUND-SEED.
"""
import contextlib
import gzip
import io
import json
import os
import random
import re
import signal
import sys
import time
import traceback

PATIENCE = 60
NUMBERS = (b"-1", b"0", b"1", b"4294967296", b"1e308", b"99999999999999999999", b"null", b'"x"', b"[]",
           b"{}", b"true", b"0.5")


def damage_text(random_, data):
    """Values of JSON in each other's place, members lost."""
    if random_.random() < 0.5:
        found = list(re.finditer(rb'(?<=[:\[,])(-?[0-9.]+|"[^"]*")', data))
        if found:
            place = random_.choice(found)
            value = random_.choice((*NUMBERS, random_.choice(found).group()))
            return data[:place.start()] + value + data[place.end():]
    found = list(re.finditer(rb'"[a-zA-Z_]+":', data))
    if found:
        place = random_.choice(found)
        return data[:place.start()] + b'"_":' + data[place.end():]
    return data


def damage_bytes(random_, data):
    data = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 8))):
        at, length = random_.randrange(len(data) + 1), random_.choice((1, 1, 2, 16))
        choice = random_.randrange(4)
        if choice == 0:
            data[at:at + length] = random_.randbytes(length)
        elif choice == 1:
            del data[at:at + length]
        elif choice == 2:
            data[at:at] = random_.randbytes(length)
        elif at < len(data):
            data[at] ^= 1 << random_.randrange(8)
    return bytes(data)


def damage(random_, name, data):
    """Half of the damages of a compressed file are inside."""
    if not name.endswith(".gz"):
        return random_.choice((damage_text, damage_bytes))(random_, data)
    if random_.random() < 0.5:
        return damage_bytes(random_, data)
    return gzip.compress(damage_bytes(random_, gzip.decompress(data)), 1)


def file_in_memory(data):
    file = os.fdopen(os.memfd_create("corpus"), "wb")
    file.write(data)
    file.flush()
    return file


class Reader:
    def __init__(self, tool):
        with open(tool, encoding="utf-8") as file:
            self.code = compile(file.read(), tool, "exec")

    def wrong(self, command, data, whole):
        """What is wrong with how the tool took the data; None: nothing."""
        files = [file_in_memory(content) for content in ((data, whole) if command == "diff" else (data,))]
        sys.argv = ["neap", command] + [f"/proc/self/fd/{file.fileno()}" for file in files]
        signal.alarm(PATIENCE)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(self.code, {"__name__": "__main__"})  # pylint: disable=exec-used
        except SystemExit as end:
            if not str(end.code).startswith("neap: ") or "\n" in str(end.code):
                return f"it ends with {end.code!r}"
        except BaseException:  # pylint: disable=broad-except
            return traceback.format_exc()
        finally:
            signal.alarm(0)
            for file in files:
                file.close()
        return None


def read_corpus(folder):
    files = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            files[name] = file.read()
    return files


def run_test(reader, files):
    seed = int(os.environ.get("NEAP_TEST_SEED", time.time_ns() % 1000000))
    print(f"# NEAP_TEST_SEED={seed}\n1..{2 * len(files) + 1}")
    number, failures = 0, 0
    for name, data in files.items():
        command = name.split(".")[0]
        random_ = random.Random(f"{seed} {name}")
        for what, damaged in ((f"{name}, cut short", (data[:length] for length in range(len(data)))),
                              (f"{name}, damaged", (damage(random_, name, data) for _ in range(300)))):
            wrong = next(filter(None, (reader.wrong(command, piece, data) for piece in damaged)), None)
            number += 1
            failures += wrong is not None
            print(f"{'not ' if wrong else ''}ok {number} - {what}: output or one sentence")
            if wrong:
                print("# " + wrong.replace("\n", "\n# "))
    wrong = reader.wrong("top", b"\xff" * 100000, b"")
    failures += wrong is not None
    print(f"{'not ' if wrong else ''}ok {number + 1} - so does a file of something else")
    return failures > 0


def run_fuzz(reader, files, seconds, found):
    end, runs = time.monotonic() + seconds, 0
    first = time.time_ns()
    while time.monotonic() < end:
        seed = first + runs
        random_ = random.Random(seed)
        name, data = random_.choice(list(files.items()))
        damaged = damage(random_, name, data)
        wrong = reader.wrong(name.split(".")[0], damaged, data)
        if wrong:
            with open(f"{found}-{seed}.{name}", "wb") as file:
                file.write(damaged)
            print(f"{name}: {wrong}\nleft as {file.name}")
            return True
        runs += 1
    print(f"stat::number_of_executed_units: {runs}")
    return False


def main():
    tool, corpus, *rest = sys.argv[1:]
    files = read_corpus(corpus)
    if rest:
        return run_fuzz(Reader(tool), files, float(rest[0]), rest[1])
    return run_test(Reader(tool), files)


sys.exit(main())
