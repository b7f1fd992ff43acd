# SPDX-License-Identifier: MIT
"""What the tests of the server share: TAP, a server of one's own, a client that hides nothing.

    with Server(sys.argv[1]) as server:
        client = server.connect()
        same(client.ask("PING"), b"+PONG\r\n", "PING")
    done()
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

PATIENCE = float(os.environ.get("TIDEPOOL_TEST_PATIENCE", "60"))  # seconds: only a hang is that slow

_points = 0
_failed = 0


def ok(condition, name):
    """One point of TAP."""
    global _points, _failed
    _points += 1
    if not condition:
        _failed += 1
    print("%s %d - %s" % ("ok" if condition else "not ok", _points, name.replace("#", "")), flush=True)
    return bool(condition)


def same(seen, wanted, name):
    """One point: shows both when they differ."""
    if not ok(seen == wanted, name):
        diag("seen   %.400r" % (seen,))
        diag("wanted %.400r" % (wanted,))


def diag(text):
    for line in text.splitlines():
        print("# " + line, flush=True)


def skip(name, why):
    """One point that cannot be made here."""
    global _points
    _points += 1
    print("ok %d - %s # SKIP %s" % (_points, name, why), flush=True)


def skip_all(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def done():
    print("1..%d" % _points, flush=True)
    sys.exit(1 if _failed else 0)


def request(*arguments):
    """The bytes of one request, as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if isinstance(argument, str):
            argument = argument.encode()
        elif isinstance(argument, int):
            argument = b"%d" % argument
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Closed(Exception):
    """The server ended the connection within a reply."""


class Client:
    """A connection that returns replies as the bytes that came."""

    def __init__(self, port, patience=PATIENCE):
        self.socket = socket.create_connection(("127.0.0.1", port), patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise Closed()
        self.unread += data

    def line(self):
        while b"\r\n" not in self.unread:
            self.receive()
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line + b"\r\n"

    def take(self, count):
        parts = [self.unread]
        have = len(self.unread)
        while have < count:
            data = self.socket.recv(1 << 20)
            if not data:
                raise Closed()
            parts.append(data)
            have += len(data)
        self.unread = b"".join(parts)
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def reply(self):
        """The next reply whole."""
        line = self.line()
        if line[:1] in b"$=!" and line[:3] != b"$-1":
            return line + self.take(int(line[1:]) + 2)
        if line[:1] in b"*~>" and line[:3] != b"*-1":
            return line + b"".join(self.reply() for _ in range(int(line[1:])))
        if line[:1] == b"%":
            return line + b"".join(self.reply() for _ in range(2 * int(line[1:])))
        return line

    def ask(self, *arguments):
        self.send(request(*arguments))
        return self.reply()

    def to_the_end(self):
        """All bytes until the server ends the connection."""
        data = self.unread
        try:
            while True:
                more = self.socket.recv(1 << 20)
                if not more:
                    return data
                data += more
        except ConnectionResetError:
            return data + b"<reset>"


class Server:
    """tidepool on a free port; its end is checked: a clean exit and nothing left over."""

    def __init__(self, program, *flags, check=True):
        self.program = program
        self.flags = flags
        self.check = check

    def __enter__(self):
        self.work = tempfile.TemporaryDirectory(prefix="tidepool-test.")
        self.stats_path = os.path.join(self.work.name, "stats")
        self.errors = open(os.path.join(self.work.name, "errors"), "w+")
        self.process = subprocess.Popen(
            [self.program, "--port", "0", "--threads", "4", "--stats", self.stats_path, *self.flags],
            stdout=subprocess.PIPE, stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("tidepool: listening on "):
            self.process.kill()
            print("Bail out! tidepool did not start: " + line + self.said())
            sys.exit(1)
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def connect(self, patience=PATIENCE):
        return Client(self.port, patience)

    def said(self):
        self.errors.flush()
        self.errors.seek(0)
        return self.errors.read()

    def stop(self, number=signal.SIGTERM):
        """Asks it to end; its exit status. The final statistics are in self.stats."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "did not end"
        self.stats = None
        if os.path.exists(self.stats_path):
            with open(self.stats_path) as file:
                self.stats = json.load(file)
        return status

    def __exit__(self, kind, *unused):
        running = self.process.poll() is None
        status = self.stop()
        if kind is None and self.check:
            ok(running, "the server still ran at the end")
            same(status, 0, "and ended cleanly, with nothing left over")
        if status != 0 or not running:
            diag(self.said())
        self.process.stdout.close()
        self.errors.close()
        self.work.cleanup()
