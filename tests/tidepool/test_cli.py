#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""redis-cli against tidepool: typed at a terminal, piped, --pipe, --scan, --bigkeys, --latency.

usage: test_cli.py TIDEPOOL"""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time

from tidepool_test import PATIENCE, Server, diag, done, ok, request, same, skip, skip_all

PROGRAM = sys.argv[1]


class Terminal:
    """redis-cli on a terminal of its own."""

    def __init__(self, port):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ["REDISCLI_HISTFILE"] = "/dev/null"
            os.execvp("redis-cli", ["redis-cli", "-p", str(port)])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        self.seen = ""

    def wait_for(self, *texts):
        """Reads until these texts have come, one after the other; whether they have."""
        wanted = re.compile(".*".join(re.escape(text) for text in texts), re.DOTALL)
        end = time.monotonic() + PATIENCE
        while not wanted.search(self.seen) and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.5)[0]:
                try:
                    data = os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break
                self.seen += re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", data)
        found = bool(wanted.search(self.seen))
        self.seen = ""
        return found

    def type(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def end(self):
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def cli(port, *arguments, stdin=None):
    return subprocess.run(["redis-cli", "-p", str(port), *arguments], input=stdin,
                          capture_output=True, timeout=PATIENCE, check=False)


def test_terminal(port):
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as error:
        # Build jails often have no /dev/pts; what is piped is still tested.
        skip("redis-cli typed at a terminal", str(error))
        return
    terminal = Terminal(port)
    prompt = "127.0.0.1:%d> " % port
    ok(terminal.wait_for(prompt), "redis-cli shows its prompt")
    for line, answer in (("SET greeting \"hello world\"", "OK"), ("GET greeting", "\"hello world\""),
                         ("INCR counter", "(integer) 1"), ("RPUSH list a b c", "(integer) 3"),
                         ("LRANGE list 0 -1", "3) \"c\""), ("GET nothing", "(nil)"),
                         ("nonsense", "(error) ERR unknown command 'nonsense'")):
        terminal.type(line)
        # The next line is typed after the next prompt: redis-cli throws away what comes before.
        ok(terminal.wait_for(answer, prompt), "typed: " + line)
    terminal.type("QUIT")
    try:
        os.read(terminal.fd, 65536)
    except OSError:
        pass
    terminal.end()


def test_pipes(port):
    result = cli(port, stdin=b"SET a 1\nINCR a\nGET a\n")
    same(result.stdout, b"OK\n2\n2\n", "commands piped to redis-cli")
    count = 20000
    data = b"".join(request("SET", "piped:%d" % i, i) for i in range(count))
    result = cli(port, "--pipe", stdin=data)
    ok(b"errors: 0, replies: %d" % count in result.stdout, "--pipe: %d requests" % count)
    result = cli(port, "--scan", "--pattern", "piped:*")
    same(len(set(result.stdout.split())), count, "--scan sees each of them")
    result = cli(port, "--bigkeys")
    ok(result.returncode == 0 and b"Sampled" in result.stdout, "--bigkeys")
    if result.returncode != 0:
        diag(result.stdout.decode() + result.stderr.decode())
    result = cli(port, "-i", "1", "--latency", "--raw")
    ok(result.returncode == 0 and len(result.stdout.split()) >= 4, "--latency")
    result = cli(port, "-3", "CONFIG", "GET", "save")
    same(result.stdout, b"save \n", "-3 speaks RESP3")


if shutil.which("redis-cli") is None:
    skip_all("redis-cli is not installed")
with Server(PROGRAM) as server:
    test_terminal(server.port)
    test_pipes(server.port)
done()
