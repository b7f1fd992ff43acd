// SPDX-License-Identifier: MIT
//
// Java's part of the collect benchmark (collect_rows.h tells what the rows model): the same nodes, graphs, rings and
// trees in a Java virtual machine with its defaults (OpenJDK 17: G1, a quarter of the machine's memory at most); rows
// named java_zgc run with -XX:+UseZGC, in a process of their own (build-java).
//
// A virtual machine compiles while it runs, so the first round of a row is not measured; and its resident memory is
// what it was content to take, not what the objects need. The program understands the options of Google Benchmark that
// bench/run-bench uses and prints the same JSON.
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

final class CollectJava {
    static final class Node {
        Node left, right;
        long value;
    }

    interface Work {
        void run();
    }

    /** What is prepared before the first round; then rounds of so many objects; `once`: one round, however long. */
    record Case(String name, long objects, boolean once, Work prepare, Work work) {
    }

    static final int CHAIN = 1000000, SHALLOW = 4;
    static Node kept;
    static volatile Node seen; // what is only made and dropped passes here, so that it is made

    // The generator of bench/measure.h, so that the graphs are the same.
    static int below(long[] seed, int limit) {
        seed[0] = seed[0] * 6364136223846793005L + 1442695040888963407L;
        return (int) ((seed[0] >>> 33) * limit >>> 31);
    }

    static Node makeGraph(int count, boolean isRandom, boolean closed) {
        int[] order = new int[count];
        long[] seed = {5};
        for (int i = 0; i < count; i++) {
            int j = isRandom ? below(seed, i + 1) : i;
            order[i] = order[j];
            order[j] = i;
        }
        Node[] nodes = new Node[count];
        for (int i = 0; i < count; i++)
            nodes[i] = new Node();
        seed[0] = 4;
        for (int i = 0; i < count; i++) {
            for (int side = 0; side < 2; side++) {
                int to = isRandom ? 2 * i + 1 + side : i + 1 + side;
                if (closed && i == count - 1 && side == 0)
                    to = 0;
                if (to >= count && !isRandom)
                    continue;
                if (to >= count || to < 0)
                    to = below(seed, count);
                if (side == 0)
                    nodes[order[i]].left = nodes[order[to]];
                else
                    nodes[order[i]].right = nodes[order[to]];
            }
        }
        return nodes[order[0]];
    }

    static void rings() {
        for (int ring = 0; ring < 1000000; ring++) {
            Node first = new Node(), last = first;
            for (int i = 1; i < 10; i++) {
                Node fresh = new Node();
                last.left = fresh;
                fresh.right = last;
                last = fresh;
            }
            last.left = first;
            first.right = last;
            seen = first;
        }
        seen = null;
    }

    static Node makeTree(int depth) {
        Node node = new Node();
        if (depth > 0) {
            node.left = makeTree(depth - 1);
            node.right = makeTree(depth - 1);
        }
        return node;
    }

    static long count(Node node) {
        return node.left == null ? 1 : 1 + count(node.left) + count(node.right);
    }

    static long treeNodes(int depth) {
        long total = (4L << depth) - 1 + (2L << depth) - 1;
        for (int d = SHALLOW; d <= depth; d += 2)
            total += (1L << (depth - d + SHALLOW)) * ((2L << d) - 1);
        return total;
    }

    static void trees(int depth) {
        long made = count(makeTree(depth + 1));
        Node longLived = makeTree(depth);
        for (int d = SHALLOW; d <= depth; d += 2)
            for (int i = 0; i < 1 << (depth - d + SHALLOW); i++)
                made += count(makeTree(d));
        made += count(longLived);
        if (made != treeNodes(depth))
            throw new IllegalStateException("the trees have the wrong number of nodes");
    }

    // GCBench, as collect_rows.h has it.
    static final int STRETCH = 18, DEEPEST = 16, KEPT = 16;

    static long treeSize(int depth) {
        return (2L << depth) - 1;
    }

    static long gcbenchTrees(int depth) {
        return 2 * treeSize(STRETCH) / treeSize(depth);
    }

    static long gcbenchNodes() {
        long total = treeSize(STRETCH) + treeSize(KEPT) + 1;
        for (int d = SHALLOW; d <= DEEPEST; d += 2)
            total += 2 * gcbenchTrees(d) * treeSize(d);
        return total;
    }

