/* SPDX-License-Identifier: MIT
 *
 * std::weak_ptr's part of the weak benchmark (weak.c). */
#include <cstdint>
#include <memory>

#include "bench/shim.h"
#include "bench/weak_ptr.h"

namespace
{

struct watched {
    int64_t payload[3];
};

std::shared_ptr<watched> shared_object; /* thread 0's, made before the start barrier */
std::weak_ptr<watched> shared_weak;

void run_upgrade(bench_state *state, const void *)
{
    constexpr int batch = 1024;
    if (bench_thread(state) == 0) {
        shared_object = std::make_shared<watched>();
        shared_weak = shared_object;
    }
    while (bench_keep_running(state, batch)) {
        for (int i = 0; i < batch; i++) {
            std::shared_ptr<watched> found = shared_weak.lock();
            bench_use(&found);
        }
    }
    if (bench_thread(state) == 0) {
        shared_weak.reset();
        shared_object.reset();
    }
}

} // namespace

void weak_ptr_add()
{
    bench_case one{"weak/upgrade/weak_ptr", run_upgrade, nullptr, nullptr, 1, false, false, 0};
    bench_add(&one);
    bench_case two{
        "weak/upgrade_2_threads/weak_ptr", run_upgrade, nullptr, nullptr, 2, false, false, 0};
    bench_add(&two);
}
