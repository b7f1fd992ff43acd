#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The model of bench/scaling against what queueing theory says in closed form."""
import importlib.machinery
import importlib.util
import os
import sys

import tap

PATH = os.path.join(tap.SOURCE, "bench", "scaling")
loader = importlib.machinery.SourceFileLoader("scaling", PATH)
spec = importlib.util.spec_from_loader("scaling", loader)
scaling = importlib.util.module_from_spec(spec)
loader.exec_module(scaling)


def near(a, b, share=1e-6):
    return abs(a - b) <= share * max(abs(a), abs(b))


rate = scaling.throughput
tap.ok(near(rate(10, 0, 0, 50, 64), 64 / 10), "what moves nothing scales")
tap.ok(near(rate(10, 2, 0, 50, 64), 64 / 110), "lines that nobody queues for are a delay")
tap.ok(near(rate(0, 2, 2, 50, 1), 1 / 100) and near(rate(0, 2, 2, 50, 64), 1 / 100),
       "one line for everything gives one transfer at a time")
tap.ok(near(rate(10, 1, 1, 50, 2), 2 / (10 + 50 * (1 + 50 / 60))),
       "two customers: the second finds the queue of one")
tap.ok(rate(10, 1, 1, 50, 256) < 1 / 50 * (1 + 1e-9) and near(rate(10, 1, 1, 50, 256), 1 / 50, 0.01),
       "the hottest line bounds the whole")

wanted = 2 / rate(5, 2, 2, 37, 2)
tap.ok(near(scaling.calibrate(5, wanted, 2, 2), 37, 1e-6), "the transfer time is found again")
tap.ok(scaling.calibrate(5, 4, 2, 2) < 1e-6, "two threads that cost each other nothing: no transfer time")

alpha, beta = scaling.fit({n: n / (1 + 0.05 * (n - 1) + 0.001 * n * (n - 1)) for n in scaling.CORES})
tap.ok(near(alpha, 0.05, 1e-3) and near(beta, 0.001, 1e-3), "the universal scalability law is found again",
       f"{alpha} {beta}")

tap.ok([scaling.where(ns, 10, 20) for ns in (9.5, 15, 21.5, 5, 60)] ==
       ["inside", "inside", "inside", "2.0 x below", "3.0 x above"], "where a measured time lies")


def counted_row(name, hottest):
    return {"row": name, "threads": 2, "reads_moved": 1, "writes_moved": 1, "hottest": hottest}


def timed(name, alone, two):
    return [{"row": name, "threads": threads, "ns": [ns]} for threads, ns in ((1, alone), (2, two))]


class Ways:
    near, far, socket = 50.0, 120.0, 64


moved = [{**counted_row(name, hottest), "threads": threads} for threads in (1, 2)
         for name, hottest in ((scaling.YARDSTICK, 2), (scaling.PASSED, 0), ("between", 0))]
transfers, predicted = scaling.predict(moved, timed(scaling.YARDSTICK, 4, 12) + timed(scaling.PASSED, 20, 180) +
                                       timed("between", 10, 100), Ways)
tap.ok(near(transfers[1], 80, 1e-6) and 0 < transfers[0] < 8, "the least and the most transfer are found", transfers)
tap.ok(predicted[2]["range_ns"][0] < 100 < predicted[2]["range_ns"][1] and
       near(predicted[2]["range_ns"][1], 170, 1e-6), "a row between them is predicted as a range", predicted[2])

rows = [{"row": "x", "threads": n, "reads_moved": n / 2, "writes_moved": 0, "hottest": 0} for n in (1, 2, 16)]
tap.ok(scaling.at(rows, "x", 2) == (1, 0) and scaling.at(rows, "x", 256) == (8, 0),
       "beyond what was counted the last count stays")

status, output = tap.run([sys.executable, PATH, tap.scratch])
tap.ok(status not in (0, 2) and "meson compile" in output, "a folder that is no build is named", output)
status, output = tap.run([sys.executable, PATH, tap.scratch, "--near", "0"])
tap.ok(status == 2 and "positive" in output, "a transfer takes time", output)
tap.done()
