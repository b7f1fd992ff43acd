#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A timeline is Chrome trace events: every event has its fields, spans of a thread nest, each thread
that was stopped is tied to the stop's request, and collections contain their stops."""
import json

from client import path, planted
from tap import done, ok

planted("timeline", "timeline.json")
trace = json.load(open(path("timeline.json"), encoding="utf-8"))
events = trace["traceEvents"]
ok(set(trace) == {"displayTimeUnit", "traceEvents"} and trace["displayTimeUnit"] == "ns",
   "the object form")
FIELDS = {"X": {"name", "cat", "pid", "tid", "ts", "dur"}, "M": {"name", "pid", "args"},
          "i": {"name", "s", "pid", "tid", "ts"}, "s": {"id", "name", "cat", "pid", "tid", "ts"},
          "f": {"id", "name", "cat", "pid", "tid", "ts", "bp"}}
wrong = [event for event in events if not FIELDS.get(event["ph"], {"?"}) <= set(event)]
ok(not wrong, "every event has the fields of its kind", wrong[:3])
spans = [event for event in events if event["ph"] == "X"]
ok(all(span["ts"] > 0 and span["dur"] >= 0 for span in spans), "times are times")
names = {span["name"] for span in spans}
ok({"collection", "time to safepoint", "world stopped", "stopped", "blocking"} <= names,
   "spans of all kinds", names)

bad = []
for tid in {span["tid"] for span in spans}:
    open_ends = []
    for span in sorted((s for s in spans if s["tid"] == tid), key=lambda s: (s["ts"], -s["dur"])):
        while open_ends and open_ends[-1] <= span["ts"] + 0.0015:
            open_ends.pop()
        end = span["ts"] + span["dur"]
        if open_ends and end > open_ends[-1] + 0.0015:  # written in thousandths of a microsecond
            bad.append(span)
        open_ends.append(end)
ok(not bad, "the spans of a thread nest", bad[:3])

begun = {event["id"]: event for event in events if event["ph"] == "s"}
ended = [event for event in events if event["ph"] == "f"]
# A request that was under way when the timeline began or ended is cut off.
cut = {event["id"] for event in ended} - set(begun)
ok(len(begun) >= 20 and len(cut) <= 2, "a thread's stop is tied to a request", cut)
late = [event for event in ended if event["id"] not in cut and event["ts"] < begun[event["id"]]["ts"]]
ok(not late, "requests come first", late[:3])
collections = [span for span in spans if span["name"] == "collection"]
stops = [span for span in spans if span["name"] == "world stopped" and
         span["args"]["cause"] == "collect"]
inside = [stop for stop in stops if any(
    c["tid"] == stop["tid"] and c["ts"] <= stop["ts"] and
    stop["ts"] + stop["dur"] <= c["ts"] + c["dur"] + 0.0015 for c in collections)]
ok(len(collections) >= 20 and len(inside) >= 20, "collections contain their stops",
   (len(collections), len(inside), len(stops)))
threads = {event["tid"]: event["args"]["name"] for event in events
           if event["ph"] == "M" and event["name"] == "thread_name"}
ok("main" in threads.values() and "worker" in threads.values(), "threads have names", threads)
ok(events[-1]["name"] == "end" and events[-1]["args"]["dropped"] == 0, "nothing was dropped")
done()