    static void grow(Node node, int depth) {
        if (depth == 0)
            return;
        node.left = new Node();
        node.right = new Node();
        grow(node.left, depth - 1);
        grow(node.right, depth - 1);
    }

    static Node growTree(int depth) {
        Node root = new Node();
        grow(root, depth);
        return root;
    }

    static void gcbench() {
        seen = makeTree(STRETCH);
        seen = null;
        Node longLived = growTree(KEPT);
        double[] numbers = new double[500000];
        java.util.Arrays.fill(numbers, 1);
        for (int d = SHALLOW; d <= DEEPEST; d += 2) {
            for (long i = gcbenchTrees(d); i > 0; i--)
                seen = growTree(d);
            for (long i = gcbenchTrees(d); i > 0; i--)
                seen = makeTree(d);
        }
        if (count(longLived) != treeSize(KEPT) || numbers[1000] != 1)
            throw new IllegalStateException("the tree that stays has lost a node");
        seen = null;
    }

    // The server under load, as load_rows.h has it.
    static final int WORKERS = 2, SESSIONS = 50000, SESSION_RING = 8, REQUEST_DEPTH = 7, MEAN_GAP_NS = 250000;
    static final long SPIN_NS = 80000;
    static String rowTold = "";

    static Node makeSession() {
        Node first = new Node(), last = first;
        for (int i = 1; i < SESSION_RING; i++) {
            Node fresh = new Node();
            last.left = fresh;
            fresh.right = last;
            last = fresh;
        }
        last.left = first;
        return first;
    }

    static void serve(int worker, long[] times, java.util.concurrent.CyclicBarrier start) {
        long[] seed = {11 + worker};
        Node[] held = new Node[SESSIONS];
        for (int i = 0; i < SESSIONS; i++)
            held[i] = makeSession();
        try {
            start.await();
        } catch (InterruptedException | java.util.concurrent.BrokenBarrierException why) {
            throw new IllegalStateException(why);
        }
        long due = System.nanoTime();
        for (int i = 0; i < times.length; i++) {
            seed[0] = seed[0] * 6364136223846793005L + 1442695040888963407L;
            due += (long) (-Math.log(((seed[0] >>> 33) + 1.0) / 2147483648.0) * MEAN_GAP_NS);
            long left = due - System.nanoTime();
            if (left > SPIN_NS)
                java.util.concurrent.locks.LockSupport.parkNanos(left - SPIN_NS);
            while (System.nanoTime() < due)
                Thread.onSpinWait();
            if (count(makeTree(REQUEST_DEPTH)) != treeSize(REQUEST_DEPTH))
                throw new IllegalStateException("the tree has lost a node");
            held[below(seed, SESSIONS)] = makeSession();
            times[i] = System.nanoTime() - due;
        }
    }

    static void load(int requests) {
        long[][] of = new long[WORKERS][requests];
        Thread[] threads = new Thread[WORKERS];
        long[] processor = {0};
        var start = new java.util.concurrent.CyclicBarrier(WORKERS, () -> processor[0] = processorNs());
        for (int w = 0; w < WORKERS; w++) {
            int worker = w;
            threads[w] = new Thread(() -> serve(worker, of[worker], start));
            threads[w].start();
        }
        try {
            for (Thread thread : threads)
                thread.join();
        } catch (InterruptedException why) {
            throw new IllegalStateException(why);
        }
        double cpu = processorNs() - processor[0];
        long[] times = java.util.Arrays.stream(of).flatMapToLong(java.util.Arrays::stream).sorted().toArray();
        double all = times.length;
        rowTold = String.format(Locale.ROOT,
            ", \"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f, "
            + "\"late_1ms\": %.3f, \"late_10ms\": %.3f, \"cpu_us\": %.3f",
            times[(int) (0.5 * all)] / 1e3, times[(int) (0.9 * all)] / 1e3, times[(int) (0.99 * all)] / 1e3,
            times[(int) (0.999 * all)] / 1e3, times[times.length - 1] / 1e3,
            java.util.Arrays.stream(times).filter(t -> t > 1000000).count() * 1000 / all,
            java.util.Arrays.stream(times).filter(t -> t > 10000000).count() * 1000 / all, cpu / 1e3 / all);
    }

