#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A timeline is Chrome trace events: every event has its fields and nothing it should not have, spans
of a thread nest, each thread that was stopped is tied to the stop's request, collections contain
their stops and phases, and helpers' parts lie in the phase of the thread that they help."""
import bisect
import json
import os

from client import path, planted
from tap import done, ok

NUMBER, TEXT = (int, float), str
SCHEMA = {
    "X": {"name": TEXT, "cat": TEXT, "pid": int, "tid": int, "ts": NUMBER, "dur": NUMBER},
    "M": {"name": TEXT, "pid": int, "args": dict},
    "i": {"name": TEXT, "s": TEXT, "pid": int, "tid": int, "ts": NUMBER, "args": dict},
    "s": {"id": int, "name": TEXT, "cat": TEXT, "pid": int, "tid": int, "ts": NUMBER},
    "f": {"id": int, "name": TEXT, "cat": TEXT, "pid": int, "tid": int, "ts": NUMBER, "bp": TEXT},
}
STOPPED = ["gather", "known", "count", "trace", "part", "promote"]
PHASES = ["handshake", "stop"] + STOPPED + ["clean", "sweep", "finalize", "recheck", "dispose"]
COLLECTIONS = {"collection": {"generation": int, "cause": TEXT},
               "confined collection": {"generation": int}, "end of a collection": {"generation": int}}
SPANS = {"stop": {"time to safepoint", "world stopped", "stopped"}, "thread": {"blocking"},
         "gc": set(COLLECTIONS), "phase": set(PHASES)}
ARGS = {**COLLECTIONS, "world stopped": {"cause": TEXT}}
SLACK = 0.0015  # times are written in thousandths of a microsecond


def fits(fields, wanted, optional=()):
    return (set(wanted) <= set(fields) <= set(wanted) | set(optional) and
            all(isinstance(fields[key], kind) and not isinstance(fields[key], bool)
                for key, kind in wanted.items()))


def is_valid(event):
    kind = event.get("ph")
    fields = {key: value for key, value in event.items() if key != "ph"}
    if kind not in SCHEMA or not fits(fields, SCHEMA[kind],
                                      {"X": ("args",), "M": ("tid",)}.get(kind, ())):
        return False
    return kind != "X" or (
        event["name"] in SPANS.get(event["cat"], ()) and event["ts"] > 0 and event["dur"] >= 0 and
        fits(event.get("args", {}), ARGS.get(event["name"], {})))


def contains(outer, inner):
    return (outer["ts"] <= inner["ts"] + SLACK and
            inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + SLACK)


def by_thread(spans):
    threads = {}
    for span in sorted(spans, key=lambda s: (s["ts"], -s["dur"])):
        threads.setdefault(span["tid"], []).append(span)
    return threads


def not_nested(spans):
    bad = []
    for thread in by_thread(spans).values():
        open_ends = []
        for span in thread:
            while open_ends and open_ends[-1] <= span["ts"] + SLACK:
                open_ends.pop()
            end = span["ts"] + span["dur"]
            if open_ends and end > open_ends[-1] + SLACK:
                bad.append(span)
            open_ends.append(end)
    return bad


def outside(inner, outer):
    """Those of `inner` that lie in no span of `outer` on their thread: in none of the last ones, at
    least, that begin before."""
    outer = by_thread(outer)
    starts = {tid: [span["ts"] for span in spans] for tid, spans in outer.items()}
    lost = []
    for span in inner:
        at = bisect.bisect_right(starts.get(span["tid"], []), span["ts"] + SLACK)
        if not any(contains(o, span) for o in outer.get(span["tid"], [])[max(0, at - 64):at]):
            lost.append(span)
    return lost


def named(spans, *names):
    return [span for span in spans if span["name"] in names]


def not_cut(spans, threads):
    """A cycle of the collector's thread that was under way at the end is told in part."""
    last = {}
    for span in named(spans, "collection"):
        last[span["tid"]] = max(last.get(span["tid"], 0), span["ts"] + span["dur"])
    return [span for span in spans if threads.get(span["tid"]) != "neap collector" or
            span["ts"] <= last.get(span["tid"], 0)]


