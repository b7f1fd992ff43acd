#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidepool against redis-server: the same requests to both, reply compared with reply, byte by byte.

usage: test_redis.py TIDEPOOL [SEED [ROUNDS]]

First lists of requests that each command's corners are known by, then malformed ones on a connection
of their own, then random commands on few keys, so that types collide. Replies whose order Redis leaves
open are compared sorted. Skipped where redis-server is not installed or of another version's line."""
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from tidepool_test import Client, Server, diag, done, ok, request, same, skip_all

PROGRAM = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 6000


class Redis:
    """redis-server on a free port, keeping nothing."""

    def __enter__(self):
        self.work = tempfile.TemporaryDirectory(prefix="tidepool-redis.")
        for attempt in range(20):
            self.port = 20000 + (os.getpid() * 7 + attempt * 131) % 30000
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir",
                 self.work.name, "--databases", "1"], stdout=subprocess.DEVNULL)
            for _ in range(100):
                time.sleep(0.05)
                if self.process.poll() is not None:
                    break
                try:
                    Client(self.port).close()
                    return self
                except OSError:
                    pass
            self.process.kill()
            self.process.wait()
        print("Bail out! redis-server did not start")
        sys.exit(1)

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait()
        self.work.cleanup()


def shown(words):
    return " ".join(w if isinstance(w, str) else repr(w) for w in words)[:150]


def sorted_reply(reply):
    """The elements of a flat array in order, for replies whose order means nothing."""
    if reply[:1] not in b"*~" or reply[:3] == b"*-1":
        return reply
    parts = reply.split(b"\r\n")
    return parts[0], sorted(zip(parts[1::2], parts[2::2]))


UNORDERED = {"SMEMBERS", "SUNION", "SINTER", "SDIFF", "HKEYS", "HVALS", "KEYS", "SPOP", "SRANDMEMBER"}


def sorted_pairs(reply):
    """A flat map's pairs in order."""
    if reply[:1] not in b"*%":
        return reply
    parts = reply.split(b"\r\n")
    rows = list(zip(parts[1::4], parts[2::4], parts[3::4], parts[4::4]))
    return parts[0], sorted(rows)


def sorted_scan(words, reply):
    """A scan of everything: the cursor, and the elements, those of HSCAN and ZSCAN in pairs, in order."""
    parts = reply.split(b"\r\n")
    step = 4 if words[0] in ("HSCAN", "ZSCAN") else 2
    rows = [tuple(parts[i:i + step]) for i in range(4, len(parts) - 1, step)]
    return parts[:4], sorted(rows)


def comparable(words, reply):
    name = words[0].upper() if isinstance(words[0], str) else ""
    if name.endswith("SCAN") and reply[:1] == b"*":
        return sorted_scan(words, reply)
    if name == "EXEC":
        return sorted(reply.split(b"\r\n"))  # has replies of all kinds
    if name in UNORDERED:
        return sorted_reply(reply)
    if name == "HGETALL":
        return sorted_pairs(reply)
    return reply


def compare(ours, theirs, words, protocol=""):
    mine, wanted = ours.ask(*words), theirs.ask(*words)
    if comparable(words, mine) != comparable(words, wanted):
        same(mine, wanted, protocol + shown(words))
        return False
    return True


