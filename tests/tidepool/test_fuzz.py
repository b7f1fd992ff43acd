#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A broken client never harms another: random bytes, truncated, damaged and enormous requests, connections
that end anywhere, beside a well-behaved client that checks every reply.

usage: test_fuzz.py TIDEPOOL [SEED [SECONDS]]"""
import os
import random
import socket
import sys
import threading
import time

from tidepool_test import Closed, Server, diag, done, ok, request, same

PROGRAM = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 4

NAMES = ["nonsense"]  # and every command that the server lists, but for these
LEFT_OUT = {b"shutdown", b"debug"}
WORDS = [b"a", b"b", b"0", b"-1", b"3", b"get", b"*", b"", b"9223372036854775807", b"\x00\xff", b"x" * 3000,
         b"nx", b"withscores", b"1.5", b"(1", b"[a", b"-", b"+", b"match", b"count", b"rev", b"ex"]
LENGTHS = [b"-1", b"0", b"99999999999", b"536870912", b"536870913", b"", b"x", b"1", b"4"]


def good_request(generator):
    words = [generator.choice(NAMES)]
    for _ in range(generator.randrange(7)):
        words.append(generator.choice(WORDS))
    return request(*words)


def bad_bytes(generator):
    kind = generator.randrange(7)
    if kind == 0:
        return generator.randbytes(generator.randrange(1, 3000))
    if kind == 1:
        data = b"".join(good_request(generator) for _ in range(generator.randrange(1, 20)))
        return data[:generator.randrange(len(data))]
    if kind == 2:
        data = bytearray(b"".join(good_request(generator) for _ in range(generator.randrange(1, 20))))
        for _ in range(generator.randrange(1, 5)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        return bytes(data)
    if kind == 3:
        return b"*%s\r\n$%s\r\n%s" % (generator.choice(LENGTHS), generator.choice(LENGTHS),
                                       b"y" * generator.randrange(5000))
    if kind == 4:
        return generator.choice([b"*", b"$", b"a", b"\"", b" ", b"*1\r\n$"]) * generator.randrange(100000)
    if kind == 5:
        return b"*2\r\n$4\r\nECHO\r\n$5000000\r\n" + b"z" * generator.randrange(1 << 20)
    return b"".join(good_request(generator) for _ in range(200))


def misbehave(server, seed, until, counts):
    generator = random.Random(seed)
    while time.monotonic() < until:
        try:
            client = server.connect(5)
            for _ in range(generator.randrange(1, 4)):
                client.send(bad_bytes(generator))
                if generator.randrange(3) == 0:
                    client.socket.settimeout(0.02)
                    client.receive()
            if generator.randrange(2):
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         b"\x01\x00\x00\x00\x00\x00\x00\x00")
        except (OSError, Closed):
            pass
        finally:
            client.close()
            counts[0] += 1


def behave(server, seed, until, faults):
    """Its own keys carry a prefix that the others cannot guess; FLUSHALL may take them, nothing else."""
    prefix = os.urandom(8).hex()
    number = 0
    with server.connect() as client:
        while time.monotonic() < until:
            number += 1
            key, value = "%s:%d" % (prefix, number), b"%d" % (number * seed)
            wanted = b"$%d\r\n%s\r\n" % (len(value), value)
            stored, got = client.ask("SET", key, value), client.ask("GET", key)
            if stored != b"+OK\r\n" or got not in (wanted, b"$-1\r\n"):
                faults.append((stored, got))
            if client.ask("ECHO", value) != wanted:
                faults.append("echo")
            client.ask("DEL", key)


def every_command(server):
    with server.connect() as client:
        reply = client.ask("COMMAND", "LIST")
    return [name.decode() for name in reply.split(b"\r\n")[2::2] if name not in LEFT_OUT]


diag("seed %d" % SEED)
with Server(PROGRAM, "--max-request", "8mb") as fuzzed:
    NAMES += every_command(fuzzed)
    end = time.monotonic() + SECONDS
    counts, faults = [0], []
    threads = [threading.Thread(target=misbehave, args=(fuzzed, SEED + i, end, counts)) for i in range(4)]
    threads.append(threading.Thread(target=behave, args=(fuzzed, SEED, end, faults)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    diag("%d broken connections" % counts[0])
    ok(counts[0] > 10, "broken clients came and went")
    same(faults, [], "and the well-behaved client always had its right reply")
    with fuzzed.connect() as last:
        same(last.ask("PING"), b"+PONG\r\n", "the server answers")
        last.ask("FLUSHALL")
done()
