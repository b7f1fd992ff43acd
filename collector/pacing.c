/* SPDX-License-Identifier: MIT
 *
 * Counters and feedback. Credits are shares of the young threshold, so that the sum of what the
 * heaps have not reported stays below it. */
#include "collector/pacing.h"

#include "alloc/heap.h"
#include "alloc/meta.h"
#include "base/options.h"
#include "base/os.h"
#include "neap/gc.h"
#include "runtime/pressure.h"
#include "runtime/usage.h"
#include "threads/thread.h"

/* A young stop of this length is lost in a server's usual millisecond; half of it, where none is to
 * be longer. */
#define PAUSE_TARGET_NS UINT64_C(250000)

enum {
    SCALE_MOST = 64,
    BESIDE_MOST =
        4, /* more than a quarter of the time beside looking at objects: the scale doubles */
    BESIDE_LEAST = 16, /* less than a sixteenth: it halves, */
    BARREN = 16,       /* unless less than a sixteenth of what it looked at was garbage: doubles */
    HEAVY_LEAST =
        16 << 20,     /* bytes told by neap_external_bytes that alone are worth a collection */
    GROWTH_SHARE = 8, /* growth by an eighth, */
    GROWTH_LEAST = 2 << 20, /* and two MiB, sets the scale aside */
    PRESSED_SHARE = 3, /* over the soft limit, old collections take at most a quarter of the time */
    ALLOWANCE = 4,     /* young thresholds, for several threads */
    BEHIND = 8,        /* times the threshold more: who allocates waits for the one under way; */
    BEHIND_SOON = 1,   /* where stops are to be short: what is made meanwhile is looked at too */
    OLD_SHARE = 4,     /* an old collection is due after promotions of a quarter, */
    CYCLE_SHARE = 16,  /* and of a sixteenth, at least, where it runs beside the program */
    COUNTING_SHARE = 4,    /* of a cycle goes into counting */
    GROSS_SHARE = 8,       /* promotions count for so much, however many objects have died */
    CYCLE_LEAST = 1 << 19, /* objects: a smaller heap may grow by these while a cycle runs */
    MIDDLE_MOST = 1 << 13, /* objects of generation 1: their collection is a stop of 0.2 ms */
    CREDIT_MOST = 1 << 16  /* a heap reports at least this often, whatever the threshold */
};

struct np_pacing np_pacing;

void np_pacing_init(void)
{
    np_pacing = (struct np_pacing){
        .enabled = true,
        .thresholds = {np_options.threshold_young, np_options.threshold_middle,
                       np_options.threshold_old},
        .scale = 1,
        .allowance = ALLOWANCE,
    };
}

/* Bytes in use, told ones included. */
static uint64_t bytes_in_use(void)
{
    return np_committed() + np_external_bytes();
}

/* What was in use when the last collection ended, without what has been given back since. */
static uint64_t bytes_before(void)
{
    /* relaxed, both: any recent value will do */
    int64_t external = np_load_relaxed(&np_pacing.external_before);
    return np_load_relaxed(&np_pacing.committed) + (external > 0 ? (uint64_t)external : 0);
}

/* Memory beyond what the last collection left, by so much that it is not the ups and downs of a
 * working set. */
static bool has_grown(void)
{
    uint64_t before = bytes_before();
    return bytes_in_use() > before + before / GROWTH_SHARE + GROWTH_LEAST;
}

/* So much more is held outside that objects need not be many. */
static bool is_heavy(void)
{
    /* relaxed, both: any recent value will do */
    int64_t more =
        np_load_relaxed(&np_pressure_external) - np_load_relaxed(&np_pacing.external_before);
    uint64_t most = bytes_before() / 2;
    return more > 0 && (uint64_t)more > (most > HEAVY_LEAST ? most : HEAVY_LEAST);
}

void neap_external_bytes(const void *object, ptrdiff_t delta)
{
    np_usage_check("neap_external_bytes");
    if (object == NULL)
        return;
    /* relaxed, all: hints */
    int64_t now = np_pressure_tell((int64_t)delta);
    if (now < np_load_relaxed(&np_pacing.external_before))
        np_store_relaxed(&np_pacing.external_before, now);
    if (delta > 0 && is_heavy())
        np_tls.heap->debt = true; /* served at the next slow path of allocation */
}

