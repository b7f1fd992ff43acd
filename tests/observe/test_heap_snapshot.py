#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A heap snapshot of a known graph: the sections are in order and agree, slots have their names,
what is held from outside is told, retained sizes follow from the dominators; memlab finds the same.
"""
import json
import os
import subprocess

from client import SOURCE, node_module, path, planted, program
from tap import done, ok, remark, skip

sizes = planted("graph", "one.heapsnapshot")


class Snapshot:
    def __init__(self, name):
        self.text = open(path(name), encoding="utf-8").read()
        self.data = data = json.loads(self.text)
        meta = data["snapshot"]["meta"]
        self.fields = len(meta["node_fields"])
        self.nodes = [data["nodes"][i:i + self.fields]
                      for i in range(0, len(data["nodes"]), self.fields)]
        self.edges, at = [], 0
        for number, node in enumerate(self.nodes):
            for _ in range(node[4]):
                kind, name_or_index, to = data["edges"][at:at + 3]
                kind = meta["edge_types"][0][kind]
                label = name_or_index if kind in ("element", "hidden") else \
                    data["strings"][name_or_index]
                self.edges.append((number, label, to // self.fields))
                at += 3
        self.edges_used = at

    def name(self, number):
        return self.data["strings"][self.nodes[number][1]]

    def named(self, name):
        return [number for number in range(len(self.nodes)) if self.name(number) == name]

    def to(self, number, label):
        return [to for source, edge, to in self.edges if source == number and edge == label]

    def sources(self, number):
        return [source for source, _, to in self.edges if to == number]

    def retained(self, number):
        """Bytes not reachable from the root without passing through the node."""
        reached, todo = {0}, [0]
        out = {}
        for source, _, to in self.edges:
            out.setdefault(source, []).append(to)
        while todo:
            for to in out.get(todo.pop(), ()):
                if to not in reached and to != number:
                    reached.add(to)
                    todo.append(to)
        return sum(node[3] for at, node in enumerate(self.nodes) if at not in reached)


one = Snapshot("one.heapsnapshot")
ok(list(one.data) == ["snapshot", "nodes", "edges", "trace_function_infos", "trace_tree", "samples",
                      "locations", "strings"], "the sections in V8's order", list(one.data))
for literal in ('"snapshot":', '"nodes":[', '"edges":[', '"locations":['):
    ok(literal in one.text, f"memlab's literal {literal}")
head = one.data["snapshot"]
ok(head["node_count"] == len(one.nodes) and head["edge_count"] * 3 == len(one.data["edges"]) and
   one.edges_used == len(one.data["edges"]), "counts agree with the sections")
ok(all(to < len(one.nodes) for _, _, to in one.edges), "every edge leads to a node")
ids = [node[2] for node in one.nodes]
ok(len(set(ids)) == len(ids) and max(ids) < 2 ** 32, "ids are unique and small")

hubs = one.named("hub")
top = [hub for hub in hubs if one.to(hub, "left")][0]
below = [hub for hub in hubs if hub != top][0]
left, right = one.to(top, "left")[0], one.to(top, "right")[0]
ok(one.to(left, "below") == [below] and one.to(right, "below") == [below],
   "slots are named, atomic ones too")
ok(len(one.to(below, "many[0]")) == 1 and one.to(below, "many[2]") == one.named("leaf[]"),
   "slots of an array by index")
external, immortal = one.named("(external references)")[0], one.named("(immortal)")[0]
ok([to for source, _, to in one.edges if source == external] == [top],
   "one object is held by what is no slot")
ok([one.name(to) for source, _, to in one.edges if source == immortal] == ["leaf"],
   "and one is immortal")
ok(0 in one.sources(top) and one.named("(thread 1 main)")[0] in one.sources(top),
   "the root refers to it, and its owner among the threads")
for name, number in (("top", top), ("left", left), ("below", below)):
    ok(one.retained(number) == int(sizes[name]), f"{name} retains {sizes[name]} bytes",
       one.retained(number))

two = Snapshot("one.heapsnapshot.second")
old = {node[2]: one.name(at) for at, node in enumerate(one.nodes)}
new = [two.name(at) for at, node in enumerate(two.nodes) if node[2] not in old]
ok(new == ["leaf"], "the next snapshot has one object more, and all others' ids", new)

MEMLAB = """
const {getFullHeapFromFile} = require(process.argv[1] + '/dist/lib/HeapAnalyzer.js');
"""
memlab = node_module("@memlab/core")
if program("node") is None or memlab is None:
    skip("memlab reads it", "no node, or no @memlab/core (tools/get-clients installs it)")
else:
    script = """
