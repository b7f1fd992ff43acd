#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidepool from outside: pipelines, pieces, limits, slow and broken clients, flags, the end."""
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from tidepool_test import Client, Closed, Server, done, ok, request, same, skip

PROGRAM = sys.argv[1]


def test_conversation(server):
    with server.connect() as client:
        same(client.ask("PING"), b"+PONG\r\n", "PING")
        client.send(b"ECHO \"a b\"\r\n")
        same(client.reply(), b"$3\r\na b\r\n", "an inline request with quotes")
        client.send(b"".join(request("INCR", "pipelined") for _ in range(10000)))
        replies = [client.reply() for _ in range(10000)]
        same(replies, [b":%d\r\n" % (i + 1) for i in range(10000)], "10,000 requests in one go")
        for byte in request("SET", "pieces", "v" * 40) + request("GET", "pieces"):
            client.send(bytes([byte]))
        same([client.reply(), client.reply()], [b"+OK\r\n", b"$40\r\n" + b"v" * 40 + b"\r\n"],
             "requests that come byte by byte")
        large = os.urandom(5 << 20)
        same(client.ask("SET", "large", large), b"+OK\r\n", "a value of 5 MiB of any bytes")
        same(client.ask("GET", "large"), b"$%d\r\n%s\r\n" % (len(large), large), "comes back the same")
        same(client.ask("DEL", "large", "pieces", "none"), b":2\r\n", "DEL counts what was there")
        many = request("EXISTS", *["key%d" % i for i in range(50000)])
        client.send(many)
        same(client.reply(), b":0\r\n", "a request of 50,000 arguments")
        client.send(request("QUIT") + request("PING"))
        same(client.to_the_end(), b"+OK\r\n", "QUIT is the last request that is answered")


def test_half_closed(server):
    with server.connect() as client:
        client.send(request("PING") * 3)
        client.socket.shutdown(socket.SHUT_WR)
        same(client.to_the_end(), b"+PONG\r\n" * 3, "replies reach a client that has stopped sending")