    // Long-lived garbage beside a graph, and requests, as pause_rows.h has them.
    static final int OLD_RING = 10, KEPT_RINGS = 50000, RINGS_AT_ONCE = 100, PAUSE_OBJECTS = 10000000;
    static final int REQUEST_RING = 8, REQUEST_OBJECTS = 20000000;

    static Node makeHeldRing(int nodes) {
        Node first = new Node(), last = first;
        for (int i = 1; i < nodes; i++) {
            Node fresh = new Node();
            last.left = fresh;
            fresh.right = last;
            last = fresh;
        }
        last.left = first;
        return first;
    }

    /** The safepoints that -Xlog:safepoint has written, without how long it took to reach them; in nanoseconds. */
    static long[] stops() {
        String log = System.getProperty("safepoints");
        Pattern line = Pattern.compile("At safepoint: +([0-9]+) ns");
        try {
            return Files.readAllLines(Paths.get(log)).stream().map(line::matcher).filter(m -> m.find())
                .mapToLong(m -> Long.parseLong(m.group(1))).toArray();
        } catch (java.io.IOException | NullPointerException why) {
            return new long[0];
        }
    }

    static String toldStops() {
        long[] stops = java.util.Arrays.stream(stops()).sorted().toArray();
        if (stops.length == 0)
            return "";
        return String.format(Locale.ROOT,
            ", \"stop_p50_us\": %.3f, \"stop_p99_us\": %.3f, \"stop_max_us\": %.3f, \"stops\": %d",
            stops[stops.length / 2] / 1e3, stops[(int) (0.99 * stops.length)] / 1e3,
            stops[stops.length - 1] / 1e3, stops.length);
    }

    static void pauses() {
        long[][] of = new long[2][PAUSE_OBJECTS / OLD_RING / RINGS_AT_ONCE];
        var next = new java.util.concurrent.atomic.AtomicInteger();
        twice(() -> {
            long[] times = of[next.getAndIncrement()];
            Node[] rings = new Node[KEPT_RINGS];
            int made = 0;
            for (int chunk = 0; chunk < times.length; chunk++) {
                long before = System.nanoTime();
                for (int i = 0; i < RINGS_AT_ONCE; i++)
                    rings[made++ % KEPT_RINGS] = makeHeldRing(OLD_RING);
                times[chunk] = System.nanoTime() - before;
            }
        });
        long[] times = java.util.Arrays.stream(of).flatMapToLong(java.util.Arrays::stream).sorted().toArray();
        rowTold = String.format(Locale.ROOT, ", \"p999_us\": %.3f, \"longest_us\": %.3f",
            times[(int) (0.999 * times.length)] / 1e3, times[times.length - 1] / 1e3) + toldStops();
    }

    static void requests() {
        for (int made = 0; made < REQUEST_OBJECTS; made += REQUEST_RING) {
            Node first = makeHeldRing(REQUEST_RING), at = first.left;
            while (at != first)
                at = at.left;
            seen = first;
        }
        seen = null;
    }

    static void chain() {
        for (int i = 0; i < CHAIN; i++) {
            Node fresh = new Node();
            fresh.left = kept;
            kept = fresh;
        }
    }

    /** Two threads, each of which does the whole of it; time is what each sees. */
    static void twice(Work work) {
        Thread other = new Thread(work::run);
        other.start();
        work.run();
        try {
            other.join();
        } catch (InterruptedException why) {
            throw new IllegalStateException(why);
        }
    }

    static double memory(String field) {
        try {
            for (String line : Files.readAllLines(Paths.get("/proc/self/status")))
                if (line.startsWith(field))
                    return Double.parseDouble(line.replaceAll("[^0-9]", ""));
        } catch (java.io.IOException why) {
            return 0;
        }
        return 0;
    }

