// SPDX-License-Identifier: MIT
//
// Go's part of the collect benchmark (collect_rows.h tells what the rows model): the same nodes, graphs, rings and
// trees under Go's concurrent collector with its defaults (GOGC=100, a worker for a quarter of the processors).
//
// The program understands the options of Google Benchmark that bench/run-bench uses and prints the same JSON, so that
// the driver sees one more program.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type node struct {
	sides [2]*node
	value int64
}

type result map[string]interface{}

// A case runs its work `rounds` times and says how many objects a round is about.
type benchCase struct {
	name    string
	objects int64
	fixed   bool // one round, however long it takes
	run     func(rounds int, told result) time.Duration
}

var kept *node // keeps a graph alive

// The generator of bench/measure.h, so that the graphs are the same.
type random uint64

func (r *random) below(limit uint32) uint32 {
	*r = *r*6364136223846793005 + 1442695040888963407
	return uint32(uint64(*r>>33) * uint64(limit) >> 31)
}

func makeGraph(count int, isRandom, closed bool) *node {
	order := make([]uint32, count)
	seed := random(5)
	for i := range order {
		if isRandom {
			j := seed.below(uint32(i) + 1)
			order[i] = order[j]
			order[j] = uint32(i)
		} else {
			order[i] = uint32(i)
		}
	}
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = new(node)
	}
	seed = 4
	for i := 0; i < count; i++ {
		for side := 0; side < 2; side++ {
			to := i + 1 + side
			if closed && i == count-1 && side == 0 {
				to = 0
			} else if isRandom {
				to = 2*i + 1 + side
				if to >= count {
					to = int(seed.below(uint32(count)))
				}
			} else if to >= count {
				continue
			}
			nodes[order[i]].sides[side] = nodes[order[to]]
		}
	}
	return nodes[order[0]]
}

func longestPause() time.Duration {
	stats := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&stats)
	return stats.PauseQuantiles[4]
}

func collection(count int, isRandom bool) func(int, result) time.Duration {
	return func(rounds int, told result) time.Duration {
		kept = makeGraph(count, isRandom, false)
		runtime.GC()
		began := time.Now()
		for i := 0; i < rounds; i++ {
			runtime.GC()
		}
		spent := time.Since(began)
		told["stopped_us"] = float64(longestPause()) / 1e3
		kept = nil
		return spent
	}
}

func garbage(count int, isRandom bool) func(int, result) time.Duration {
	return func(_ int, told result) time.Duration {
		kept = makeGraph(count, isRandom, true)
		kept = nil
		began := time.Now()
		runtime.GC()
		return time.Since(began)
	}
}

func makeRing() {
	first := new(node)
	last := first
	for i := 1; i < 10; i++ {
		fresh := new(node)
		last.sides[0], fresh.sides[1] = fresh, last
		last = fresh
	}
	last.sides[0], first.sides[1] = first, last
}

func rings(_ int, told result) time.Duration {
	var longest time.Duration
	began := time.Now()
	for chunk := 0; chunk < 10000; chunk++ {
		before := time.Now()
		for i := 0; i < 100; i++ {
			makeRing()
		}
		if spent := time.Since(before); spent > longest {
			longest = spent
		}
	}
	told["longest_us"] = float64(longest) / 1e3
	return time.Since(began)
}

func makeTree(depth int) *node {
	if depth == 0 {
		return new(node)
	}
	return &node{sides: [2]*node{makeTree(depth - 1), makeTree(depth - 1)}}
}

func (n *node) count() int64 {
	if n.sides[0] == nil {
		return 1
	}
	return 1 + n.sides[0].count() + n.sides[1].count()
}

const shallow = 4

func treeNodes(depth int) int64 {
	total := int64(4)<<depth - 1 + int64(2)<<depth - 1
	for d := shallow; d <= depth; d += 2 {
		total += int64(1) << (depth - d + shallow) * (int64(2)<<d - 1)
	}
	return total
}