def test_malformed(server):
    rows = [
        (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n:3\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"*1\r\n$-5\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"ECHO \"abc\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        (b"a" * 200000, b"-ERR Protocol error: too big inline request\r\n"),
        (b"*" + b"1" * 200000, b"-ERR Protocol error: too big mbulk count string\r\n"),
        (b"*1\r\n$" + b"1" * 200000, b"-ERR Protocol error: too big bulk count string\r\n"),
        (request("PING") + b"*1\r\n!\r\n" + request("PING"),
         b"+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n"),
    ]
    for data, wanted in rows:
        with server.connect() as client:
            client.send(data)
            same(client.to_the_end(), wanted, "%.30r is refused and the connection ended" % data)


def test_endless(server):
    """A client that never stops sending one line is told so and gets rid of."""
    with server.connect() as client:
        sent = 0
        try:
            while sent < 1 << 30:
                client.send(b"x" * 65536)
                sent += 65536
        except OSError:
            pass
        ok(sent < 1 << 28, "an endless line is cut off")


def test_slow_reader(server):
    """A client that asks and does not read: bounded memory, others unharmed, every reply still comes."""
    count, size = 2000, 100000
    with server.connect() as slow, server.connect() as other:
        other.ask("SET", "slow", "s" * size)
        batch = request("GET", "slow") * count
        sender = threading.Thread(target=lambda: slow.send(batch))
        sender.start()
        for _ in range(200):
            other.ask("PING")
        rss = info(other, "used_memory")
        ok(rss < 32 << 20, "a client that does not read takes no memory for %d MB of replies (%d)" %
           (count * size >> 20, rss))
        wanted = b"$%d\r\n%s\r\n" % (size, b"s" * size)
        right = sum(slow.reply() == wanted for _ in range(count))
        sender.join()
        same(right, count, "and gets every reply once it reads")
        other.ask("DEL", "slow")


def test_reply_limit():
    with Server(PROGRAM, "--max-reply", "1mb") as server:
        with server.connect() as client, server.connect() as other:
            for _ in range(30):
                other.ask("RPUSH", "list", *["x" * 1000] * 50)
            client.send(request("LRANGE", "list", "0", "-1"))
            try:
                client.reply()
                ok(False, "a reply beyond the limit ends the connection")
            except (Closed, ConnectionResetError):
                ok(True, "a reply beyond the limit ends the connection")
            same(other.ask("LLEN", "list"), b":1500\r\n", "and no other")


def test_request_limits():
    with Server(PROGRAM, "--max-request", "1mb", "--max-bulk", "100kb") as server:
        with server.connect() as client:
            client.send(b"*2\r\n$4\r\nECHO\r\n$102401\r\n")
            same(client.to_the_end(), b"-ERR Protocol error: invalid bulk length\r\n",
                 "--max-bulk bounds an argument")
        with server.connect() as client:
            data = request("EXISTS", *["k" * 100000] * 20)
            try:
                client.send(data)
            except OSError:
                pass
            ok(client.to_the_end().startswith(b"-ERR Protocol error: too big request"),
               "--max-request bounds a request")


def test_client_limit():
    with Server(PROGRAM, "--maxclients", "3") as server:
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.ask("PING")
        with server.connect() as refused:
            same(refused.to_the_end(), b"-ERR max number of clients reached\r\n",
                 "a client too many is told so")
        same(clients[0].ask("PING"), b"+PONG\r\n", "those within the limit go on")
        for client in clients:
            client.close()


def test_disconnects(server):
    """The connection ends at every byte of a request, by a plain end and by a reset."""
    data = request("SET", "gone", "value") + request("LPUSH", "gone2", "a", "b") + request("GET", "gone")
    for end in range(len(data)):
        for reset in (False, True):
            client = server.connect()
            client.send(data[:end])
            if reset:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.close()
    with server.connect() as client:
        same(client.ask("PING"), b"+PONG\r\n", "disconnecting at every byte harms nobody")
        client.ask("DEL", "gone", "gone2")


def test_slices(server):
    """Long replies come in slices: whole and as of one moment, while writers change what is read, and in order with
    what else the client asks; a reader that goes away or never reads harms nobody."""
    count = 30000
    names = [b"member-%05d" % i for i in range(count)]
    with server.connect() as reader, server.connect() as writer:
        def fill(*words):
            for begin in range(0, count, 1000):
                writer.send(request(*words, *[w for i in range(begin, begin + 1000) for w in
                                              ((i, names[i]) if words[0] == "ZADD" else
                                               (names[i], names[i]) if words[0] == "HSET" else (names[i],))]))
            for begin in range(0, count, 1000):
                writer.reply()

        def bulk(name):
            return b"$%d\r\n%s\r\n" % (len(name), name)

        fill("RPUSH", "list")
        fill("SADD", "set")
        fill("HSET", "hash")
        fill("ZADD", "zset")
        whole = b"*%d\r\n" % count + b"".join(map(bulk, names))
        changes = {"list": ("LPOP", "list"), "set": ("SREM", "set", names[-1]), "hash": ("HSET", "hash", names[0], "x"),
                   "zset": ("ZADD", "zset", count, names[0])}
        for key, question in (("list", ("LRANGE", "list", 0, -1)), ("zset", ("ZRANGE", "zset", 0, -1)),
                              ("set", ("SMEMBERS", "set")), ("hash", ("HVALS", "hash"))):
            reader.send(request("INCR", "before") + request(*question) + request("INCR", "before"))
            first = reader.reply()
            changed = writer.ask(*changes[key])
            reply = reader.reply()
            if key in ("set", "hash"):
                got = reply.split(b"\r\n")[2::2]
                right = len(got) == count and set(got) in (set(names), set(names) - {names[0]} | {b"x"},
                                                           set(names[:-1]))
            else:
                # the writer came before or after the reader, never within
                right = reply in (whole, b"*%d\r\n" % (count - 1) + b"".join(map(bulk, names[1:])),
                                  b"*%d\r\n" % count + b"".join(map(bulk, names[1:] + names[:1])))
            ok(right and changed[:1] in b":$" and reader.reply() != first,
               "%s of %d elements beside a writer" % (question[0], count))
        reader.send(request("KEYS", "*") + request("PING"))
        ok(b"zset" in reader.reply() and reader.reply() == b"+PONG\r\n", "KEYS")
        reader.send(request("MULTI") + request("LRANGE", "list", 0, -1) + request("EXEC"))
        replies = [reader.reply() for _ in range(3)]
        ok(replies[2].startswith(b"*1\r\n*%d\r\n" % (count - 1)), "within EXEC a reply is whole at once")
        for key in ("list", "zset"):
            for reads in (0, 100000):
                leaver = server.connect()
                leaver.send(request("LRANGE" if key == "list" else "ZRANGE", key, 0, -1) * 20)
                if reads:
                    leaver.take(reads)
                leaver.close()
        silent = server.connect()
        silent.send(request("LRANGE", "list", 0, -1) * 50 + request("SUBSCRIBE", "news"))
        begun = silent.take(100)
        silent.unread = begun + silent.unread
        same(writer.ask("RPUSH", "list", "more"), b":%d\r\n" % count, "a silent reader holds nobody up")
        same(writer.ask("DEL", "list", "set", "hash", "zset", "before"), b":5\r\n", "and not the end of its list")
        lengths = [silent.reply().count(b"$") for _ in range(50)]
        ok(lengths[0] == count - 1 and lengths == sorted(lengths, key=[count - 1, count, 0].index),
           "what it gets is the list as it was, then as it is (%s)" % sorted(set(lengths)))
        silent.close()


def test_threads(server):
    """Many clients on all loops, one counter and one list."""
    clients, rounds = 16, 300
    failures = []

    def work(index):
        try:
            with server.connect() as client:
                for i in range(rounds):
                    client.ask("INCR", "together")
                    client.ask("RPUSH", "queue", "%d-%d" % (index, i))
                    client.ask("SET", "own%d" % index, i)
                    if client.ask("GET", "own%d" % index) != b"$%d\r\n%d\r\n" % (len(str(i)), i):
                        failures.append("own")
        except Exception as error:  # pylint: disable=broad-except
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(failures, [], "16 clients at once")
    with server.connect() as client:
        same(client.ask("INCR", "together"), b":%d\r\n" % (clients * rounds + 1), "no INCR is lost")
        same(client.ask("LLEN", "queue"), b":%d\r\n" % (clients * rounds), "no element is lost")
        seen = [client.ask("LPOP", "queue").split(b"\r\n")[1] for _ in range(clients * rounds)]
        ordered = all(
            [int(s.split(b"-")[1]) for s in seen if s.startswith(b"%d-" % i)] == list(range(rounds))
            for i in range(clients))
        ok(ordered, "each client's elements come in the order in which it pushed them")
        same(client.ask("FLUSHALL"), b"+OK\r\n", "FLUSHALL")
        same(client.ask("DBSIZE"), b":0\r\n", "leaves no key")


def info(client, name):
    """One number of INFO."""
    for row in client.ask("INFO").decode().splitlines():
        if row.startswith(name + ":"):
            return int(row.split(":")[1])
    return None


def test_maxmemory():
    """Twice as much data as fits: what was used last stays, in about the room given."""
    limit, size, count = 8 << 20, 1000, 16000
    with Server(PROGRAM, "--maxmemory", str(limit)) as server:
        with server.connect() as client:
            for begin in range(0, count, 500):
                client.send(b"".join(request("SET", "k%d" % i, "v" * size)
                                     for i in range(begin, begin + 500)) +
                            request("GET", "k0"))
                replies = [client.reply() for _ in range(500)]
                if any(reply != b"+OK\r\n" for reply in replies):
                    ok(False, "a SET was refused: %r" % replies)
                client.reply()
            used, evicted = info(client, "used_memory"), info(client, "evicted_keys")
            ok(used < limit * 1.25, "--maxmemory bounds the data (%d of %d)" % (used, limit))
            ok(0 < evicted < count * 0.75, "by dropping keys, not too many (%d)" % evicted)
            ok(client.ask("GET", "k0") != b"$-1\r\n", "the key that was asked for all the time stays")
            kept = sum(client.ask("EXISTS", "k%d" % i) == b":1\r\n" for i in range(count - 3000, count))
            ok(kept > 2700, "and so do the newest (%d of 3000)" % kept)
            old = sum(client.ask("EXISTS", "k%d" % i) == b":1\r\n" for i in range(1, 3000))
            ok(old < 300, "the oldest are gone (%d of 3000 left)" % old)


def test_password():
    with Server(PROGRAM, "--requirepass", "secret") as server:
        with server.connect() as client:
            same(client.ask("GET", "a"), b"-NOAUTH Authentication required.\r\n", "NOAUTH")
            same(client.ask("AUTH", "wrong"),
                 b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "WRONGPASS")
            ok(client.ask("HELLO", "3").startswith(b"-NOAUTH HELLO must be"), "HELLO wants AUTH")
            same(client.ask("AUTH", "secret"), b"+OK\r\n", "AUTH")
            same(client.ask("GET", "a"), b"$-1\r\n", "then commands run")
            same(client.ask("RESET"), b"+RESET\r\n", "RESET")
            ok(client.ask("GET", "a").startswith(b"-NOAUTH"), "forgets it")
            ok(client.ask("HELLO", "3", "AUTH", "default", "secret").startswith(b"%7"), "HELLO AUTH")
        for data, error in ((b"*11\r\n", b"unauthenticated multibulk length"),
                            (b"*1\r\n$16385\r\n", b"unauthenticated bulk length")):
            with server.connect() as client:
                client.send(data)
                same(client.to_the_end(), b"-ERR Protocol error: " + error + b"\r\n",
                     "a stranger's request is small")


def test_unix_socket():
    with tempfile.TemporaryDirectory(prefix="tidepool-socket.") as directory:
        path = os.path.join(directory, "s")
        with Server(PROGRAM, "--unixsocket", path) as server:
            clients = []
            for i in range(8):
                local = server.connect()
                local.socket.close()
                local.socket = socket.socket(socket.AF_UNIX)
                local.socket.settimeout(60)
                local.socket.connect(path)
                clients.append(local)
            same([c.ask("INCR", "n") for c in clients], [b":%d\r\n" % (i + 1) for i in range(8)],
                 "clients of the unix socket")
            result = run_program("--port", "0", "--unixsocket", path)
            ok(result.returncode == 1 and "in use" in result.stderr, "a path in use is refused")
            with server.connect() as client:
                same(client.ask("GET", "n"), b"$1\r\n8\r\n", "and of the port see one keyspace")
            for client in clients:
                client.close()
        ok(not os.path.exists(path), "the path is removed at the end")


def test_inside(server):
    """CLIENT LIST and KILL over all loops, SLOWLOG, DEBUG SLEEP, MEMORY, NEAP."""
    clients = [server.connect() for _ in range(8)]
    for i, client in enumerate(clients):
        client.ask("CLIENT", "SETNAME", "client-%d" % i)
    listed = clients[0].ask("CLIENT", "LIST").decode()
    same([("name=client-%d " % i) in listed for i in range(8)], [True] * 8, "CLIENT LIST shows all loops")
    ident = clients[5].ask("CLIENT", "ID")[1:].strip()
    same(clients[0].ask("CLIENT", "KILL", "ID", ident), b":1\r\n", "CLIENT KILL by id")
    same(clients[5].to_the_end(), b"", "ends that connection")
    row = [row for row in listed.splitlines() if "name=client-6 " in row][0]
    address = [word for word in row.split() if word.startswith("addr=")][0][5:]
    same(clients[0].ask("CLIENT", "KILL", address), b"+OK\r\n", "CLIENT KILL by address")
    same(clients[6].to_the_end(), b"", "ends that one")
    sleeper, others = clients[0], clients[1:5]
    sleeper.ask("SLOWLOG", "RESET")
    sleeper.send(request("DEBUG", "SLEEP", "0.3"))
    before = time.monotonic()
    for other in others:
        other.ask("INCR", "awake")
    same(sleeper.reply(), b"+OK\r\n", "DEBUG SLEEP")
    ok(time.monotonic() - before > 0.2, "sleeps")
    ok(b"DEBUG" in others[0].ask("SLOWLOG", "GET"), "and is in the SLOWLOG")
    for i in range(1000):
        sleeper.send(request("RPUSH", "weighed", "x" * 100))
    for i in range(1000):
        sleeper.reply()
    weight = int(sleeper.ask("MEMORY", "USAGE", "weighed")[1:])
    ok(100000 < weight < 200000, "MEMORY USAGE (%d)" % weight)
    ok(sleeper.ask("MEMORY", "STATS").startswith(b"*22\r\n"), "MEMORY STATS")
    ok(sleeper.ask("MEMORY", "DOCTOR").startswith(b"$"), "MEMORY DOCTOR")
    ok(sleeper.ask("NEAP", "GC").startswith(b":"), "NEAP GC")
    ok(b"object_bytes" in sleeper.ask("NEAP", "STATS"), "NEAP STATS")
    sleeper.ask("FLUSHALL")
    ok(b"see --dir" in sleeper.ask("NEAP", "SNAPSHOT", "heap"), "without --dir clients write no file")
    for client in clients:
        client.close()


def test_files():
    with tempfile.TemporaryDirectory(prefix="tidepool-test.") as work:
        with Server(PROGRAM, "--dir", work) as server:
            client = server.connect()
            check_files(client, work)
            client.close()


def check_files(client, work):
    """NEAP SNAPSHOT, PPROF and TIMELINE."""
    snapshot, profile, timeline = (os.path.join(work, name) for name in ("heap", "profile", "timeline"))
    for i in range(300):
        client.ask("SET", "large-%d" % i, "x" * 20000)
    same(client.ask("NEAP", "TIMELINE", "timeline"), b"+OK\r\n", "NEAP TIMELINE begins")
    ok(b"already" in client.ask("NEAP", "TIMELINE", "timeline2"), "one at a time")
    ok(not os.path.exists(timeline + "2"), "and leaves no second file")
    client.ask("NEAP", "GC")
    same(client.ask("NEAP", "TIMELINE"), b"+OK\r\n", "NEAP TIMELINE ends it")
    ok(b"no timeline" in client.ask("NEAP", "TIMELINE"), "once")
    with open(timeline, encoding="utf-8") as file:
        names = {event["name"] for event in json.load(file)["traceEvents"]}
    ok({"collection", "world stopped"} <= names, "it has the collection")
    same(client.ask("NEAP", "SNAPSHOT", "heap"), b"+OK\r\n", "NEAP SNAPSHOT")
    with open(snapshot, encoding="utf-8") as file:
        ok("entry" in json.load(file)["strings"], "has the keyspace's types")
    same(client.ask("NEAP", "PPROF", "profile"), b"+OK\r\n", "NEAP PPROF")
    with gzip.open(profile) as file:
        ok(b"examples/tidepool/" in file.read(), "has places in the server's source")
    ok(b"File exists" in client.ask("NEAP", "SNAPSHOT", "heap"), "no file is written over")
    for name in (b"", b"a\0b", b"x" * 5000, b"none/x", b"../x", work.encode() + b"/x"):
        ok(b"ERR no name" in client.ask("NEAP", "SNAPSHOT", name), "no name of a file: %.10r" % name)
    ok(b"wrong number of arguments" in client.ask("NEAP", "TIMELINE", "a", "b"), "nor two")
    same(sorted(os.listdir(work)), ["heap", "profile", "timeline"], "nothing else is left")
    client.ask("FLUSHALL")


def test_monitor():
    """--monitor: the server's pages; --trace 0: no profile."""
    ended = run_program("--port", "0", "--monitor", "nowhere")
    if "built without" in ended.stderr:
        skip("--monitor", "built without libneap-monitor")
        return
    ok(ended.returncode == 1 and "no address" in ended.stderr, "--monitor refuses what is no address")
    with Server(PROGRAM, "--monitor", "127.0.0.1:0", "--trace", "0", "--dir", tempfile.gettempdir(),
                check=False) as server:
        line = server.process.stdout.readline()
        if not line.startswith("tidepool: monitor on 127.0.0.1:"):
            ok(False, "--monitor tells where: " + line)
            return
        client = server.connect()
        for i in range(100):
            client.ask("SET", "key-%d" % i, "value")
        pages = http.client.HTTPConnection("127.0.0.1", int(line.rsplit(":", 1)[1]), timeout=60)
        pages.request("GET", "/metrics")
        text = pages.getresponse().read().decode()
        objects = [float(row.split()[1]) for row in text.splitlines() if row.startswith("neap_heap_objects ")]
        ok(objects and objects[0] >= 200, "--monitor serves the metrics")
        pages.request("GET", "/debug/heapsnapshot")
        ok(b'"entry"' in pages.getresponse().read(), "and heap snapshots")
        ok(b"tracing is off" in client.ask("NEAP", "PPROF", "none"), "--trace 0: NEAP PPROF has nothing")
        ended = run_program("--port", "0", "--monitor", line.rsplit(" ", 1)[1].strip())
        ok(ended.returncode == 1 and "cannot start the monitor" in ended.stderr and
           "in use" in ended.stderr, "a port that is taken is refused")
        pages.close()
        client.close()


def run_program(*flags):
    return subprocess.run([PROGRAM, *flags], capture_output=True, text=True, timeout=60, check=False)


def test_flags():
    result = run_program("--help")
    ok(result.returncode == 0 and "--port" in result.stdout, "--help")
    result = run_program("--version")
    ok(result.returncode == 0 and result.stdout.startswith("tidepool "), "--version")
    for flags in (["--prot", "1"], ["--port"], ["--port", "x"], ["--port", "65536"], ["--threads", "0"],
                  ["--max-request", "1tb"], ["nonsense"]):
        result = run_program(*flags)
        ok(result.returncode == 2 and result.stderr.startswith("tidepool: "),
           "%s is refused in words" % " ".join(flags))
    result = run_program("--bind", "not an address")
    ok(result.returncode == 1 and "not an address" in result.stderr, "an address that is none")
    with Server(PROGRAM) as server:
        result = run_program("--port", str(server.port))
        ok(result.returncode == 1 and "in use" in result.stderr, "a port in use")


def test_end():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server(PROGRAM, check=False) as server:
            with server.connect() as client:
                for i in range(1000):
                    client.send(request("SET", "k%d" % i, "v") + request("LPUSH", "l%d" % (i % 10), i))
                for _ in range(2000):
                    client.reply()
                same(server.stop(number), 0, "signal %d ends it cleanly with clients connected" % number)
                stats = server.stats
                same((stats["keys"], stats["leaked_objects"], stats["objects_after_drop"]),
                     (1010, 0, 0), "the keyspace was dropped and nothing is left")
                same(stats["commands"]["set"], {"calls": 1000, "errors": 0}, "the report counts commands")
                types = {row["type"]: row for row in stats["types"]}
                same({name: row["keys"] for name, row in types.items()},
                     {"string": 1000, "list": 10, "set": 0, "hash": 0, "zset": 0}, "and keys by type")
                ok(32000 < types["string"]["bytes"] < 256000 and 16000 < types["list"]["bytes"] < 128000,
                   "and their bytes (%d, %d)" % (types["string"]["bytes"], types["list"]["bytes"]))
    with Server(PROGRAM, check=False) as server:
        with server.connect() as client:
            for begin in range(0, 100000, 1000):
                client.send(b"".join(request("SET", "k%d" % i, "v") for i in range(begin, begin + 1000)))
            for _ in range(100000):
                client.reply()
            same(client.ask("FLUSHALL"), b"+OK\r\n", "what FLUSHALL leaves is collected while the server ends")
            server.process.send_signal(signal.SIGTERM)
            further = 0
            while server.process.poll() is None and further < 60000:
                server.process.send_signal((signal.SIGINT, signal.SIGTERM)[further % 2])
                further += 1
                time.sleep(0.001)
            same(server.stop(), 0, "further signals do not disturb the end")
            ok(further > 1, "of which there were many")
            same((server.stats or {}).get("leaked_objects"), 0, "whose report is whole")
    with Server(PROGRAM, check=False) as server:
        with server.connect() as client:
            client.send(request("SHUTDOWN", "NOSAVE"))
            same(client.to_the_end(), b"", "SHUTDOWN ends the connection")
        same(server.process.wait(60), 0, "and the server")


with Server(PROGRAM) as main_server:
    test_conversation(main_server)
    test_half_closed(main_server)
    test_malformed(main_server)
    test_endless(main_server)
    test_slow_reader(main_server)
    test_slices(main_server)
    test_disconnects(main_server)
    test_threads(main_server)
    test_inside(main_server)
test_reply_limit()
test_request_limits()
test_client_limit()
test_maxmemory()
test_password()
test_unix_socket()
test_files()
test_monitor()
test_flags()
test_end()
done()