def check_spans(events, what):
    """Everything that holds in any timeline of a program that did nothing else."""
    wrong = [event for event in events if not is_valid(event)]
    ok(not wrong, f"{what}: every event has the fields of its kind", wrong[:3])
    threads = {event["tid"]: event["args"]["name"] for event in events
               if event["ph"] == "M" and event["name"] == "thread_name"}
    spans = not_cut([event for event in events if event["ph"] == "X"], threads)
    bad = not_nested(spans)
    ok(not bad, f"{what}: the spans of a thread nest", bad[:3])
    crew = {tid for tid, name in threads.items() if name.startswith("neap crew ")}
    phases = [span for span in named(spans, *PHASES) if span["tid"] not in crew]
    lost = outside(phases, named(spans, *COLLECTIONS))
    ok(phases and not lost, f"{what}: phases lie in collections", lost[:3])
    stops = named(spans, "world stopped")
    lost = outside(named(phases, *(set(STOPPED) - {"count", "trace"})), stops)
    ok(stops and not lost, f"{what}: phases of the stop lie in the stop", lost[:3])
    lost = outside([stop for stop in stops if stop["args"]["cause"] == "collect"],
                   named(spans, "collection", "end of a collection"))
    ok(not lost, f"{what}: stops to collect lie in collections", lost[:3])
    lost = outside(named(spans, "time to safepoint"), named(spans, "stop", "recheck"))
    lost = [span for span in lost if outside([span], named(spans, "collection")) == []]
    ok(not lost, f"{what}: the way to a stop lies in its phase", lost[:3])
    ok(events[-1]["name"] == "end" and events[-1]["args"]["dropped"] == 0,
       f"{what}: nothing was dropped")
    return spans, threads, crew


def events_of(name):
    trace = json.load(open(path(name), encoding="utf-8"))
    ok(set(trace) == {"displayTimeUnit", "traceEvents"} and trace["displayTimeUnit"] == "ns",
       f"{name}: the object form")
    return trace["traceEvents"]


# The checks notice what they are for.
SPAN = {"ph": "X", "name": "count", "cat": "phase", "pid": 1, "tid": 1, "ts": 10.0, "dur": 5.0}
ok(is_valid(SPAN) and not is_valid({**SPAN, "cat": "gc"}) and not is_valid({**SPAN, "dur": -1.0}) and
   not is_valid({**SPAN, "name": "collection", "cat": "gc"}) and not is_valid({**SPAN, "more": 1}),
   "a wrong category, time, argument or field is noticed")
LATER = {**SPAN, "ts": 12.0}
ok(not_nested([SPAN, LATER]) == [LATER] and outside([LATER], [SPAN]) == [LATER] and
   not not_nested([SPAN, {**LATER, "tid": 2}, {**LATER, "dur": 3.0}]), "so are spans that overlap")

# Threads, stops that they wait for, and two helpers.
planted("timeline", "timeline.json", env={**os.environ, "NEAP_OPTIONS": "collector_threads=2"})
events = events_of("timeline.json")
spans, threads, crew = check_spans(events, "timeline")
names = {span["name"] for span in spans}
ok({"collection", "time to safepoint", "world stopped", "stopped", "blocking"} | set(PHASES[:10]) <=
   names, "spans of all kinds", names)
begun = {event["id"]: event for event in events if event["ph"] == "s"}
ended = [event for event in events if event["ph"] == "f"]
# A request that was under way when the timeline began or ended is cut off.
cut = {event["id"] for event in ended} - set(begun)
ok(len(begun) >= 20 and len(cut) <= 2, "a thread's stop is tied to a request", cut)
late = [event for event in ended if event["id"] not in cut and event["ts"] < begun[event["id"]]["ts"]]
ok(not late, "requests come first", late[:3])
collections = named(spans, "collection")
ok(len(collections) >= 20 and {span["args"]["cause"] for span in collections} >= {"asked"},
   "collections with their cause", collections[:3])
full = [span for span in collections if span["args"] == {"generation": 2, "cause": "asked"}]
inside = [{span["name"] for span in spans if span["tid"] == one["tid"] and contains(one, span)}
          for one in full]
ok(len(full) >= 6 and all(set(PHASES[:10]) <= seen for seen in inside),
   "an old collection has every phase without user code", inside[:2])
ok("main" in threads.values() and "worker" in threads.values(), "threads have names", threads)
parts = [span for span in spans if span["tid"] in crew]
ok(len(crew) == 1 and {"count", "trace"} <= {span["name"] for span in parts}, "the helper has its track",
   (crew, parts[:3]))
helped = named([span for span in spans if span["tid"] not in crew], *PHASES)
alone = [part for part in parts if not any(
    one["name"] == part["name"] and contains(one, part) for one in helped)]
ok(parts and not alone, "its parts lie in the phase that it helps with", alone[:3])

# Collections for every cause.
planted("causes", "causes", env={**os.environ, "NEAP_OPTIONS": "collector=concurrent,confined=1"})
spans, threads, _ = check_spans(events_of("causes.timeline"), "causes")
causes = {span["args"]["cause"] for span in named(spans, "collection")}
ok(causes == {"asked", "paced", "concurrent", "memory"}, "collections for every cause", causes)
names = {span["name"] for span in spans}
ok({"confined collection", "end of a collection"} | set(PHASES) <= names, "and every phase there is",
   set(PHASES) - names)
concurrent = [span for span in named(spans, "collection") if span["args"]["cause"] == "concurrent"]
ok({threads[span["tid"]] for span in concurrent} == {"neap collector"},
   "concurrent ones on the collector's thread", threads)
done()