func trees(depth int) func(int, result) time.Duration {
	return func(_ int, told result) time.Duration {
		began := time.Now()
		made := makeTree(depth + 1).count()
		longLived := makeTree(depth)
		for d := shallow; d <= depth; d += 2 {
			for i := 0; i < 1<<(depth-d+shallow); i++ {
				made += makeTree(d).count()
			}
		}
		made += longLived.count()
		if made != treeNodes(depth) {
			panic("the trees have the wrong number of nodes")
		}
		return time.Since(began)
	}
}

// GCBench, as collect_rows.h has it.
const (
	stretch   = 18
	deepest   = 16
	keptDepth = 16
)

func treeSize(depth int) int64 {
	return int64(2)<<depth - 1
}

func gcbenchTrees(depth int) int64 {
	return 2 * treeSize(stretch) / treeSize(depth)
}

func gcbenchNodes() int64 {
	total := treeSize(stretch) + treeSize(keptDepth) + 1
	for d := shallow; d <= deepest; d += 2 {
		total += 2 * gcbenchTrees(d) * treeSize(d)
	}
	return total
}

func (n *node) grow(depth int) {
	if depth == 0 {
		return
	}
	n.sides[0], n.sides[1] = new(node), new(node)
	n.sides[0].grow(depth - 1)
	n.sides[1].grow(depth - 1)
}

func growTree(depth int) *node {
	root := new(node)
	root.grow(depth)
	return root
}

func gcbench(_ int, told result) time.Duration {
	began := time.Now()
	kept = makeTree(stretch)
	kept = growTree(keptDepth)
	numbers := make([]float64, 500000)
	for i := range numbers {
		numbers[i] = 1
	}
	var seen *node // what is made and dropped passes here, so that it is made
	for d := shallow; d <= deepest; d += 2 {
		for i := gcbenchTrees(d); i > 0; i-- {
			seen = growTree(d)
		}
		for i := gcbenchTrees(d); i > 0; i-- {
			seen = makeTree(d)
		}
	}
	if kept.count() != treeSize(keptDepth) || numbers[1000] != 1 || seen == nil {
		panic("the tree that stays has lost a node")
	}
	kept = nil
	spent := time.Since(began)
	told["stopped_us"] = float64(longestPause()) / 1e3
	return spent
}

// Two goroutines, each of which does the whole of it; time is what each sees.
func twice(work func(int, result) time.Duration) func(int, result) time.Duration {
	return func(rounds int, told result) time.Duration {
		began := time.Now()
		done := make(chan bool)
		for i := 0; i < 2; i++ {
			go func() {
				work(rounds, result{})
				done <- true
			}()
		}
		<-done
		<-done
		return time.Since(began)
	}
}

// The server under load, as load_rows.h has it.
const (
	workers      = 2
	sessions     = 50000
	sessionRing  = 8
	requestDepth = 7
	meanGap      = 250 * time.Microsecond
	spin         = 80 * time.Microsecond
)

func makeSession() *node {
	first := new(node)
	last := first
	for i := 1; i < sessionRing; i++ {
		fresh := new(node)
		last.sides[0], fresh.sides[1] = fresh, last
		last = fresh
	}
	last.sides[0] = first
	return first
}

func serve(worker, requests int, start *sync.WaitGroup) []time.Duration {
	seed := random(11 + worker)
	held := make([]*node, sessions)
	for i := range held {
		held[i] = makeSession()
	}
	times := make([]time.Duration, 0, requests)
	start.Done()
	start.Wait()
	due := time.Now()
	for len(times) < requests {
		seed = seed*6364136223846793005 + 1442695040888963407
		share := (float64(seed>>33) + 1) / 2147483648
		due = due.Add(time.Duration(-math.Log(share) * float64(meanGap)))
		if left := time.Until(due); left > spin {
			// time.Sleep is a millisecond late, which is no question of memory.
			pause := syscall.NsecToTimespec(int64(left - spin))
			syscall.Nanosleep(&pause, nil)
		}
		for time.Now().Before(due) {
		}
		if makeTree(requestDepth).count() != treeSize(requestDepth) {
			panic("the tree has lost a node")
		}
		held[seed.below(sessions)] = makeSession()
		times = append(times, time.Since(due))
	}
	return times
}