    static long processorNs() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime();
    }

    static long collections() {
        long sum = 0;
        for (GarbageCollectorMXBean collector : ManagementFactory.getGarbageCollectorMXBeans())
            sum += collector.getCollectionCount();
        return sum;
    }

    static String measure(Case one, double leastNs, double residentAtStart) {
        one.prepare.run();
        if (!one.name.contains("bytes"))
            one.work.run();
        kept = one.name.contains("bytes") ? null : kept;
        if (one.name.contains("garbage"))
            one.prepare.run();
        for (long rounds = 1;; rounds *= 2) {
            double resident = memory("VmRSS:");
            long collected = collections(), processor = processorNs(), began = System.nanoTime();
            for (long i = 0; i < rounds; i++)
                one.work.run();
            double spent = System.nanoTime() - began;
            if (!one.once && spent < leastNs && rounds < 1 << 20)
                continue;
            double objects = (double) one.objects * rounds;
            String told = String.format(Locale.ROOT,
                "{\"name\": \"%s\", \"run_type\": \"iteration\", \"time_unit\": \"ns\", "
                + "\"iterations\": %.0f, \"threads\": 1, \"real_time\": %.4f, "
                + "\"cpu_time\": %.4f, \"peak_rss_kib\": %.0f, \"collections\": %d",
                one.name, objects, spent / objects, (processorNs() - processor) / objects,
                memory("VmHWM:") - residentAtStart, collections() - collected);
            if (one.name.contains("bytes"))
                told += String.format(Locale.ROOT, ", \"rss_bytes\": %.2f",
                    (memory("VmRSS:") - resident) * 1024 / CHAIN);
            return told + rowTold + "}";
        }
    }

    public static void main(String[] arguments) {
        double residentAtStart = memory("VmRSS:"), least = 0.1;
        String filter = ".";
        boolean list = false;
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            switch (parts[0]) {
                case "--benchmark_filter" -> filter = parts[1];
                case "--benchmark_min_time" -> least = Double.parseDouble(parts[1].replace("s", ""));
                case "--benchmark_list_tests" -> list = true;
                default -> { }
            }
        }
        Work nothing = () -> { }, collect = System::gc;
        List<Case> cases = new ArrayList<>();
        for (int millions : new int[] {1, 10}) {
            int count = millions * 1000000;
            cases.add(new Case("collect/random_" + millions + "m/java", count, false,
                               () -> kept = makeGraph(count, true, false), collect));
            cases.add(new Case("collect/sequential_" + millions + "m/java", count, false,
                               () -> kept = makeGraph(count, false, false), collect));
        }
        for (boolean isRandom : new boolean[] {true, false})
            cases.add(new Case("collect/garbage_" + (isRandom ? "random" : "sequential") + "_1m/java", 1000000, true,
                               () -> {
                                   kept = makeGraph(1000000, isRandom, true);
                                   kept = null;
                               }, collect));
        cases.add(new Case("collect/rings/java", 10000000, true, nothing, CollectJava::rings));
        cases.add(new Case("collect/rings_2/java", 10000000, true, nothing,
                           () -> twice(CollectJava::rings)));
        for (int depth : new int[] {14, 18}) {
            cases.add(new Case("collect/trees_" + depth + "/java", treeNodes(depth), true, nothing,
                               () -> trees(depth)));
            cases.add(new Case("collect/trees_" + depth + "_2/java", treeNodes(depth), true, nothing,
                               () -> twice(() -> trees(depth))));
        }
        cases.add(new Case("collect/gcbench/java", gcbenchNodes(), true, nothing, CollectJava::gcbench));
        cases.add(new Case("load/server_1s/java", 4000, true, nothing, () -> load(4000)));
        cases.add(new Case("load/server_5s/java", 20000, true, nothing, () -> load(20000)));
        for (String peer : new String[] {"java", "java_zgc"}) {
            for (int millions : new int[] {1, 10})
                cases.add(new Case("pauses/graph_" + millions + "m/" + peer, PAUSE_OBJECTS, true,
                                   () -> kept = makeGraph(millions * 1000000, true, false), CollectJava::pauses));
            cases.add(new Case("pauses/requests/" + peer, REQUEST_OBJECTS, true, nothing, CollectJava::requests));
            cases.add(new Case("pauses/requests_2/" + peer, REQUEST_OBJECTS, true, nothing,
                               () -> twice(CollectJava::requests)));
        }
        cases.add(new Case("collect/bytes_1m/java", CHAIN, true, nothing, CollectJava::chain));
        Pattern wanted = Pattern.compile(filter);
        List<String> results = new ArrayList<>();
        for (Case one : cases) {
            if (!wanted.matcher(one.name).find())
                continue;
            if (list)
                System.out.println(one.name);
            else
                results.add(measure(one, least * 1e9, residentAtStart));
        }
        if (!list)
            System.out.println("{\"benchmarks\": [" + String.join(",\n", results) + "]}");
    }
}