static uint64_t young_threshold(void)
{
    /* relaxed, both: any recent value will do */
    uint64_t threshold = np_load_relaxed(&np_pacing.thresholds[0]);
    uint64_t scale = np_load_relaxed(&np_pacing.scale), product;
    return __builtin_mul_overflow(threshold, scale, &product) ? UINT64_MAX : product;
}

/* So many new ones of all threads are worth a stop, and so many times the threshold more. */
static uint64_t young_limit(uint64_t times)
{
    /* relaxed, both: any recent value will do */
    uint64_t threshold = np_load_relaxed(&np_pacing.thresholds[0]), limit;
    uint64_t allowance = np_load_relaxed(&np_pacing.allowance);
    if (!np_options.confined || np_thread_attached_count() < 2)
        allowance = 0;
    return __builtin_mul_overflow(threshold, allowance, &allowance) ||
                   __builtin_mul_overflow(young_threshold(), 1 + times, &limit) ||
                   __builtin_add_overflow(limit, allowance, &limit)
               ? UINT64_MAX
               : limit;
}

static int64_t credit_share(void)
{
    uint64_t threshold = young_threshold();
    uint64_t share = threshold / (2 * (uint64_t)np_thread_attached_count() + 1);
    uint64_t confined = (uint64_t)np_pacing_threshold_young();
    if (np_options.confined && share > confined)
        share = confined;
    if (threshold == 0 || share > CREDIT_MOST)
        return CREDIT_MOST;
    return share > 0 ? (int64_t)share : 1;
}

void np_pacing_give_credit(struct np_heap *heap)
{
    np_heap_set_credit(heap, credit_share());
}

int64_t np_pacing_take_debt(struct np_heap *heap)
{
    int64_t made = heap->credit_start - heap->credit;
    (void)np_fetch_add_relaxed(&np_pacing.counts[0], made); /* relaxed: a count */
    heap->debt = false;
    np_pacing_give_credit(heap);
    return made;
}

uint64_t np_pacing_resets(void)
{
    return np_load_relaxed(&np_pacing.resets); /* relaxed: changes while we are stopped */
}

void np_pacing_correct(int64_t delta)
{
    (void)np_fetch_add_relaxed(&np_pacing.counts[0], delta); /* relaxed: a count */
}

int64_t np_pacing_threshold_young(void)
{
    uint64_t threshold = np_load_relaxed(&np_pacing.thresholds[0]); /* relaxed: any recent value */
    return threshold > INT64_MAX ? INT64_MAX : (int64_t)threshold;
}

bool np_pacing_is_on(void)
{
    /* relaxed, both: any recent value will do */
    return np_load_relaxed(&np_pacing.enabled) && np_load_relaxed(&np_pacing.thresholds[0]) != 0;
}

static bool is_over(int generation)
{
    /* relaxed, both: any recent value will do */
    uint64_t threshold = np_load_relaxed(&np_pacing.thresholds[generation]);
    int64_t count = np_load_relaxed(&np_pacing.counts[generation]);
    if (threshold == 0 || count <= 0 || (uint64_t)count <= threshold)
        return false;
    return generation > 0 || (uint64_t)count > young_limit(0) || has_grown();
}

static bool old_is_affordable(void)
{
    /* relaxed, both: any recent value will do */
    uint64_t last = np_load_relaxed(&np_pacing.old_end_ns);
    return np_os_now_ns() - last > PRESSED_SHARE * np_load_relaxed(&np_pacing.old_cost_ns);
}

/* Over the soft limit old collections follow each other, but take no more than their share of the
 * time: a program whose live data is over the limit goes on working. */
static bool is_pressed(void)
{
    uint64_t limit = np_options.heap_soft_limit;
    if (limit == 0 || bytes_in_use() <= limit)
        return false;
    return old_is_affordable();
}

/* Objects, since the last old collection, where these are concurrent. */
static uint64_t growth(void)
{
    /* relaxed, both: any recent value will do */
    uint64_t promoted = np_load_relaxed(&np_pacing.old_pending);
    int64_t net = (int64_t)promoted - np_load_relaxed(&np_pacing.old_freed);
    int64_t least = (int64_t)(promoted / GROSS_SHARE);
    return (uint64_t)(net > least ? net : least);
}

