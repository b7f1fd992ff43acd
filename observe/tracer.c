/* SPDX-License-Identifier: MIT
 *
 * Current and peak: each shard gathers what it added and the highest that sum has been, and gives
 * both to the process's total once they are large enough. So the peak is exact with one thread and
 * off by at most NP_TRACE_CHUNK for each further one. */
#include "observe/tracer.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unwind.h>

#include "alloc/guard.h"
#include "alloc/large.h"
#include "alloc/own.h"
#include "base/os.h"
#include "neap/status.h"
#include "neap/trace.h"
#include "observe/line_profile.h"
#include "observe/trace_table.h"
#include "runtime/header.h"
#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/handshake.h"
#include "threads/stop.h"

enum { PLACES = 1 << NP_TRACE_PLACES_LOG2, EPOCHS = 1 << (32 - NP_TRACES_LOG2) };

/* (o>) all: the shard's thread, or under `foreign` for shard 0 */
struct shard {
    uint64_t random;
    uint32_t label; /* of the thread in the slot now */
    int os_id;
    int64_t left; /* shard 0: the countdown of threads without a heap */
    /* Where not every allocation is traced by its place alone, a place's word is an index found
     * last by hash, and what it stands for is compared. */
    struct np_trace_quick quick;
};

static struct {
    pthread_mutex_t lock;    /* start and stop, and whoever needs them not to happen */
    pthread_mutex_t foreign; /* shard 0 */
    bool on;                 /* (s, x) written in a stopped world, with foreign held */
    bool quick;              /* (s) on, every allocation, one frame */
    unsigned frames;         /* (s) */
    uint64_t period;         /* (s) */
    uint32_t epoch;          /* (s) */
    uint64_t started_ns;     /* (L) */
    size_t side_bytes;       /* (c) once reserved */
    int64_t total, peak;     /* (x) relaxed: figures */
    struct shard *shards[NEAP_OWNER_LAST + 1]; /* (x) each by its slot's thread; 0 under foreign */
} tracer = {.lock = PTHREAD_MUTEX_INITIALIZER, .foreign = PTHREAD_MUTEX_INITIALIZER};

/* ---- shards ---- */

static size_t shard_bytes(void)
{
    size_t page = np_os_page_bytes();
    return (sizeof(struct shard) + page - 1) & ~(page - 1);
}

