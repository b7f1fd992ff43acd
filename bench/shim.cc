/* SPDX-License-Identifier: MIT
 *
 * The C face of Google Benchmark 1.7.1 (shim.h).
 *
 * Concurrency: `main_thread` tells the thread that runs thread 0 of every case. It is attached by
 * neap_init and spends its life in a blocking region but for the time inside an attached case, so
 * that worker threads of a case may stop the world while Google Benchmark joins them. A bench_state
 * belongs to its thread. */
#include "bench/shim.h"

#include <neap/runtime.h>
#include <neap/thread.h>

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct bench_state {
    benchmark::State &google;
    bool attached;
    bool started;
    int64_t left; /* what Google Benchmark still wants, told without asking it */
};

namespace
{

thread_local bool main_thread;
std::mutex prepare_lock;
std::vector<void (*)()> ends;

/* A second thread that sleeps until the process has measured. */
class sleeper
{
    std::mutex lock;
    std::condition_variable wake;
    bool done = false;
    std::thread thread{[this] {
        std::unique_lock<std::mutex> hold(lock);
        wake.wait(hold, [this] { return done; });
    }};

  public:
    ~sleeper()
    {
        {
            std::lock_guard<std::mutex> hold(lock);
            done = true;
        }
        wake.notify_one();
        thread.join();
    }
};

/* Leaves the main thread's blocking region, or attaches a worker, for as long as a case runs. */
class attachment
{
    bool wanted;

  public:
    explicit attachment(bool wanted_) : wanted(wanted_)
    {
        if (!wanted)
            return;
        if (main_thread)
            neap_blocking_leave();
        else if (neap_thread_attach("bench") != NEAP_OK)
            std::abort();
    }
    ~attachment()
    {
        if (!wanted)
            return;
        if (main_thread)
            neap_blocking_enter();
        else
            neap_thread_detach();
    }
    attachment(const attachment &) = delete;
    attachment &operator=(const attachment &) = delete;
};

void run_case(benchmark::State &google, const bench_case &one)
{
    attachment attached(one.attached);
    bench_state state{google, one.attached, false, 0};
    if (one.prepare) {
        const char *why;
        {
            std::lock_guard<std::mutex> hold(prepare_lock);
            why = one.prepare(one.arg);
        }
        if (why)
            bench_skip(&state, why);
    }
    if (google.error_occurred())
        (void)bench_keep_running(&state, 1);
    else
        one.run(&state, one.arg);
}

} // namespace

extern "C" {

void bench_at_end(void (*end)(void))
{
    ends.push_back(end);
}

void bench_add(const struct bench_case *wanted)
{
    bench_case one = *wanted;
    auto *made = benchmark::RegisterBenchmark(
        wanted->name, [one](benchmark::State &google) { run_case(google, one); });
    if (one.threads > 1)
        made->Threads(one.threads);
    if (one.iterations > 0)
        made->Iterations(one.iterations);
    if (one.process_time)
        made->MeasureProcessCPUTime();
    made->UseRealTime();
}

bool bench_keep_running(struct bench_state *state, int64_t batch)
{
    auto count = static_cast<benchmark::IterationCount>(batch);
    if (state->started && state->left > 0) {
        state->left -= batch;
        return state->google.KeepRunningBatch(count);
    }
    if (state->attached)
        neap_blocking_enter();
    bool more = state->google.KeepRunningBatch(count);
    if (state->attached)
        neap_blocking_leave();
    if (!state->started) {
        state->started = true;
        state->left = static_cast<int64_t>(state->google.max_iterations) - batch;
    }
    return more;
}

int64_t bench_iterations(const struct bench_state *state)
{
    return static_cast<int64_t>(state->google.iterations());
}

int bench_thread(const struct bench_state *state)
{
    return state->google.thread_index();
}

int bench_threads(const struct bench_state *state)
{
    return state->google.threads();
}

void bench_pause(struct bench_state *state)
{
    state->google.PauseTiming();
}

void bench_resume(struct bench_state *state)
{
    state->google.ResumeTiming();
}

void bench_counter(struct bench_state *state, const char *name, double value,
                   enum bench_counter_kind kind)
{
    state->google.counters[name] =
        benchmark::Counter(value, kind == BENCH_MEAN ? benchmark::Counter::kAvgThreads
                                                     : benchmark::Counter::kDefaults);
}

void bench_skip(struct bench_state *state, const char *why)
{
    state->google.SkipWithError(why);
    state->left = 0;
}

int bench_main(int argc, char **argv)
{
    main_thread = true;
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    int status = neap_init(nullptr);
    if (status != NEAP_OK) {
        std::fprintf(stderr, "%s: neap_init: %s\n", argv[0], neap_strerror(status));
        return 1;
    }
    {
        sleeper second_thread;
        neap_blocking_enter();
        benchmark::RunSpecifiedBenchmarks();
        neap_blocking_leave();
        for (auto *end : ends)
            end();
    }
    benchmark::Shutdown();
    struct neap_leaks *leaks = nullptr;
    size_t alive = neap_shutdown(&leaks);
    if (alive != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    return alive != 0;
}
}