func load(requests int) func(int, result) time.Duration {
	return func(_ int, told result) time.Duration {
		var start sync.WaitGroup
		start.Add(workers + 1)
		done := make(chan []time.Duration)
		for worker := 0; worker < workers; worker++ {
			go func(worker int) { done <- serve(worker, requests, &start) }(worker)
		}
		start.Done()
		start.Wait()
		processor, began := processorTime(), time.Now()
		times := append(<-done, <-done...)
		spent := time.Since(began)
		sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
		for name, share := range map[string]float64{"p50_us": 0.5, "p90_us": 0.9, "p99_us": 0.99, "p999_us": 0.999} {
			told[name] = float64(times[int(share*float64(len(times)))]) / 1e3
		}
		late := func(limit time.Duration) float64 {
			beyond := len(times) - sort.Search(len(times), func(i int) bool { return times[i] > limit })
			return float64(beyond) * 1000 / float64(len(times))
		}
		told["max_us"] = float64(times[len(times)-1]) / 1e3
		told["late_1ms"], told["late_10ms"] = late(time.Millisecond), late(10*time.Millisecond)
		told["cpu_us"] = float64(processorTime()-processor) / 1e3 / float64(len(times))
		told["stopped_us"] = float64(longestPause()) / 1e3
		return spent
	}
}

// Long-lived garbage beside a graph, and requests, as pause_rows.h has them.
const (
	oldRing        = 10
	keptRings      = 50000
	ringsAtOnce    = 100
	pauseObjects   = 10000000
	requestRing    = 8
	requestObjects = 20000000
)

func makeHeldRing(nodes int) *node {
	first := new(node)
	last := first
	for i := 1; i < nodes; i++ {
		fresh := new(node)
		last.sides[0], fresh.sides[1] = fresh, last
		last = fresh
	}
	last.sides[0] = first
	return first
}

// The world stopped, as the runtime's histogram has it: the upper end of a bucket, in microseconds.
func tellStops(told result) {
	sample := []metrics.Sample{{Name: "/gc/pauses:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return
	}
	histogram := sample[0].Value.Float64Histogram()
	var total, seen uint64
	for _, count := range histogram.Counts {
		total += count
	}
	told["stops"] = float64(total)
	for i, count := range histogram.Counts {
		before := seen
		seen += count
		end := histogram.Buckets[i+1] * 1e6
		if math.IsInf(end, 1) {
			end = histogram.Buckets[i] * 1e6
		}
		for name, share := range map[string]float64{"stop_p50_us": 0.5, "stop_p99_us": 0.99} {
			limit := uint64(math.Ceil(share * float64(total)))
			if before < limit && seen >= limit {
				told[name] = end
			}
		}
		if count > 0 {
			told["stop_max_us"] = end
		}
	}
}

// Each of two goroutines does its work; chunks are what one of them took for rings at once.
func pauses(graphNodes int) func(int, result) time.Duration {
	return func(_ int, told result) time.Duration {
		kept = makeGraph(graphNodes, true, false)
		done := make(chan []time.Duration)
		began := time.Now()
		for worker := 0; worker < 2; worker++ {
			go func() {
				rings := make([]*node, keptRings)
				made, chunks := 0, make([]time.Duration, 0, pauseObjects/oldRing/ringsAtOnce)
				for len(chunks) < cap(chunks) {
					before := time.Now()
					for i := 0; i < ringsAtOnce; i++ {
						rings[made%keptRings] = makeHeldRing(oldRing)
						made++
					}
					chunks = append(chunks, time.Since(before))
				}
				done <- chunks
			}()
		}
		times := append(<-done, <-done...)
		spent := time.Since(began)
		sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
		told["p999_us"] = float64(times[int(0.999*float64(len(times)))]) / 1e3
		told["longest_us"] = float64(times[len(times)-1]) / 1e3
		tellStops(told)
		kept = nil
		return spent
	}
}

func requests(_ int, told result) time.Duration {
	began := time.Now()
	for made := 0; made < requestObjects; made += requestRing {
		first := makeHeldRing(requestRing)
		at := first.sides[0]
		for at != first {
			at = at.sides[0]
		}
	}
	spent := time.Since(began)
	tellStops(told)
	return spent
}

const chain = 1000000

func bytesPerNode(_ int, told result) time.Duration {
	before, began := memory("VmRSS:"), time.Now()
	for i := 0; i < chain; i++ {
		kept = &node{sides: [2]*node{kept}}
	}
	spent := time.Since(began)
	told["rss_bytes"] = (memory("VmRSS:") - before) * 1024 / chain
	kept = nil
	return spent
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// KiB, from /proc/self/status.
func memory(field string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, field) {
			value, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return value
		}
	}
	return 0
}