static void give_delta(struct np_trace_quick *shard)
{
    /* relaxed, all: figures; each is added once */
    int64_t delta = np_load_relaxed(&shard->delta);
    int64_t before = np_fetch_add_relaxed(&tracer.total, delta);
    int64_t most = before + np_load_relaxed(&shard->delta_most);
    int64_t peak = np_load_relaxed(&tracer.peak);
    while (most > peak && !__atomic_compare_exchange_n(&tracer.peak, &peak, most, true,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    np_store_relaxed(&shard->delta, (int64_t)0);
    np_store_relaxed(&shard->delta_most, (int64_t)0);
}

static void note_bytes(struct np_trace_quick *shard, int64_t bytes)
{
    int64_t delta = np_load_relaxed(&shard->delta) + bytes;
    np_store_relaxed(&shard->delta, delta); /* relaxed, all: figures */
    if (delta > np_load_relaxed(&shard->delta_most))
        np_store_relaxed(&shard->delta_most, delta);
    if (delta > NP_TRACE_CHUNK || delta < -NP_TRACE_CHUNK)
        give_delta(shard);
}

static struct shard *make_shard(uint32_t id)
{
    struct shard *shard = np_os_reserve(shard_bytes(), 1);
    if (shard != NULL) {
        shard->random = np_os_now_ns() * 0x9E3779B97F4A7C15u + id;
        /* [MM-shard-1] release: readers of figures see it zero */
        np_store_release(&tracer.shards[id], shard);
    }
    return shard;
}

/* The shard of the calling thread's slot, named after the thread that has it now. */
static struct shard *own_shard(void)
{
    struct np_thread *thread = np_tls.thread;
    struct shard *shard = np_load_relaxed(&tracer.shards[thread->id]); /* relaxed: ours */
    if (np_unlikely(shard == NULL) && (shard = make_shard(thread->id)) == NULL)
        return NULL;
    int os_id = np_load_relaxed(&thread->os_id); /* relaxed: we wrote it */
    if (np_unlikely(shard->os_id != os_id)) {
        char name[NP_THREAD_NAME_BYTES];
        np_thread_name(thread, name);
        shard->os_id = os_id;
        shard->label = np_label_find(name);
        memset(shard->quick.places, 0, sizeof shard->quick.places);
    }
    return shard;
}

static struct shard *foreign_shard_locked(void)
{
    struct shard *shard = np_load_relaxed(&tracer.shards[0]); /* relaxed: under the lock */
    return shard != NULL ? shard : make_shard(0);
}

/* xorshift64*; exponentially distributed with the period as mean, so that the samples are a Poisson
 * process over the bytes. */
static int64_t draw(struct shard *shard, uint64_t period)
{
    uint64_t x = shard->random | 1;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    shard->random = x;
    double uniform = ((double)(x * 0x2545F4914F6CDD1Du >> 11) + 1) * 0x1p-53;
    double distance = -log(uniform) * (double)period;
    return distance < 0x1p62 ? (int64_t)distance : INT64_MAX / 2;
}

/* ---- a block's trace ---- */

static uint32_t *entry_of(const void *block)
{
    if (!np_region_has(block))
        return &np_large_of(block)->trace;
    return np_trace_entry(block);
}

static uint64_t bytes_of(const void *block)
{
    if (np_region_has(block)) {
        const struct np_pool *pool = np_pool_of(block);
        bool untyped =
            np_load_relaxed(&pool->kind) == NP_POOL_UNTYPED; /* relaxed: its block is out */
        return pool->block_bytes - (untyped ? NP_GUARD_TAIL : 0);
    }
    const struct np_large *large = np_large_of(block);
    return large->bytes - (large->is_object ? 0 : NP_GUARD_TAIL);
}

/* The index in a word of this tracing; 0 for another's. */
static uint32_t index_in(uint32_t word)
{
    return word >> NP_TRACES_LOG2 == tracer.epoch ? word & (NP_TRACES_MOST - 1) : 0;
}

struct unwinding {
    const void **frames;
    unsigned count, most;
    bool outside; /* past our own functions */
};

static _Unwind_Reason_Code unwind_step(struct _Unwind_Context *context, void *arg)
{
    struct unwinding *unwinding = arg;
    const char *address = (const char *)_Unwind_GetIP(context);
    bool ours = address >= np_alloc_text_start && address <= np_alloc_text_stop;
    if (ours) {
        unwinding->outside = true;
        unwinding->count = 0;
        return _URC_NO_REASON;
    }
    if (!unwinding->outside || address == NULL)
        return address == NULL ? _URC_END_OF_STACK : _URC_NO_REASON;
    unwinding->frames[unwinding->count++] = address;
    return unwinding->count == unwinding->most ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* The callers of the function that the site stands in. */
static np_noinline unsigned unwind(const void **frames, unsigned most)
{
    const void *all[NP_FRAMES_MOST + 1];
    struct unwinding unwinding = {.frames = all, .most = most + 1};
    _Unwind_Backtrace(unwind_step, &unwinding);
    if (unwinding.count < 2)
        return 0;
    memcpy(frames, all + 1, (unwinding.count - 1) * sizeof *frames);
    return unwinding.count - 1;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static uint32_t trace_of_allocation(struct shard *shard, uint64_t asked, uint64_t block_bytes,
                                    uint32_t type_index, const struct neap_site *site)
{
    const void *frames[NP_FRAMES_MOST];
    struct np_trace key = {.site = site, .type_index = type_index, .label = shard->label};
    key.weight = 1;
    uint64_t hash = mix((uintptr_t)site, (uint64_t)type_index << 32 | shard->label);
    if (tracer.period != 0) {
        key.asked = asked;
        key.block_bytes = block_bytes;
        key.weight = 1 / -expm1(-(double)asked / (double)tracer.period);
        hash = mix(mix(hash, asked), block_bytes);
    }
    if (tracer.frames > 1) {
        key.frame_count = unwind(frames, tracer.frames - 1);
        key.frames = frames;
        for (uint32_t i = 0; i < key.frame_count; i++)
            hash = mix(hash, (uintptr_t)frames[i]);
    }
    key.hash = hash;
    uint32_t *cached = &shard->quick.places[hash % PLACES].word;
    if (np_likely(*cached != 0 && np_trace_is_like(*cached, &key)))
        return *cached;
    return *cached = np_trace_find(&key);
}

static uint64_t scaled(const struct np_trace *trace, uint64_t bytes)
{
    return trace->asked == 0 ? bytes : (uint64_t)(trace->weight * (double)trace->block_bytes + 0.5);
}

static bool record(struct shard *shard, void *block, size_t asked, uint32_t type_index,
                   const struct neap_site *site)
{
    uint64_t bytes = bytes_of(block);
    uint32_t index = trace_of_allocation(shard, asked, bytes, type_index, site);
    struct np_trace_counts *counts = &shard->quick.counts[index];
    np_trace_add(&counts->made_objects, 1);
    np_trace_add(&counts->made_bytes, (int64_t)bytes);
    note_bytes(&shard->quick, (int64_t)scaled(np_trace_at(index), bytes));
    /* relaxed: who frees the block has got it in order */
    np_store_relaxed(entry_of(block), tracer.epoch << NP_TRACES_LOG2 | index);
    np_line_profile_note((int64_t)bytes);
    return true;
}

/* The shard of the calling thread's slot, if it is named after the thread. */
static struct shard *quick_shard(void)
{
    struct np_thread *thread = np_tls.thread;
    struct shard *shard = np_load_relaxed(&tracer.shards[thread->id]); /* relaxed, both: ours */
    return np_likely(shard != NULL && shard->os_id == np_load_relaxed(&thread->os_id))
               ? shard
               : own_shard();
}

static np_noinline uint32_t quick_find(struct np_trace_place *place, struct shard *shard,
                                       const struct neap_site *site, uint32_t type_index)
{
    struct np_trace key = {.site = site, .type_index = type_index, .label = shard->label};
    key.weight = 1;
    key.hash = mix((uintptr_t)site, (uint64_t)type_index << 32 | shard->label);
    uint32_t word = tracer.epoch << NP_TRACES_LOG2 | np_trace_find(&key);
    *place = (struct np_trace_place){site, type_index, word};
    return word;
}

/* record for what needs neither a size nor callers: one comparison tells the trace. From now on
 * alloc/trace.h does that by itself, but inside a marked function. */
static bool record_quick(struct np_heap *heap, void *block, uint32_t type_index,
                         const struct neap_site *site)
{
    struct shard *shard = quick_shard();
    if (np_unlikely(shard == NULL)) {
        np_trace_set_far(heap, type_index != 0);
        return false;
    }
    if (type_index != 0 || heap->trace_left < NP_TRACE_NEW / 2) /* else the next object lifts it */
        np_trace_set(heap, -1);
    struct np_trace_place *place = np_trace_place_of(&shard->quick, site, type_index);
    uint32_t word = place->word;
    if (np_unlikely(word == 0 || place->site != site || place->type_index != type_index))
        word = quick_find(place, shard, site, type_index);
    uint64_t bytes = bytes_of(block);
    struct np_trace_counts *counts = &shard->quick.counts[word & (NP_TRACES_MOST - 1)];
    np_trace_add(&counts->made_objects, 1);
    np_trace_add(&counts->made_bytes, (int64_t)bytes);
    note_bytes(&shard->quick, (int64_t)bytes);
    np_store_relaxed(entry_of(block), word); /* relaxed: as in record */
    np_line_profile_note((int64_t)bytes);
    shard->quick.epoch = tracer.epoch << NP_TRACES_LOG2;
    heap->trace_quick = np_line_profile_is_inside() ? NULL : &shard->quick;
    return true;
}

static bool made_foreign(void *block, size_t asked, uint32_t type_index,
                         const struct neap_site *site)
{
    bool traced = false;
    pthread_mutex_lock(&tracer.foreign);
    struct shard *shard = tracer.on ? foreign_shard_locked() : NULL;
    if (shard != NULL && (shard->left -= (int64_t)asked) < 0) {
        shard->left = tracer.period != 0 ? draw(shard, tracer.period) : -1;
        traced = record(shard, block, asked, type_index, site);
    }
    pthread_mutex_unlock(&tracer.foreign);
    return traced;
}

static np_alloc_text bool made(struct np_heap *heap, void *block, size_t asked, uint32_t type_index,
                               const struct neap_site *site)
{
    if (np_likely(heap != NULL && tracer.quick))
        return record_quick(heap, block, type_index, site);
    if (heap == NULL)
        return made_foreign(block, asked, type_index, site);
    struct shard *shard = tracer.on ? own_shard() : NULL;
    if (shard == NULL) {
        np_trace_set_far(heap, type_index != 0);
        return false;
    }
    if (np_unlikely(tracer.period != 0 && heap->trace_left < NP_TRACE_NEW / 2)) {
        np_trace_set(heap, draw(shard, tracer.period));
        if (heap->trace_left >= (int64_t)asked) {
            heap->trace_left -= (int64_t)asked;
            heap->trace_bytes -= (int64_t)asked; /* counted down twice */
            return false;
        }
    }
    np_trace_set(heap, tracer.period != 0 ? draw(shard, tracer.period) : -1);
    return record(shard, block, asked, type_index, site);
}

static bool forget(struct shard *shard, const void *block, uint32_t *entry)
{
    uint32_t index = index_in(np_load_relaxed(entry)); /* relaxed: as in record */
    if (index == 0 || shard == NULL)
        return false;
    uint64_t bytes = bytes_of(block);
    np_store_relaxed(entry, 0u);
    np_trace_add(&shard->quick.counts[index].freed_objects, 1);
    np_trace_add(&shard->quick.counts[index].freed_bytes, (int64_t)bytes);
    int64_t counted = tracer.quick ? (int64_t)bytes : (int64_t)scaled(np_trace_at(index), bytes);
    note_bytes(&shard->quick, -counted);
    np_line_profile_note(-(int64_t)bytes);
    return true;
}

static bool freed(void *block)
{
    bool traced = false;
    if (np_tls.id == NEAP_OWNER_NOBODY) {
        pthread_mutex_lock(&tracer.foreign);
        if (tracer.on)
            traced = forget(foreign_shard_locked(), block, entry_of(block));
        pthread_mutex_unlock(&tracer.foreign);
    } else if (tracer.on) {
        traced = forget(quick_shard(), block, entry_of(block));
    }
    return traced;
}

const struct np_trace_hooks np_tracer_hooks = {made, freed};

/* ---- start and stop ---- */

void np_tracer_lock(void)
{
    np_lock_parked(&tracer.lock);
}

void np_tracer_unlock(void)
{
    pthread_mutex_unlock(&tracer.lock);
}

bool np_tracer_lock_if_on(void)
{
    np_tracer_lock();
    if (tracer.on)
        return true;
    np_tracer_unlock();
    return false;
}

uint64_t np_tracer_period(void)
{
    return tracer.period;
}

uint64_t np_tracer_started_ns(void)
{
    return tracer.started_ns;
}

static void begin_countdown(struct np_heap *heap, void *arg)
{
    heap->trace_quick = NULL;
    np_trace_set(heap, *(const int64_t *)arg);
}

static void switch_stopped(bool on, unsigned frames, uint64_t period)
{
    int64_t left = on ? NP_TRACE_NEW : NP_TRACE_FAR;
    pthread_mutex_lock(&tracer.foreign);
    tracer.on = on;
    tracer.quick = on && period == 0 && frames == 1;
    if (on) {
        tracer.frames = frames;
        tracer.period = period;
        tracer.epoch = (tracer.epoch + 1) % EPOCHS;
        if (foreign_shard_locked() != NULL)
            tracer.shards[0]->left = period != 0 ? draw(tracer.shards[0], period) : -1;
    }
    np_store_relaxed(&np_trace_is_wanted, on); /* relaxed: a hint */
    np_line_profile_switch(on && period == 0);
    np_heap_each(begin_countdown, &left);
    pthread_mutex_unlock(&tracer.foreign);
}

/* Tracing is off and nobody is inside a hook. */
static void clear_figures(void)
{
    for (uint32_t id = 0; id <= NEAP_OWNER_LAST; id++) {
        struct shard *shard = np_load_acquire(&tracer.shards[id]); /* [MM-shard-1] */
        if (shard == NULL)
            continue;
        uint64_t random = shard->random;
        np_os_give_back(shard, shard_bytes());
        shard->random = random;
    }
    if (np_trace_side != NULL)
        np_os_give_back(np_trace_side, tracer.side_bytes);
    np_trace_table_clear();
    np_line_profile_clear();
    np_store_relaxed(&tracer.total, (int64_t)0); /* relaxed, both: figures */
    np_store_relaxed(&tracer.peak, (int64_t)0);
}

static int reserve(void)
{
    if (np_trace_side == NULL) {
        size_t page = np_os_page_bytes();
        size_t bytes = np_region.bytes / NP_CLASS_STEP * sizeof *np_trace_side;
        tracer.side_bytes = (bytes + page - 1) & ~(page - 1);
        np_trace_side = np_os_reserve(tracer.side_bytes, 1);
    }
    return np_trace_side != NULL && np_trace_table_init() == 0 && np_line_profile_init() == 0
               ? NEAP_OK
               : NEAP_ENOMEM;
}

int neap_trace_start(unsigned frames, size_t sample_bytes)
{
    if (frames == 0 || frames > NP_FRAMES_MOST)
        return NEAP_EINVAL;
    np_usage_check("neap_trace_start");
    np_tracer_lock();
    int status = tracer.on ? NEAP_ESTATE : reserve();
    if (status == NEAP_OK) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        tracer.started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        clear_figures();
        np_world_stop(NP_STOP_WALK);
        switch_stopped(true, frames, sample_bytes);
        np_world_start();
    }
    np_tracer_unlock();
    return status;
}

void neap_trace_stop(void)
{
    np_usage_check("neap_trace_stop");
    np_tracer_lock();
    if (tracer.on) {
        np_world_stop(NP_STOP_WALK);
        switch_stopped(false, 0, 0);
        np_world_start();
        clear_figures();
    }
    np_tracer_unlock();
}

void np_tracer_end(void)
{
    np_tracer_lock();
    if (tracer.on) {
        switch_stopped(false, 0, 0); /* no other thread is attached */
        clear_figures();
    }
    np_tracer_unlock();
}

bool neap_trace_is_on(void)
{
    return np_load_relaxed(&np_trace_is_wanted); /* relaxed: a hint to others */
}

/* ---- figures ---- */

void np_tracer_counts(uint32_t index, struct np_trace_counts *ret_counts)
{
    struct np_trace_counts sum = {0};
    uint32_t high = np_thread_high();
    for (uint32_t id = 0; id <= high; id++) {
        const struct shard *shard = np_load_acquire(&tracer.shards[id]); /* [MM-shard-1] */
        if (shard == NULL)
            continue;
        /* relaxed, all: figures of running threads. Frees first: none without its allocation */
        sum.freed_objects += np_load_relaxed(&shard->quick.counts[index].freed_objects);
        sum.freed_bytes += np_load_relaxed(&shard->quick.counts[index].freed_bytes);
    }
    for (uint32_t id = 0; id <= high; id++) {
        const struct shard *shard = np_load_acquire(&tracer.shards[id]); /* [MM-shard-1] */
        if (shard == NULL)
            continue;
        sum.made_objects += np_load_relaxed(&shard->quick.counts[index].made_objects);
        sum.made_bytes += np_load_relaxed(&shard->quick.counts[index].made_bytes);
    }
    if (sum.freed_objects > sum.made_objects)
        sum.freed_objects = sum.made_objects;
    if (sum.freed_bytes > sum.made_bytes)
        sum.freed_bytes = sum.made_bytes;
    *ret_counts = sum;
}

void neap_trace_memory(size_t *ret_current, size_t *ret_peak)
{
    /* relaxed, all: figures */
    int64_t current = np_load_relaxed(&tracer.total), peak = np_load_relaxed(&tracer.peak);
    int64_t above = 0;
    uint32_t high = np_usage_alive() ? np_thread_high() : 0;
    for (uint32_t id = 0; id <= high; id++) {
        const struct shard *shard = np_load_acquire(&tracer.shards[id]); /* [MM-shard-1] */
        if (shard == NULL)
            continue;
        int64_t delta = np_load_relaxed(&shard->quick.delta);
        int64_t over = np_load_relaxed(&shard->quick.delta_most) - delta;
        current += delta;
        above = over > above ? over : above;
    }
    if (current < 0)
        current = 0;
    if (peak < current + above)
        peak = current + above;
    if (ret_current != NULL)
        *ret_current = (size_t)current;
    if (ret_peak != NULL)
        *ret_peak = (size_t)peak;
}

static void give_of(struct np_thread *thread, void *arg)
{
    (void)arg;
    struct shard *shard = np_load_acquire(&tracer.shards[thread->id]); /* [MM-shard-1] */
    if (shard != NULL)
        give_delta(&shard->quick);
}

void neap_trace_reset_peak(void)
{
    np_usage_check("neap_trace_reset_peak");
    np_handshake(give_of, NULL);
    pthread_mutex_lock(&tracer.foreign);
    if (tracer.shards[0] != NULL)
        give_delta(&tracer.shards[0]->quick);
    np_store_relaxed(&tracer.peak, np_load_relaxed(&tracer.total)); /* relaxed: figures */
    pthread_mutex_unlock(&tracer.foreign);
}

uint32_t np_tracer_trace_of(const void *block)
{
    if (!np_load_relaxed(&np_trace_is_wanted)) /* relaxed: the caller holds the block */
        return 0;
    return index_in(np_load_relaxed(entry_of(block))); /* relaxed: as in record */
}

bool neap_trace_site_of(const void *object, const char **ret_file, unsigned *ret_line)
{
    uint32_t index = object == NULL ? 0 : np_tracer_trace_of(neap_header_of(object));
    const struct neap_site *site = index != 0 ? np_trace_at(index)->site : NULL;
    if (site == NULL || np_site_code(site) != NULL)
        return false;
    if (ret_file != NULL)
        *ret_file = site->file;
    if (ret_line != NULL)
        *ret_line = site->line;
    return true;
}

/* ---- fork ---- */

void np_tracer_before_fork(void)
{
    np_tracer_lock();
}

void np_tracer_before_fork_stopped(void)
{
    pthread_mutex_lock(&tracer.foreign);
    np_trace_table_lock();
    np_line_profile_lock();
}

void np_tracer_after_fork(void)
{
    np_line_profile_unlock();
    np_trace_table_unlock();
    pthread_mutex_unlock(&tracer.foreign);
    np_tracer_unlock();
}