const core = require(process.argv[1]);
const {HeapParser, utils} = core;
(async () => {
  const heap = await core.utils.getSnapshotFromFile(process.argv[2],
                                                    {buildNodeIdIndex: true, verbose: false});
  core.analysis.preparePathFinder(heap);
  const out = {};
  heap.nodes.forEach(node => {
    if (node.name !== 'hub' && node.name !== 'side') return;
    const path = [];
    for (let at = node; at && at.pathEdge; at = at.pathEdge.fromNode)
      path.unshift(String(at.pathEdge.name_or_index));
    out[node.id] = {name: node.name, retained: node.retainedSize,
                    dominator: node.dominatorNode && node.dominatorNode.id, path: path};
  });
  console.log(JSON.stringify(out));
})().catch(error => { console.error(error); process.exit(1); });
"""
    ended = subprocess.run(["node", "-e", script, memlab, path("one.heapsnapshot")],
                           capture_output=True, text=True, timeout=120, check=False,
                           stdin=subprocess.DEVNULL)
    try:
        seen = json.loads(ended.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        seen = None
    if ok(seen is not None, "memlab reads it", ended.stdout[-500:] + ended.stderr[-1500:]):
        def of(number):
            return seen[str(one.nodes[number][2])]

        for name, number in (("top", top), ("left", left), ("below", below)):
            ok(of(number)["retained"] == int(sizes[name]), f"memlab: {name} retains the same",
               of(number))
        ok(of(below)["dominator"] == one.nodes[top][2], "memlab: top dominates below", of(below))
        ok(of(left)["path"][-1:] == ["left"], "memlab: the path ends in the slot", of(left))

# Chrome DevTools' own loader: what it shows of the same graph.
loader = os.environ.get("NEAP_DEVTOOLS", os.path.expanduser("~/.cache/neap/devtools/loader.mjs"))


def devtools(name, *names):
    script = os.path.join(SOURCE, "tests/observe/devtools.mjs")
    ended = subprocess.run(["node", script, loader, path(name), *names], capture_output=True, text=True,
                           timeout=240, check=False, stdin=subprocess.DEVNULL)
    try:
        return json.loads(ended.stdout)
    except ValueError:
        remark(ended.stdout[-500:] + ended.stderr[-1500:])
        return None


if program("node") is None or not os.path.exists(loader):
    skip("DevTools' loader reads it", "no node, or no loader (tools/get-clients makes it)")
elif ok((seen := devtools("one.heapsnapshot", "hub", "side", "leaf[]")) is not None,
        "DevTools' loader reads it"):
    by_id = {node["id"]: node for node in seen["found"]}
    ok(seen["nodes"] == len(one.nodes) and seen["size"] == sum(node[3] for node in one.nodes),
       "DevTools: all nodes, and their size", seen)
    for name, number in (("top", top), ("left", left), ("below", below)):
        node = by_id[one.nodes[number][2]]
        ok(node["retained"] == int(sizes[name]) and node["self"] == one.nodes[number][3],
           f"DevTools: {name} retains the same, and its own size is its own", node)
    array = by_id[one.nodes[one.named("leaf[]")[0]][2]]
    ok(array["self"] == int(sizes["array"]) and array["retainers"] == [
        ["many[2]", "hub", one.nodes[below][2]]], "DevTools: an array, its size and its retainer", array)
    ok(by_id[one.nodes[top][2]]["distance"] == 1 and
       ["2", "(GC roots)"] not in by_id[one.nodes[top][2]]["retainers"] and
       "(external references)" in [name for _, name, _ in by_id[one.nodes[top][2]]["retainers"]],
       "DevTools: what is held from outside is a root, and says so", by_id[one.nodes[top][2]])
done()
