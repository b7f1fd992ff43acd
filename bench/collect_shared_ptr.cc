// SPDX-License-Identifier: MIT
//
// std::shared_ptr's part of the collect benchmark (collect_rows.h): memory per node, the count in
// the node's own block (make_shared). It has no collector: rings of it leak.
#include <cstdint>
#include <memory>
#include <utility>

#include "bench/measure.h"
#include "bench/shim.h"

namespace
{

struct node {
    std::shared_ptr<node> sides[2];
    std::int64_t value = 0;
};

constexpr int chain_nodes = 1000000;

void run_bytes(struct bench_state *state, const void *)
{
    std::uint64_t before = bench_resident_kib();
    std::shared_ptr<node> chain;
    while (bench_keep_running(state, chain_nodes))
        for (int i = 0; i < chain_nodes; i++) {
            auto fresh = std::make_shared<node>();
            fresh->sides[0] = std::move(chain);
            chain = std::move(fresh);
        }
    double bytes = static_cast<double>(bench_resident_kib() - before) * 1024;
    bench_counter(state, "rss_bytes", bytes / chain_nodes, BENCH_SUM);
    while (chain) /* one by one: its own way down is recursive */
        chain = std::exchange(chain->sides[0], nullptr);
}

} // namespace

int main(int argc, char **argv)
{
    struct bench_case one = {};
    one.name = "collect/bytes_1m/shared_ptr";
    one.run = run_bytes;
    one.iterations = chain_nodes;
    bench_add(&one);
    return bench_main(argc, argv);
}