/* So much growth, to begin a cycle: what comes during the cycle makes it a quarter. */
static uint64_t cycle_share(void)
{
    /* relaxed, both: any recent value will do */
    uint64_t alive = np_load_relaxed(&np_pacing.old_alive), most = alive / OLD_SHARE;
    uint64_t during = np_load_relaxed(&np_pacing.cycle_growth), least = alive / CYCLE_SHARE;
    return most > during + least ? most - during : least;
}

/* Enough was promoted to the oldest generation. In objects: as many as its threshold stands for
 * while the young one is not scaled. In collections alone, a program that builds big cycles (which
 * is barren work, so the scale is high) had nine of 100,000 objects dead before an old collection
 * came. And not less than a quarter of what lives there, so that the work is linear. */
static bool old_is_due(void)
{
    /* relaxed, all: any recent value will do */
    bool cycles = np_options.collector != 0;
    uint64_t pending = cycles ? growth() : np_load_relaxed(&np_pacing.old_pending), product;
    uint64_t least = cycles ? cycle_share() : np_load_relaxed(&np_pacing.old_alive) / OLD_SHARE;
    const uint64_t *thresholds = np_pacing.thresholds;
    if (np_load_relaxed(&thresholds[2]) == 0 || pending < least)
        return false;
    bool huge = __builtin_mul_overflow(np_load_relaxed(&thresholds[0]),
                                       np_load_relaxed(&thresholds[1]), &product) ||
                __builtin_mul_overflow(product, np_load_relaxed(&thresholds[2]), &product);
    return is_over(2) || (!huge && product > 0 && pending > product);
}

/* A long one is left to the cycles. */
static bool middle_is_due(void)
{
    /* relaxed: any recent value will do */
    bool shortly = np_options.collector == 0 || np_load_relaxed(&np_pacing.middle) <= MIDDLE_MOST;
    return shortly && is_over(1);
}

int np_pacing_due(void)
{
    if (!np_load_relaxed(&np_pacing.enabled)) /* relaxed: any recent value will do */
        return -1;
    if (np_unlikely(np_options.eager_collect)) {
        static uint64_t turn; /* (x) relaxed: any order will do */
        return (int)(np_fetch_add_relaxed(&turn, 1) % 3);
    }
    if (is_heavy())
        return old_is_affordable() ? 2 : 0;
    if (is_pressed()) /* however few are new: what has to go may be old */
        return 2;
    if (!is_over(0))
        return -1;
    if (old_is_due())
        return 2;
    return middle_is_due() ? 1 : 0;
}

int np_pacing_due_younger(void)
{
    return !is_over(0) ? -1 : middle_is_due() ? 1 : 0;
}

bool np_pacing_is_behind(void)
{
    /* relaxed: any recent value will do */
    int64_t count = np_load_relaxed(&np_pacing.counts[0]);
    uint64_t times = np_options.collector == 0 ? BEHIND : BEHIND_SOON;
    return np_pacing_due() >= 0 && count > 0 && (uint64_t)count > young_limit(times);
}

void np_pacing_reset_stopped(int generation)
{
    /* relaxed, all: whoever else writes them is stopped, or sets them by the public calls */
    for (int i = 0; i <= generation; i++)
        np_store_relaxed(&np_pacing.counts[i], 0);
    np_store_relaxed(&np_pacing.resets, np_pacing.resets + 1); /* read by threads that run */
    if (generation < 2)
        (void)np_fetch_add_relaxed(&np_pacing.counts[generation + 1], 1);
    int64_t share = credit_share();
    uint32_t high = np_thread_high();
    for (uint32_t slot = 1; slot <= high; slot++) {
        struct np_heap *heap = np_thread_at((uint16_t)slot)->heap;
        if (heap == NULL)
            continue;
        np_heap_set_credit(heap, share);
        np_store_relaxed(&np_pacing.old_freed, np_pacing.old_freed + heap->old_freed);
        heap->old_freed = 0;
    }
}

