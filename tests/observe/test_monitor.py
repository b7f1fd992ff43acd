#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The monitor over HTTP: every page in its form, what is refused in words, limits, a token, a clean
end while requests are under way."""
import gzip
import http.client
import json
import os
import socket
import subprocess
import threading
import time

from client import path, program
from tap import done, ok, run, skip

MONITORED = os.environ["NEAP_MONITORED"]


class Program:
    """A program with a monitor; its lines are answered one by one."""

    def __init__(self, address="127.0.0.1:0", **environment):
        environment = {**os.environ, "TMPDIR": path(""), **environment}
        self.process = subprocess.Popen([MONITORED, address], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment)
        self.address = self.process.stdout.readline().strip()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def connect(self, timeout=60):
        if self.address.startswith("unix:"):
            connection = http.client.HTTPConnection("localhost", timeout=timeout)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(self.address[5:])
            return connection
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)

    def ask(self, page, method="GET", body=None, **headers):
        """(status, headers, body)"""
        connection = self.connect()
        connection.request(method, page, body=body,
                           headers={key.replace("_", "-"): v for key, v in headers.items()})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, response.headers, data

    def ask_until_let_in(self, page):
        """Asks again while the server, which may not know yet that others left, refuses."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.ask(page)
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def end(self):
        """(exit status, standard error)"""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def check_pages(server):
    status, headers, data = server.ask("/")
    pages = ("/metrics", "/stats.json", "/debug/pprof/heap", "/debug/pprof/allocs",
             "/debug/heapsnapshot", "/debug/timeline", "/debug/gc")
    ok(status == 200 and headers["Content-Type"].startswith("text/html") and
       all(f'href="{page}"'.encode() in data for page in pages), "/ lists the pages", data)
    ok(headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff",
       "nothing is kept, nothing is guessed", headers)

    status, headers, data = server.ask("/metrics")
    ok((status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8") and
       b"neap_heap_objects " in data and b"# EOF" not in data, "/metrics is the older text", headers)
    prometheus = ("application/openmetrics-text;version=1.0.0;q=0.75,"
                  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    status, headers, data = server.ask("/metrics", Accept=prometheus)
    ok(status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1")
       and data.endswith(b"# EOF\n"), "or OpenMetrics, as Prometheus asks for it", headers)
    for accept in ("*/*", "application/openmetrics-text;q=0", "application/openmetrics-textual",
                   "text/plain, application/openmetrics-text;q=0.5"):
        status, headers, _ = server.ask("/metrics", Accept=accept)
        ok(headers["Content-Type"].startswith("text/plain"), f"not for {accept}", headers)
    if program("promtool") is None:
        skip("promtool check metrics", "no promtool (apt-get install prometheus)")
    else:
        ended = subprocess.run(["promtool", "check", "metrics"], input=server.ask("/metrics")[2],
                               capture_output=True, timeout=60, check=False)
        ok(ended.returncode == 0 and not ended.stdout + ended.stderr, "promtool check metrics",
           ended.stdout + ended.stderr)

    status, headers, data = server.ask("/stats.json")
    ok((status, headers["Content-Type"]) == (200, "application/json") and
       json.loads(data)["objects"] >= 1000, "/stats.json", data)

    for page in ("/debug/pprof/heap", "/debug/pprof/allocs"):
        status, _, data = server.ask(page)
        ok(status == 409 and b"neap_trace_start" in data, f"{page} says that tracing is off", data)
    server.tell("trace")
    server.tell("hold 500")
    sample_types = {"heap": "inuse_space", "allocs": "alloc_space"}
    for name, first in sample_types.items():
        status, headers, data = server.ask("/debug/pprof/" + name)
        ok(status == 200 and headers["Content-Disposition"] == f'attachment; filename="{name}.pb.gz"'
           and b"monitored.c" in gzip.decompress(data), f"/debug/pprof/{name}", headers)
        with open(path(name + ".pb.gz"), "wb") as file:
            file.write(data)
        if program("go") is None:
            skip(f"go tool pprof shows {first}", "no go (apt-get install golang-go)")
            continue
        output = run(["go", "tool", "pprof", "-top", path(name + ".pb.gz")],
                     env={**os.environ, "HOME": path("home"), "PPROF_BINARY_PATH": ""})[1]
        ok(f"Type: {first}" in output and " hold" in output, f"go tool pprof shows {first}", output)

    status, headers, data = server.ask("/debug/heapsnapshot")
    snapshot = json.loads(data)
    ok(status == 200 and headers["Content-Disposition"].endswith('"heap.heapsnapshot"') and
       "(external references)" in snapshot["strings"] and
       snapshot["snapshot"]["node_count"] >= 1500, "/debug/heapsnapshot", snapshot["snapshot"])

    start = time.monotonic()
    status, _, data = server.ask("/debug/timeline?seconds=1")
    events = json.loads(data)["traceEvents"]
    ok(status == 200 and time.monotonic() - start >= 1 and
       events[-1]["name"] == "end" and events[-1]["args"]["dropped"] == 0,
       "/debug/timeline writes for as long as it was asked to", data[:300])
    server.tell("rings 300")
    status, _, data = server.ask("/debug/gc")
    ok(status == 200 and json.loads(data)["collected"] == 600, "/debug/gc finds the rings", data)
    server.tell("rings 10")
    status, _, data = server.ask("/debug/gc?generation=0", method="POST")
    ok(status == 200 and json.loads(data)["collected"] == 20, "by POST too, of a generation", data)
    ok(not [name for name in os.listdir(path("")) if name.startswith("neap-monitor-")],
       "no file is left behind")


def check_refusals(server):
    for page, method, wanted in (("/none", "GET", 404), ("/debug/pprof", "GET", 404),
                                 ("/metrics", "POST", 405), ("/metrics", "DELETE", 405),
                                 ("/metrics", "P", 405), ("/debug/gc", "PUT", 405),
                                 ("/debug/timeline?seconds=0", "GET", 400),
                                 ("/debug/timeline?seconds=301", "GET", 400),
                                 ("/debug/timeline?seconds=-1", "GET", 400),
                                 ("/debug/timeline?seconds=1x", "GET", 400),
                                 ("/debug/timeline?seconds=", "GET", 400),
                                 ("/debug/gc?generation=3", "GET", 400)):
        status, headers, data = server.ask(page, method=method)
        ok(status == wanted and data.endswith(b"\n") and headers["Content-Type"].startswith("text/"),
           f"{method} {page} is refused in words", (status, data))
    ok(server.ask("/metrics", method="POST", body=b"x" * 100)[0] == 413, "a body is refused")
    ok(server.ask("/metrics", X_Long="x" * 100000)[0] in (413, 431), "and headers without end")
    for host, wanted in (("evil.example", 403), ("localhost:80", 200), ("127.0.0.1", 200),
                         ("[::1]:9464", 200), ("localhost.evil.example", 403)):
        status = server.ask("/stats.json", Host=host)[0]
        ok(status == wanted, f"asked for as {host}: {wanted}", status)
    server.tell("timeline")
    status, _, data = server.ask("/debug/timeline")
    ok(status == 409 and b"itself" in data, "a timeline of the program's own is not disturbed", data)
    server.tell("untimeline")


def check_limits(server):
    """Silent clients take no more than their share, and do not keep others out for ever."""
    silent = [server.connect() for _ in range(40)]
    for connection in silent:
        connection.connect()
    threads = int(next(line.split()[1] for line in open(f"/proc/{server.process.pid}/status",
                                                        encoding="utf-8")
                       if line.startswith("Threads:")))
    ok(threads <= 24, "40 connections are not 40 threads", threads)
    for connection in silent:
        connection.close()
    ok(server.ask_until_let_in("/metrics")[0] == 200, "afterwards it answers")

    answers = []
    askers = [threading.Thread(target=lambda: answers.append(server.ask("/debug/heapsnapshot")))
              for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    made = [data for status, _, data in answers if status == 200]
    told = [headers for status, headers, _ in answers if status == 503]
    ok(made and len(made) + len(told) == 8 and all(json.loads(data) for data in made) and
       all(headers["Retry-After"] == "1" for headers in told),
       "heap snapshots are made one at a time", [status for status, _, _ in answers])


def check_end(server):
    """A timeline under way is cut short, the port is free."""
    result = []
    waiting = threading.Thread(target=lambda: result.append(attempt(server)))
    waiting.start()
    while b"neap-timeline" not in threads_of(server):
        time.sleep(0.01)
    start = time.monotonic()
    ok(server.tell("stop") == "done", "it stops while a request is under way")
    waiting.join()
    ok(time.monotonic() - start < 100, "without waiting for the seconds asked for")
    try:
        server.ask("/")
        ok(False, "nobody answers any more")
    except OSError:
        ok(True, "nobody answers any more")


def threads_of(server):
    """What the timeline's thread shows: that it is there."""
    folder = f"/proc/{server.process.pid}/task"
    names = b""
    for task in os.listdir(folder):
        try:
            with open(f"{folder}/{task}/comm", "rb") as file:
                names += file.read()
        except OSError:
            pass
    return names


def attempt(server):
    try:
        return server.ask("/debug/timeline?seconds=300")[0]
    except (OSError, http.client.HTTPException) as error:
        return error


def check_token():
    server = Program(NEAP_MONITOR_TOKEN="s3cret")
    ok(server.address.startswith("127.0.0.1:"), "with a token", server.address)
    status, headers, _ = server.ask("/metrics")
    ok(status == 401 and headers["WWW-Authenticate"].startswith("Bearer"), "401 without", status)
    for given in ("Bearer s3cre", "Bearer s3cretx", "Bearer ", "Basic s3cret", "s3cret",
                  "Bearer s3cres3cre", "Bearer s3crets3cret"):
        ok(server.ask("/metrics", Authorization=given)[0] == 401, f"401 with {given}")
    ok(server.ask("/none", Authorization="Bearer no")[0] == 401, "no page is told without")
    ok(server.ask("/metrics", Authorization="Bearer s3cret")[0] == 200, "200 with the token")
    ok(server.ask("/metrics", Authorization="bearer s3cret", Host="proxied.example")[0] == 200,
       "under any name")
    ok(server.end() == (0, ""), "it ends well")
    server = Program(address="0.0.0.0:0", NEAP_MONITOR_TOKEN="s3cret")
    ok(server.address.startswith("0.0.0.0:"), "other machines may come, with a token")
    ok(server.ask("/metrics", Authorization="Bearer s3cret")[0] == 200, "and are answered")
    ok(server.end() == (0, ""), "it ends well")
    server = Program(address="0.0.0.0:0")
    status, errors = server.end()
    ok(status == 3 and "takes a token" in errors, "not without", errors)


def check_out_of_memory():
    """neap's allocations fail one by one: a page, or a sentence."""
    statuses, ends, started, number = [], set(), 0, 0
    while started < 30 and number < 1000:  # those of the start come first
        number += 1
        server = Program(NEAP_OPTIONS=f"fail_nth={number}")
        if server.address:
            started += 1
            statuses += [server.ask(page)[0] for page in
                         ("/debug/heapsnapshot", "/debug/gc", "/stats.json", "/debug/heapsnapshot")]
            ends.add(server.end())
        else:
            server.end()
    ok(started == 30 and set(statuses) == {200, 503}, "an allocation that fails is told",
       (started, statuses))
    ok(statuses.count(503) <= started, "once", statuses)
    ok(ends == {(0, "")}, "and the program ends well", ends)


def check_no_files():
    server = Program(TMPDIR=path("there is no such folder"))
    status, _, data = server.ask("/debug/heapsnapshot")
    ok(status == 500 and b"TMPDIR" in data, "no room for a file is told", data)
    ok(server.ask("/metrics")[0] == 200, "what needs none is served")
    server.end()


def main():
    server = Program()
    ok(server.address.startswith("127.0.0.1:"), "it serves", server.address)
    server.tell("hold 1000")
    check_pages(server)
    check_refusals(server)
    check_limits(server)
    answer = server.tell("fork")
    if answer.startswith("ThreadSanitizer"):
        skip("a forked child serves nothing, and may", answer)
    else:
        ok(answer == "child 0", "a forked child serves nothing, and may", answer)
    ok(server.ask("/metrics")[0] == 200, "the parent goes on")
    check_end(server)
    ok(server.end() == (0, ""), "the program ends well")

    server = Program()
    server.tell("shutdown")
    ok(server.ask("/metrics")[0] == 200, "after neap_shutdown metrics are the process's")
    for page in ("/debug/heapsnapshot", "/debug/gc", "/debug/timeline", "/debug/pprof/heap"):
        status, _, data = server.ask(page)
        ok(status == 503 and b"not running" in data, f"{page}: the runtime is not running", data)
    ok(server.end() == (0, ""), "it ends well")

    server = Program(address="unix:" + path("socket"))
    ok(server.ask("/metrics")[0] == 200, "a unix socket")
    ok(server.end() == (0, "") and not os.path.exists(path("socket")), "goes with the program")
    server = Program(address="[::1]:0")
    if server.address:
        ok(server.address.startswith("[::1]:") and server.ask("/")[0] == 200, "IPv6")
        server.end()
    else:
        skip("IPv6", "this system has none: " + server.end()[1].strip())
    check_token()
    check_out_of_memory()
    check_no_files()
    done()


main()
