#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""promtool passes the metrics; both formats say the same; histograms add up."""
import os
import re
import subprocess

from client import path, planted, program
from tap import done, ok, skip

planted("metrics", "metrics.txt")
text = open(path("metrics.txt"), encoding="utf-8").read()
open_text = open(path("metrics.txt.open"), encoding="utf-8").read()


def samples(of):
    return {key: float(value) for key, value in
            (line.rsplit(" ", 1) for line in of.splitlines() if not line.startswith("#"))}


seen, open_seen = samples(text), samples(open_text)
ok(seen["neap_heap_objects"] >= 1000, "objects are counted", seen)
ok(seen["neap_heap_inuse_bytes"] >= 1000 * 40, "and their bytes")
ok(seen["neap_alloc_bytes_total"] >= 1000 * 24, "bytes asked for are counted", seen)
CAUSES = ("asked", "paced", "concurrent", "memory")


def collections(of, generation):
    return [of[f'neap_gc_collections_total{{generation="{generation}",cause="{cause}"}}']
            for cause in CAUSES]


ok(collections(seen, 2) == [1, 0, 0, 0], "one old collection, which was asked for", collections(seen, 2))
phases = {key: value for key, value in seen.items() if key.startswith("neap_gc_phase_seconds_total")}
ok(len(phases) == 3 * 13 and phases['neap_gc_phase_seconds_total{generation="2",phase="count"}'] > 0 and
   sum(phases.values()) <= sum(value for key, value in seen.items()
                               if key.startswith("neap_gc_seconds_total")) * 1.5 + 0.001,
   "the time of collections by phase", phases)
ok("neap_gc_confined_collections_total" in seen, "confined collections")
ok(seen['neap_threads{state="running"}'] >= 1, "a thread is running")
merges = {kind: seen['neap_merges_total{kind="%s"}' % kind] for kind in ("by_owner", "for_owner", "at_once")}
ok(merges["by_owner"] + merges["for_owner"] >= 5,
   "what another thread released was given back by the owner or for it", merges)
# An exited thread's objects are the next thread's with its number: the helper may be that.
ok(sum(merges.values()) == 15 and seen["neap_merge_queue_objects"] == 0,
   "so was what an exited thread owned, or at once, and nothing waits", merges)
ok(seen['neap_oom_total{kind="system"}'] == 2 and seen['neap_oom_total{kind="limit"}'] == 0,
   "two allocations had no memory", seen)
planted("metrics", "limited.txt", env={**os.environ, "NEAP_OPTIONS": "heap_hard_limit=64m"})
limited = samples(open(path("limited.txt"), encoding="utf-8").read())
ok(limited['neap_oom_total{kind="limit"}'] == 2 and limited['neap_oom_total{kind="system"}'] == 0,
   "below a limit it is the limit that refused them", limited)
planted("causes", "causes.txt", env={**os.environ, "NEAP_OPTIONS": "collector=concurrent,confined=1"})
causes = samples(open(path("causes.txt"), encoding="utf-8").read())
young, middle, old = (collections(causes, generation) for generation in (0, 1, 2))
ok(young[0] == 0 and middle[0] == 1 and old[0] == 1, "collections asked for, by generation",
   (young, middle, old))
ok(young[1] >= 1 and young[2:] == [0, 0] and middle[2:] == [0, 0], "by a threshold passed",
   (young, middle, old))
ok(old[2] >= 1 and old[3] == 1, "by the collector's thread, and for want of memory", old)
for name in ("neap_gc_stopped_seconds", "neap_gc_time_to_safepoint_seconds"):
    buckets = [value for key, value in seen.items()
               if key.startswith(name + '_bucket{cause="collect"')]
    ok(buckets == sorted(buckets) and buckets[-1] == seen[name + '_count{cause="collect"}'] > 0,
       f"{name}: buckets rise to the count", buckets)
causes = {match[1] for key in seen
          if (match := re.match(r'neap_gc_time_to_safepoint_seconds_count\{cause="(\w+)"', key))}
ok({"collect", "fork", "walk", "handshake"} <= causes, "histograms by cause", causes)
ok(set(seen) == set(open_seen), "both formats have the same samples", set(seen) ^ set(open_seen))
ok(open_text.endswith("# EOF\n") and "# EOF" not in text, "OpenMetrics ends in # EOF")
families = set(re.findall(r"^# TYPE (\S+)", open_text, re.M))
ok(all(not name.endswith(("_total", "_info")) for name in families),
   "OpenMetrics' families are named without _total", families)
if program("promtool") is None:
    skip("promtool check metrics", "no promtool (apt-get install prometheus)")
else:
    ended = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                           text=True, timeout=60, check=False)
    ok(ended.returncode == 0 and not ended.stdout + ended.stderr, "promtool check metrics",
       ended.stdout + ended.stderr)
done()
