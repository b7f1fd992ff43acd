/* SPDX-License-Identifier: MIT
 *
 * The crew runs every worker once per run, barriers keep phases apart, and shared work is taken
 * once and ends when, and only when, there is none left. */
#include <stdatomic.h>
#include <string.h>

#include "base/options.h"
#include "collector/crew.h"
#include "collector/share.h"
#include "tests/tap.h"

enum { WORKERS = 4, RUNS = 300, PHASES = 20, LEAVES = 1 << 14 };

static atomic_int calls[WORKERS], arrived[PHASES], early;

static void phases(unsigned index, void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls[index], 1);
    for (int phase = 0; phase < PHASES; phase++) {
        atomic_fetch_add(&arrived[phase], 1);
        np_crew_barrier();
        if (atomic_load(&arrived[phase]) != WORKERS)
            atomic_fetch_add(&early, 1);
        np_crew_barrier();
        if (index == 0)
            atomic_store(&arrived[phase], 0);
        np_crew_barrier();
    }
}

/* Work items are numbers n: n > 1 splits into two halves, 1 is a leaf. Pretended to be objects. */
static atomic_long leaves;

static void tree(unsigned index, void *arg)
{
    static struct neap_header *stacks[WORKERS][LEAVES + 2 * NP_SHARE_CHUNK];
    struct neap_header **stack = stacks[index];
    size_t top = 0;
    (void)arg;
    if (index == 0)
        stack[top++] = (struct neap_header *)(uintptr_t)LEAVES;
    do {
        while (top > 0) {
            uintptr_t size = (uintptr_t)stack[--top];
            if (size == 0)
                continue;
            if (size == 1) {
                atomic_fetch_add(&leaves, 1);
                continue;
            }
            stack[top++] = (struct neap_header *)(size / 2);
            stack[top++] = (struct neap_header *)(size - size / 2);
            if (top >= NP_SHARE_CHUNK && np_share_wanted() &&
                np_share_give(stack + top - NP_SHARE_CHUNK))
                top -= NP_SHARE_CHUNK;
            else if (top == 2 && np_share_wanted()) { /* little, padded with nothing */
                struct neap_header *chunk[NP_SHARE_CHUNK];
                memset(chunk, 0, sizeof chunk);
                chunk[0] = stack[0];
                if (np_share_give(chunk))
                    stack[0] = NULL;
            }
        }
    } while ((top = np_share_take(stack)) > 0);
}

int main(void)
{
    plan_lazy();
    np_options.collector_threads = WORKERS;
    is_int(np_crew_gather(), WORKERS, "a crew of four");
    for (int run = 0; run < RUNS; run++)
        np_crew_run(NEAP_GC_PHASE_COUNT, WORKERS, phases, NULL);
    for (int i = 0; i < WORKERS; i++)
        is_int(atomic_load(&calls[i]), RUNS, "worker %d ran each time", i);
    is_int(atomic_load(&early), 0, "nobody left a barrier before all had come");
    long wrong = 0;
    for (int run = 0; run < RUNS / 10; run++) {
        atomic_store(&leaves, 0);
        np_share_begin(WORKERS);
        np_crew_run(NEAP_GC_PHASE_COUNT, WORKERS, tree, NULL);
        wrong += atomic_load(&leaves) != LEAVES;
    }
    is_int(wrong, 0, "every leaf of a shared tree was counted once, every time");
    np_crew_fini();
    np_options.collector_threads = 3;
    is_int(np_crew_gather(), 2, "three are taken for two");
    np_crew_run(NEAP_GC_PHASE_COUNT, 2, phases, NULL);
    np_crew_fini();
    np_crew_fini();
    pass("ended twice");
    return done();
}
