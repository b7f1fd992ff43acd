# SPDX-License-Identifier: MIT
#
# Nim's part of the collect benchmark (collect_rows.h tells what the rows model): the same nodes,
# graphs, rings and trees as `ref object`s under ORC, Nim's counts with a collector of cycles, in a
# release build with its defaults.
#
# ORC looks only at what was let go of since the last collection, so the rows of live graphs let go
# of one of two references to the root before each collection: then it follows the whole graph.
# Leaves out: rows with two threads, since Nim's objects stay with their thread; deaths of a chain,
# which are recursive here and would not fit the stack.
#
# The program understands the options of Google Benchmark that bench/run-bench uses and prints the
# same JSON.
import std/[monotimes, os, strformat, strutils, times]

type
  Node = ref object
    left, right: Node
    value: int64
  Work = proc (told: var string)
  Case = object
    name: string
    objects: int64
    fixed: bool # one round, however long it takes
    prepare, work: Work

const
  shallow = 4
  deepest = 16
  stretch = 18
  keptDepth = 16
  chainNodes = 1_000_000

var kept, seen: Node # what is only made and dropped passes `seen`, so that it is made

# The generator of bench/measure.h, so that the graphs are the same.
proc below(seed: var uint64, limit: int): int =
  seed = seed * 6364136223846793005'u64 + 1442695040888963407'u64
  int((seed shr 33) * uint64(limit) shr 31)

proc makeGraph(count: int, isRandom: bool, closed = false): Node =
  var
    order = newSeq[int](count)
    nodes = newSeq[Node](count)
    seed = 5'u64
  for i in 0 ..< count:
    let j = if isRandom: below(seed, i + 1) else: i
    order[i] = order[j]
    order[j] = i
    nodes[i] = Node()
  seed = 4
  for i in 0 ..< count:
    for side in 0 .. 1:
      var to = if isRandom: 2 * i + 1 + side else: i + 1 + side
      if closed and i == count - 1 and side == 0:
        to = 0
      if to >= count:
        if not isRandom:
          continue
        to = below(seed, count)
      if side == 0:
        nodes[order[i]].left = nodes[order[to]]
      else:
        nodes[order[i]].right = nodes[order[to]]
  nodes[order[0]]

proc collect(told: var string) =
  var second = kept
  second = nil
  GC_fullCollect()

proc drop(told: var string) =
  kept = nil
  GC_fullCollect()

proc makeRing() =
  let first = Node()
  var last = first
  for _ in 1 ..< 10:
    let fresh = Node()
    last.left = fresh
    fresh.right = last
    last = fresh
  last.left = first
  first.right = last

proc rings(told: var string) =
  var longest = 0'i64
  for _ in 0 ..< 10_000:
    let before = getMonoTime()
    for _ in 0 ..< 100:
      makeRing()
    longest = max(longest, inNanoseconds(getMonoTime() - before))
  told.add &", \"longest_us\": {float(longest) / 1000:.3f}"

proc makeTree(depth: int): Node =
  if depth == 0: Node()
  else: Node(left: makeTree(depth - 1), right: makeTree(depth - 1))

proc count(node: Node): int64 =
  if node.left == nil: 1'i64 else: 1 + count(node.left) + count(node.right)

proc treeNodes(depth: int): int64 =
  result = (4'i64 shl depth) - 1 + (2'i64 shl depth) - 1
  for d in countup(shallow, depth, 2):
    result += (1'i64 shl (depth - d + shallow)) * ((2'i64 shl d) - 1)

proc trees(depth: int): Work =
  result = proc (told: var string) =
    var made = count(makeTree(depth + 1))
    let longLived = makeTree(depth)
    for d in countup(shallow, depth, 2):
      for _ in 0 ..< 1 shl (depth - d + shallow):
        made += count(makeTree(d))
    made += count(longLived)
    doAssert made == treeNodes(depth)