def read_corners():
    """Each file of corners/: its name and its requests."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corners")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name)) as file:
            lines = [line.rstrip("\n") for line in file]
        yield name, [shlex.split(line) for line in lines if line and not line.startswith("#")]


def test_corners(ours, theirs, protocol):
    for name, requests in read_corners():
        for client in (ours, theirs):
            client.ask("FLUSHALL")
        right = sum(compare(ours, theirs, words, protocol) for words in requests)
        same(right, len(requests), "%s%d requests of %s are answered alike" %
             (protocol, len(requests), name))


MALFORMED = [
    b"*x\r\n", b"*-1\r\n*1\r\n$4\r\nPING\r\n", b"*0\r\nPING\r\n", b"*01\r\n", b"*2147483648\r\n", b"*1\r\n:1\r\n",
    b"*1\r\n\r\n", b"*1\r\nPING\r\n", b"*1\r\n$\r\n", b"*1\r\n$x\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$536870913\r\n",
    b"*1\r\n$+4\r\nPING\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$4\r\nPINGxxPING\r\n", b"\r\n\r\nPING\r\n",
    b"PING \"unbalanced\r\n", b"PING 'unbalanced\r\n", b"PING \"a\"b\r\n", b"PING 'a'b\r\n", b"ECHO \"\\x41\\n\"\r\n",
    b"ECHO a\\ b\r\n", b"ECHO '\\''\r\n", b"ECHO \"\"\r\n", b"  PING  \r\n", b"PING\n", b"ping\t\r\n",
     b"nonsense a b\r\n",
    b"a" * 70000, b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"*1\r\n$4\r\nQUIT\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n!\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n",
    b"GET\r\n", b"*1\r\n$3\r\nGET\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"Host: a\r\nPING\r\n",
]


def test_malformed(our_port, their_port):
    wrong = 0
    for data in MALFORMED:
        replies = []
        for port in (our_port, their_port):
            with Client(port) as client:
                client.send(data)
                client.socket.shutdown(1)
                replies.append(client.to_the_end().replace(b"<reset>", b""))
        if replies[0] != replies[1]:
            wrong += 1
            same(replies[0], replies[1], "%.60r" % data)
    same(wrong, 0, "%d malformed requests are answered alike" % len(MALFORMED))


# What several clients see of each other: (client, request), or (client, None) for a message that
# comes.
CONVERSATIONS = {
    "WATCH is told by another client's change": [
        (0, "SET k 1"), (0, "WATCH k other"), (1, "SET k 2"), (0, "MULTI"), (0, "GET k"), (0, "EXEC"),
        (0, "WATCH k"), (1, "GET k"), (1, "DEL nothing"), (0, "MULTI"), (0, "INCR k"), (0, "EXEC"),
        (0, "WATCH k"), (1, "EXPIRE k 100"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH l"), (1, "RPUSH l a"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH l"), (1, "LPOP l"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH h"), (1, "HSET h f v"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH h"), (1, "HSET h f w"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH s"), (1, "SADD s m"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH s"), (1, "SADD s m"), (0, "MULTI"), (0, "PING"), (0, "EXEC"),
        (0, "WATCH z"), (1, "ZADD z 1 m"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH z"), (1, "ZINCRBY z 1 m"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH n"), (1, "INCR n"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH n"), (1, "INCR n"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH n"), (1, "RENAME n m"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH m"), (1, "FLUSHALL"), (0, "MULTI"), (0, "EXEC"),
        (0, "WATCH m"), (1, "FLUSHALL"), (0, "MULTI"), (0, "PING"), (0, "EXEC"),
    ],
    "a transaction that is discarded forgets what it watched": [
        (0, "WATCH k"), (0, "MULTI"), (0, "DISCARD"), (1, "SET k 1"), (0, "MULTI"), (0, "PING"), (0, "EXEC"),
    ],
    "messages reach subscribers of channels and patterns": [
        (0, "SUBSCRIBE news weather news"), (0, None), (0, None), (1, "PSUBSCRIBE n* w?*"), (1, None),
        (2, "PUBLISH news hello"), (0, None), (1, None), (2, "PUBLISH weather rain"), (0, None), (1, None),
        (2, "PUBLISH nothing x"), (1, None), (2, "PUBLISH other x"), (2, "PUBSUB NUMSUB news weather none"),
        (2, "PUBSUB NUMPAT"), (0, "PING"), (0, "PING text"), (0, "GET k"), (0, "UNSUBSCRIBE news"),
        (2, "PUBLISH news again"), (1, None), (0, "UNSUBSCRIBE"), (0, "GET k"), (0, "UNSUBSCRIBE"),
        (1, "PUNSUBSCRIBE n* none"), (1, None), (2, "PUBLISH news last"), (1, "PUNSUBSCRIBE"),
        (2, "PUBLISH weather x"), (0, "SUBSCRIBE a"), (0, "RESET"), (2, "PUBLISH a x"), (0, "GET k"),
        (0, "MULTI"), (0, "SUBSCRIBE a"), (0, "EXEC"), (2, "PUBLISH a x"), (0, None), (0, "UNSUBSCRIBE a"),
    ],
}

# Random requests: each row a name and, for every argument, what it is chosen from. Few keys, so
# that types collide; rows that leave what they do to chance (SPOP) are not here.
VALUES = ["0", "1", "-1", "17", "abc", "", "9223372036854775807", "-9223372036854775808", "3.5", "007",
          "x" * 70, "a b", "\u00e4"]
INDEXES = ["0", "1", "2", "-1", "-2", "5", "-100", "100", "x"]
K = ["k1", "k2", "l1", "l2", "h1", "h2", "s1", "s2", "z1", "z2", "n1", "none"]
STRING, NUMBER = ["k1", "k2", "k2", "l1"], ["n1", "n2", "k1", "h1"]
LIST, HASH = ["l1", "l2", "l1", "s1"], ["h1", "h2", "h1", "z1"]
SET, ZSET = ["s1", "s2", "s3", "k1"], ["z1", "z2", "z1", "s1"]
LEX = ["lex", "lex", "lex", "nolex"]  # all scores alike, without which Redis leaves the order open
V, I, N, E = VALUES, INDEXES, ["1", "2", "0", "-1", "3", "x"], ["LEFT", "RIGHT", "right", "x"]
M = ["a", "b", "c", "d", "", "1", "2", "xyz"]  # members and fields
S = ["0", "1", "-1", "2.5", "3", "inf", "-inf", "(1", "x", "1e3", "0.1", "17179869184.25"]
L = ["-", "+", "[a", "(b", "[xyz", "(", "[", "a"]
D = ["1", "-1", "5", "0.1", "3.0e3", "9223372036854775807", "x", "", "inf", "1.000000000000000005"]
F = ["100000", "-1", "x", "0", "9223372036854775807"]
GRAMMAR = [tuple(row) for row in [
    ["GET", STRING], ["SET", STRING, V], ["SET", STRING, V, ["NX", "XX", "GET", "KEEPTTL", "x"]],
    ["SET", STRING, V, ["EX", "PX"], F],
    ["SET", STRING, V, ["EXAT", "PXAT"], ["9223372036854775807", "x", "0", "-1", "9000000000000"]],
    ["SET", STRING, V, ["NX", "XX"], ["GET", "EX"]],
    ["SETNX", K, V], ["SETEX", STRING, F, V], ["PSETEX", STRING, F, V], ["GETSET", K, V], ["GETDEL", K],
    ["GETEX", K, ["PERSIST", "x"]], ["GETEX", STRING, ["EX", "PX"], F], ["MGET", K, K, K], ["MSET", STRING, V, K, V],
    ["MSET", K, V, K], ["MSETNX", K, V, K, V], ["STRLEN", K], ["APPEND", STRING, V],
    ["SETRANGE", STRING, ["0", "3", "100", "-1", "x", "536870912"], V], ["GETRANGE", K, I, I], ["SUBSTR", K, I, I],
    ["INCR", NUMBER], ["DECR", NUMBER], ["INCRBY", NUMBER, D], ["DECRBY", NUMBER, D], ["INCRBYFLOAT", NUMBER, D],
    ["LPUSH", LIST, V], ["LPUSH", LIST, V, V, V], ["RPUSH", LIST, V], ["RPUSH", LIST, V, V, V], ["LPUSHX", LIST, V],
    ["RPUSHX", LIST, V], ["LPOP", LIST], ["RPOP", LIST], ["LPOP", LIST, N], ["RPOP", LIST, N], ["LLEN", K],
    ["LRANGE", LIST, I, I], ["LINDEX", LIST, I], ["LSET", LIST, I, V],
    ["LINSERT", LIST, ["BEFORE", "AFTER", "x"], V, V], ["LREM", LIST, ["0", "1", "-1", "2", "-2", "x"], V],
    ["LTRIM", LIST, I, I], ["LPOS", LIST, V], ["LPOS", LIST, V, ["RANK", "COUNT", "MAXLEN", "x"], N],
    ["LPOS", LIST, V, "RANK", N, "COUNT", N, "MAXLEN", N], ["LMOVE", LIST, LIST, E, E], ["RPOPLPUSH", LIST, LIST],
    ["HSET", HASH, M, V], ["HSET", HASH, M, V, M, V], ["HSET", HASH, M, V, M], ["HMSET", HASH, M, V, M, V],
    ["HSETNX", HASH, M, V], ["HGET", HASH, M], ["HMGET", HASH, M, M, M], ["HDEL", HASH, M, M], ["HEXISTS", HASH, M],
    ["HLEN", K], ["HSTRLEN", HASH, M], ["HGETALL", HASH], ["HKEYS", HASH], ["HVALS", HASH],
    ["HINCRBY", HASH, M, D], ["HINCRBYFLOAT", HASH, M, D], ["HSCAN", HASH, "0", "COUNT", "1000"],
    ["SADD", SET, M], ["SADD", SET, M, M, M], ["SREM", SET, M, M], ["SCARD", K], ["SISMEMBER", SET, M],
    ["SMISMEMBER", SET, M, M], ["SMEMBERS", SET], ["SMOVE", SET, SET, M], ["SINTER", SET, SET], ["SUNION", SET, SET],
    ["SDIFF", SET, SET, SET], ["SINTERSTORE", SET, SET, SET], ["SUNIONSTORE", SET, SET, SET],
    ["SDIFFSTORE", SET, SET, SET], ["SRANDMEMBER", SET, ["1000", "x", "0"]], ["SSCAN", SET, "0", "COUNT", "1000"],
    ["ZADD", ZSET, S, M], ["ZADD", "lex", "0", M, "0", M], ["ZADD", ZSET, S, M, S, M], ["ZADD", ZSET, S, M, S],
    ["ZADD", ZSET, ["NX", "XX", "GT", "LT", "CH", "INCR", "x"], S, M],
    ["ZADD", ZSET, ["NX", "XX", "GT"], ["CH", "LT", "INCR"], S, M, S, M], ["ZINCRBY", ZSET, S, M],
    ["ZREM", ZSET, M, M], ["ZCARD", K], ["ZSCORE", ZSET, M], ["ZMSCORE", ZSET, M, M], ["ZRANK", ZSET, M],
    ["ZREVRANK", ZSET, M], ["ZPOPMIN", ZSET], ["ZPOPMAX", ZSET], ["ZPOPMIN", ZSET, N], ["ZPOPMAX", ZSET, N],
    ["ZRANGE", ZSET, I, I], ["ZRANGE", ZSET, I, I, ["WITHSCORES", "REV", "BYSCORE", "x"]],
    ["ZRANGE", ZSET, S, S, "BYSCORE", ["REV", "WITHSCORES", "x"]], ["ZRANGE", ZSET, S, S, "BYSCORE", "LIMIT", I, I],
    ["ZRANGE", LEX, L, L, "BYLEX", ["REV", "WITHSCORES"]], ["ZREVRANGE", ZSET, I, I, "WITHSCORES"],
    ["ZRANGEBYSCORE", ZSET, S, S], ["ZRANGEBYSCORE", ZSET, S, S, "WITHSCORES", "LIMIT", I, I],
    ["ZREVRANGEBYSCORE", ZSET, S, S, "WITHSCORES"], ["ZRANGEBYLEX", LEX, L, L], ["ZREVRANGEBYLEX", LEX, L, L],
    ["ZCOUNT", ZSET, S, S], ["ZLEXCOUNT", LEX, L, L], ["ZREMRANGEBYRANK", ZSET, I, I],
    ["ZREMRANGEBYSCORE", ZSET, S, S], ["ZREMRANGEBYLEX", LEX, L, L], ["ZSCAN", ZSET, "0", "COUNT", "1000"],
    ["DEL", K], ["DEL", K, K], ["UNLINK", K, K], ["EXISTS", K, K], ["TOUCH", K, K], ["TYPE", K], ["RENAME", K, K],
    ["RENAMENX", K, K], ["COPY", K, K], ["COPY", K, K, ["REPLACE", "x"]], ["DBSIZE"],
    ["KEYS", ["*", "?1", "[kl]*", "x"]],
    ["SCAN", "0", "COUNT", "1000"], ["SCAN", "0", "TYPE", ["list", "zset", "x"], "COUNT", "1000"],
    ["SCAN", "0", "MATCH", ["*1", "k?"], "COUNT", "1000"],
    ["EXPIRE", K, F], ["PEXPIRE", K, F], ["EXPIREAT", K, F], ["PEXPIREAT", K, F],
    ["EXPIRE", K, F, ["NX", "XX", "GT", "LT", "x"]], ["TTL", ["none", "k1"]], ["PERSIST", K],
    ["GET"], ["LPUSH", K], ["HSET", K], ["ZADD", K], ["SADD", K], ["MULTI"], ["EXEC"], ["EXEC"], ["DISCARD"],
]]


def test_conversations(our_port, their_port, protocol):
    for name, lines in CONVERSATIONS.items():
        right = 0
        ours, theirs = [[Client(port, 10) for _ in range(3)] for port in (our_port, their_port)]
        for client in ours + theirs:
            client.ask("HELLO", str(protocol))
        for who, line in lines:
            replies = []
            for clients in (ours, theirs):
                try:
                    replies.append(clients[who].ask(*line.split()) if line else clients[who].reply())
                except OSError as error:
                    replies.append(repr(error))
            if replies[0] == replies[1]:
                right += 1
            else:
                same(replies[0], replies[1], "%s: client %d, %s" % (name, who, line))
        for client in ours + theirs:
            client.close()
        same(right, len(lines), "RESP%d: %s" % (protocol, name))


def test_random(ours, theirs):
    diag("seed %d" % SEED)
    generator = random.Random(SEED)
    wrong, history = 0, []
    for _ in range(ROUNDS):
        row = generator.choice(GRAMMAR)
        words = [choices if isinstance(choices, str) else generator.choice(choices) for choices in row]
        history.append(shown(words))
        if not compare(ours, theirs, words):
            diag("after: " + " ; ".join(history[-8:]))
            wrong += 1
            if wrong == 5:
                break
    same(wrong, 0, "%d random requests are answered alike" % ROUNDS)


if shutil.which("redis-server") is None:
    skip_all("redis-server is not installed")
if " v=7.0." not in subprocess.run(["redis-server", "--version"], capture_output=True, text=True,
                                   check=True).stdout:
    skip_all("redis-server is not of the 7.0 line")
with Redis() as redis, Server(PROGRAM) as tidepool:
    with tidepool.connect() as our_client, Client(redis.port) as their_client:
        test_corners(our_client, their_client, "")
        for client in (our_client, their_client):
            client.ask("HELLO", "3")
        test_corners(our_client, their_client, "RESP3: ")
    test_malformed(tidepool.port, redis.port)
    for version in (2, 3):
        test_conversations(tidepool.port, redis.port, version)
    with tidepool.connect() as our_client, Client(redis.port) as their_client:
        test_random(our_client, their_client)
done()