// Doubles the rounds until they take the time wanted, as Google Benchmark does.
func measure(one benchCase, least time.Duration, residentAtStart float64) result {
	for rounds := 1; ; rounds *= 2 {
		told := result{}
		cpuBefore := processorTime()
		spent := one.run(rounds, told)
		if !one.fixed && spent < least && rounds < 1<<20 {
			continue
		}
		objects := float64(one.objects) * float64(rounds)
		told["name"] = one.name
		told["run_type"] = "iteration"
		told["time_unit"] = "ns"
		told["iterations"] = int64(objects)
		told["threads"] = 1
		told["real_time"] = float64(spent) / objects
		told["cpu_time"] = float64(processorTime()-cpuBefore) / objects
		told["peak_rss_kib"] = memory("VmHWM:") - residentAtStart
		return told
	}
}

func main() {
	residentAtStart := memory("VmRSS:")
	cases := []benchCase{
		{"collect/random_1m/go", 1000000, false, collection(1000000, true)},
		{"collect/sequential_1m/go", 1000000, false, collection(1000000, false)},
		{"collect/random_10m/go", 10000000, false, collection(10000000, true)},
		{"collect/sequential_10m/go", 10000000, false, collection(10000000, false)},
		{"collect/garbage_random_1m/go", 1000000, true, garbage(1000000, true)},
		{"collect/garbage_sequential_1m/go", 1000000, true, garbage(1000000, false)},
		{"collect/rings/go", 10000000, true, rings},
		{"collect/trees_14/go", treeNodes(14), true, trees(14)},
		{"collect/trees_18/go", treeNodes(18), true, trees(18)},
		{"collect/rings_2/go", 10000000, true, twice(rings)},
		{"collect/trees_14_2/go", treeNodes(14), true, twice(trees(14))},
		{"collect/trees_18_2/go", treeNodes(18), true, twice(trees(18))},
		{"load/server_1s/go", 4000, true, load(4000)},
		{"load/server_5s/go", 20000, true, load(20000)},
		{"collect/gcbench/go", gcbenchNodes(), true, gcbench},
		{"pauses/graph_1m/go", pauseObjects, true, pauses(1000000)},
		{"pauses/graph_10m/go", pauseObjects, true, pauses(10000000)},
		{"pauses/requests/go", requestObjects, true, requests},
		{"pauses/requests_2/go", requestObjects, true, twice(requests)},
		{"collect/bytes_1m/go", chain, true, bytesPerNode},
	}
	filter, least, list := ".", 0.1, false
	for _, argument := range os.Args[1:] {
		parts := strings.SplitN(argument, "=", 2)
		switch parts[0] {
		case "--benchmark_filter":
			filter = strings.ReplaceAll(parts[1], `\-`, "-")
		case "--benchmark_min_time":
			least, _ = strconv.ParseFloat(parts[1], 64)
		case "--benchmark_list_tests":
			list = true
		}
	}
	wanted := regexp.MustCompile(filter)
	results := []result{}
	for _, one := range cases {
		if !wanted.MatchString(one.name) {
			continue
		}
		if list {
			fmt.Println(one.name)
			continue
		}
		results = append(results, measure(one, time.Duration(least*1e9), residentAtStart))
	}
	if !list {
		if err := json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"benchmarks": results}); err != nil {
			panic(err)
		}
	}
}