proc treeSize(depth: int): int64 = (2'i64 shl depth) - 1
proc gcbenchTrees(depth: int): int64 = 2 * treeSize(stretch) div treeSize(depth)
proc gcbenchNodes(): int64 =
  result = treeSize(stretch) + treeSize(keptDepth) + 1
  for d in countup(shallow, deepest, 2):
    result += 2 * gcbenchTrees(d) * treeSize(d)

proc grow(node: Node, depth: int) =
  if depth > 0:
    node.left = Node()
    node.right = Node()
    grow(node.left, depth - 1)
    grow(node.right, depth - 1)

proc growTree(depth: int): Node =
  result = Node()
  grow(result, depth)

proc gcbench(told: var string) =
  seen = makeTree(stretch)
  seen = nil
  let longLived = growTree(keptDepth)
  var numbers = newSeq[float](500_000)
  numbers[1000] = 1
  for d in countup(shallow, deepest, 2):
    for _ in 0 ..< gcbenchTrees(d):
      seen = growTree(d)
    for _ in 0 ..< gcbenchTrees(d):
      seen = makeTree(d)
  seen = nil
  doAssert count(longLived) == treeSize(keptDepth) and numbers[1000] == 1

proc memory(field: string): float = # KiB
  for line in lines("/proc/self/status"):
    if line.startsWith(field):
      return parseFloat(line.splitWhitespace()[1])

proc chain(told: var string) =
  let before = memory("VmRSS:")
  for _ in 0 ..< chainNodes:
    kept = Node(left: kept)
  told.add &", \"rss_bytes\": {(memory(\"VmRSS:\") - before) * 1024 / float(chainNodes):.2f}"

# Doubles the rounds until they take the time wanted, as Google Benchmark does.
proc measure(one: Case, leastNs: float, residentAtStart: float): string =
  var nothing: string
  if one.prepare != nil:
    one.prepare(nothing)
    one.work(nothing) # what the building left is gone
    if "garbage" in one.name:
      one.prepare(nothing)
  var rounds = 1
  while true:
    var told = ""
    let processor = cpuTime()
    let began = getMonoTime()
    for _ in 0 ..< rounds:
      one.work(told)
    let spent = float(inNanoseconds(getMonoTime() - began))
    if one.fixed or spent >= leastNs or rounds >= 1 shl 20:
      let objects = float(one.objects) * float(rounds)
      let cpu = (cpuTime() - processor) * 1e9 / objects
      return &"{{\"name\": \"{one.name}\", \"run_type\": \"iteration\", \"time_unit\": \"ns\", " &
        &"\"iterations\": {int(objects)}, \"threads\": 1, \"real_time\": {spent / objects:.4f}, " &
        &"\"cpu_time\": {cpu:.4f}, " &
        &"\"peak_rss_kib\": {int(memory(\"VmHWM:\") - residentAtStart)}{told}}}"
    rounds *= 2

proc graph(name: string, count: int, isRandom: bool): Case =
  Case(name: name, objects: count, work: collect,
       prepare: proc (told: var string) = kept = makeGraph(count, isRandom))

proc garbage(name: string, count: int, isRandom: bool): Case =
  Case(name: name, objects: count, fixed: true, work: drop,
       prepare: proc (told: var string) = kept = makeGraph(count, isRandom, closed = true))

proc main() =
  let residentAtStart = memory("VmRSS:")
  let cases = [
    graph("collect/random_1m/nim", 1_000_000, true),
    graph("collect/sequential_1m/nim", 1_000_000, false),
    graph("collect/random_10m/nim", 10_000_000, true),
    graph("collect/sequential_10m/nim", 10_000_000, false),
    garbage("collect/garbage_random_1m/nim", 1_000_000, true),
    garbage("collect/garbage_sequential_1m/nim", 1_000_000, false),
    Case(name: "collect/rings/nim", objects: 10_000_000, fixed: true, work: rings),
    Case(name: "collect/trees_14/nim", objects: treeNodes(14), fixed: true, work: trees(14)),
    Case(name: "collect/trees_18/nim", objects: treeNodes(18), fixed: true, work: trees(18)),
    Case(name: "collect/gcbench/nim", objects: gcbenchNodes(), fixed: true, work: gcbench),
    Case(name: "collect/bytes_1m/nim", objects: chainNodes, fixed: true, work: chain),
  ]
  var
    filter: seq[string] # run-bench asks for ^(name|name)$
    least = 0.1
    list, chosen = false
  for argument in commandLineParams():
    let parts = argument.split('=', 1)
    case parts[0]
    of "--benchmark_filter":
      chosen = true
      filter = parts[1].strip(chars = {'^', '(', ')', '$'}).split('|')
    of "--benchmark_min_time": least = parseFloat(parts[1].strip(leading = false, chars = {'s'}))
    of "--benchmark_list_tests": list = true
    else: discard
  var results: seq[string]
  for one in cases:
    if chosen and one.name notin filter:
      continue
    if list: echo one.name
    else: results.add measure(one, least * 1e9, residentAtStart)
  if not list:
    echo "{\"benchmarks\": [", results.join(",\n"), "]}"

main()
quit(QuitSuccess) # what is kept is left to the kernel