/* What a collection costs beside looking at objects (reaching every thread, above all) is the same
 * for one object as for thousands. And where hardly anything is found, most of what is looked at
 * dies by its count a little later: trees of depth 18 are looked at 42 million times with
 * thresholds of 700, 17 million times with 64 as many. */
static void learn_scale(const struct np_pacing_outcome *outcome)
{
    uint64_t spent = outcome->end_ns - outcome->start_ns, scale = np_pacing.scale;
    uint64_t beside = spent - outcome->stopped_ns;
    bool barren = outcome->garbage < (outcome->alive + outcome->garbage) / BARREN;
    uint64_t target = np_options.collector == 0 ? PAUSE_TARGET_NS : PAUSE_TARGET_NS / 2;
    bool wide = outcome->stopped_ns * 2 <= target;
    if (outcome->stopped_ns > target || (!barren && beside * BESIDE_LEAST < spent))
        scale /= 2;
    else if (wide && (barren || beside * BESIDE_MOST > spent))
        scale *= 2;
    scale = scale < 1 ? 1 : scale > SCALE_MOST ? SCALE_MOST : scale;
    /* relaxed, both: readers take any recent value */
    np_store_relaxed(&np_pacing.scale, scale);
    np_store_relaxed(&np_pacing.allowance, outcome->garbage > outcome->alive ? ALLOWANCE : 0);
}

static void forget_growth(void)
{
    /* relaxed, both: hints for np_pacing_due */
    np_store_relaxed(&np_pacing.old_pending, 0);
    np_store_relaxed(&np_pacing.old_freed, 0);
}

void np_pacing_begin_concurrent(void)
{
    /* relaxed, all: hints for np_pacing_due */
    np_store_relaxed(&np_pacing.counts[2], 0);
    forget_growth();
}

uint64_t np_pacing_growth_32nds(void)
{
    uint64_t alive = np_load_relaxed(&np_pacing.old_alive); /* relaxed: any recent value will do */
    return growth() / ((alive > CYCLE_LEAST ? alive : CYCLE_LEAST) / 32);
}

static void remember_bytes(void)
{
    /* relaxed: hints for np_pacing_due */
    np_store_relaxed(&np_pacing.committed, np_committed());
    np_store_relaxed(&np_pacing.external_before, np_load_relaxed(&np_pressure_external));
}

/* Of what was promoted while the cycle counted, what has died since floats. Where the heap stays as
 * big as it was, as much has died as has grown; and if less has been found than that, hardly more
 * has died. */
void np_pacing_learn_concurrent(uint64_t members, uint64_t found, uint64_t start_ns,
                                uint64_t end_ns)
{
    uint64_t during = growth(), alive = members - found;
    uint64_t floats = (during < found ? during : found) / COUNTING_SHARE;
    /* relaxed, all: as above */
    np_store_relaxed(&np_pacing.old_alive, alive > floats ? alive - floats : 0);
    np_store_relaxed(&np_pacing.cycle_growth, during);
    np_store_relaxed(&np_pacing.old_end_ns, end_ns);
    np_store_relaxed(&np_pacing.old_cost_ns, end_ns - start_ns);
    remember_bytes();
}

void np_pacing_learn(const struct np_pacing_outcome *outcome)
{
    /* relaxed stores: np_pacing_due reads them without the lock, as hints */
    if (outcome->generation == 2) {
        np_store_relaxed(&np_pacing.old_alive, outcome->alive);
        forget_growth();
        np_store_relaxed(&np_pacing.middle, 0);
        np_store_relaxed(&np_pacing.old_end_ns, outcome->end_ns);
        np_store_relaxed(&np_pacing.old_cost_ns, outcome->end_ns - outcome->start_ns);
    } else {
        bool cycles = np_options.collector != 0;
        uint64_t survived = outcome->alive - (outcome->alive > outcome->promoted
                                                  ? outcome->promoted
                                                  : outcome->alive); /* those of generation 0 */
        np_store_relaxed(&np_pacing.old_pending,
                         np_pacing.old_pending + (cycles ? survived : outcome->promoted));
        np_store_relaxed(&np_pacing.middle,
                         outcome->generation == 0 ? np_pacing.middle + survived : survived);
    }
    remember_bytes();
    if (outcome->generation == 0)
        learn_scale(outcome);
}
