/* SPDX-License-Identifier: MIT
 *
 * Claims are exclusive, and work pushed to a thread that goes to sleep is never left with it: in
 * every round an owner blocks until all that the others pushed is done, and the others do not push
 * again before that; a lost item ends the round at its limit. The owner, two attached claimers and
 * an unattached one meet in every combination. */
#include "base/queue.h"
#include "tests/unit/threads/crew.h"

enum { ROUNDS = 4000, PUSHERS = 3, LATE_ROUNDS = 200 };

struct item {
    struct np_queue_node node;
};

static struct np_queue queue; /* the owner's */
static struct item items[PUSHERS][2];
static struct np_thread *owner;
static uint32_t consumers, crowded, consumed;
static uint32_t round_number, lost;
static unsigned owner_round; /* the owner's */
static uint64_t plain;       /* whoever acts as the owner: ThreadSanitizer checks that it is one */
static struct crew crew;

static void drain(struct np_thread *thread)
{
    if (thread != owner)
        return;
    if (np_fetch_add_acq_rel(&consumers, 1) != 0)
        np_store_relaxed(&crowded, 1);
    plain++;
    struct np_queue taken;
    struct np_queue_node *node = np_queue_take_all(&queue, &taken);
    uint32_t count = 0;
    for (; node != NULL; node = np_queue_next(&taken))
        count++;
    np_fetch_sub_acq_rel(&consumers, 1);
    if (count > 0) {
        np_fetch_add_acq_rel(&consumed, count);
        np_os_wake_all(&consumed);
    }
}

static bool has_work(struct np_thread *thread)
{
    return thread == owner && !np_queue_empty(&queue);
}

static void dawdle(unsigned spins)
{
    for (unsigned i = 0; i < spins; i++)
        np_spin_hint();
}

static uint32_t go, pushed, late_round; /* rounds of test_late_push; the last is the owner's */

/* The time between the drain and the publication is when a push must not be lost: it is long here,
 * or just long enough for one. */
static void before_blocking(struct np_thread *thread)
{
    drain(thread);
    if (thread != owner)
        return;
    dawdle(owner_round % 151);
    if (np_load_relaxed(&go) < late_round) {
        np_store_release(&go, late_round);
        crew_await(&pushed, late_round);
    }
}

static const struct np_thread_hooks hooks = {
    .has_work = has_work,
    .before_blocking = before_blocking,
    .handler = {[3] = drain, [4] = drain},
};

static void push(unsigned index, uint32_t round)
{
    np_queue_push(&queue, &items[index][round % 2].node);
    if (np_thread_claim(owner)) {
        drain(owner);
        dawdle(round % 113);
        np_thread_unclaim(owner);
    } else {
        np_thread_request(owner, NP_REQUEST_REMOTE);
    }
}

/* Blocks as the tests' main thread would: until the round's items are consumed by whomever. */
static bool await_consumed(uint32_t wanted)
{
    uint64_t end = np_os_now_ns() + UINT64_C(10000000000);
    uint32_t seen;
    while ((seen = np_load_acquire(&consumed)) < wanted) {
        if (np_os_now_ns() > end)
            return false;
        np_os_wait(&consumed, seen, 1000000000);
    }
    return true;
}

static void push_rounds(unsigned index)
{
    bool foreign = index == PUSHERS - 1;
    if (!foreign && np_thread_attach("pusher") != NEAP_OK)
        bail("attach failed");
    for (uint32_t round = 1; round <= ROUNDS && !np_load_relaxed(&lost); round++) {
        if (!foreign)
            np_blocking_enter(np_tls.thread);
        for (uint32_t seen; (seen = np_load_acquire(&round_number)) < round;)
            np_os_wait(&round_number, seen, 1000000000);
        if (!foreign)
            np_blocking_leave(np_tls.thread);
        dawdle((round * (index + 7)) % 197);
        push(index, round);
    }
    if (!foreign)
        np_thread_detach();
}

static void test_never_lost(void)
{
    if (np_thread_attach("owner") != NEAP_OK)
        bail("attach failed");
    owner = np_tls.thread;
    np_queue_init(&queue);
    crew_start(&crew, PUSHERS, push_rounds);
    for (uint32_t round = 1; round <= ROUNDS && !np_load_relaxed(&lost); round++) {
        owner_round = round;
        np_store_release(&round_number, round);
        np_os_wake_all(&round_number);
        dawdle((round * 5) % 83);
        if (round % 3 == 0)
            np_quiescent_point(owner);
        np_blocking_enter(owner);
        bool complete = await_consumed(round * PUSHERS);
        np_blocking_leave(owner);
        if (!complete)
            np_store_relaxed(&lost, round);
    }
    np_store_release(&round_number, UINT32_MAX);
    np_os_wake_all(&round_number);
    crew_join(&crew);
    is_int(lost, 0, "nothing pushed to a thread that blocks is left with it");
    is_int(consumed, ROUNDS * PUSHERS, "and nothing is taken twice");
    is_int(crowded, 0, "one thread at a time acts as the owner");
    np_thread_detach();
}

static void push_late(unsigned index)
{
    if (np_thread_attach("late") != NEAP_OK)
        bail("attach failed");
    for (uint32_t round = 1; round <= LATE_ROUNDS; round++) {
        np_blocking_enter(np_tls.thread);
        crew_await(&go, round);
        np_blocking_leave(np_tls.thread);
        push(index, round);
        np_store_release(&pushed, round);
    }
    np_thread_detach();
}

/* The push comes after the owner's last drain and its claim finds the owner RUNNING. */
static void test_late_push(void)
{
    np_thread_attach("owner");
    owner = np_tls.thread;
    consumed = lost = 0;
    crew_start(&crew, 1, push_late);
    for (uint32_t round = 1; round <= LATE_ROUNDS; round++) {
        late_round = round;
        np_blocking_enter(owner);
        if (!await_consumed(round))
            lost = round;
        np_blocking_leave(owner);
        if (lost != 0)
            break;
    }
    is_int(lost, 0,
           "what is pushed between the drain and the publication is seen by the second look");
    np_store_release(&go, LATE_ROUNDS);
    np_blocking_enter(owner);
    crew_join(&crew);
    np_blocking_leave(owner);
    owner = NULL;
    np_thread_detach();
}

/* ---- what can be claimed ---- */

static uint32_t sleeping, wake;

static void sleep_in_region(unsigned index)
{
    (void)index;
    if (np_thread_attach("sleeper") != NEAP_OK)
        bail("attach failed");
    np_blocking_enter(np_tls.thread);
    np_store_release(&sleeping, np_tls.thread->id);
    crew_await(&wake, 1);
    np_blocking_leave(np_tls.thread);
    np_store_release(&wake, 2);
    np_thread_detach();
}

static void test_states(void)
{
    np_thread_attach("claimer");
    struct np_thread *self = np_tls.thread;
    owner = NULL;
    ok(!np_thread_claim(self), "a RUNNING thread cannot be claimed");
    crew_start(&crew, 1, sleep_in_region);
    crew_await(&sleeping, 1);
    struct np_thread *sleeper = np_thread_at((uint16_t)sleeping);
    ok(np_thread_claim(sleeper), "a BLOCKING thread can");
    ok(!np_thread_claim(sleeper), "once at a time");
    np_store_release(&wake, 1);
    while (!(np_word_load(sleeper) & NP_WORD_WAITING))
        sched_yield();
    is_int(np_load_acquire(&wake), 1, "it does not leave its region while claimed");
    np_thread_unclaim(sleeper);
    ok(crew_await(&wake, 2), "and does afterwards");
    crew_join(&crew);
    is_int(np_thread_state_of(sleeper), NP_DETACHED, "it has detached");
    ok(np_thread_claim(sleeper), "a DETACHED slot can be claimed");
    np_thread_unclaim(sleeper);
    np_world_stop(NP_STOP_WALK);
    ok(np_thread_claim(sleeper), "the stopper can claim any other slot");
    np_thread_unclaim(sleeper);
    ok(np_thread_claim(sleeper), "and again");
    np_thread_unclaim(sleeper);
    np_world_start();
    is_int(np_word_load(sleeper), NP_DETACHED, "nothing is left on its word");
    np_thread_detach();
}

/* ---- a stop waits for claims, by whomever ---- */

static uint64_t acted; /* plain: by who acts as the sleeper */

static void claim_from_outside(unsigned index)
{
    (void)index;
    struct np_thread *sleeper = np_thread_at((uint16_t)sleeping);
    while (np_load_relaxed(&wake) == 0) {
        if (!np_thread_claim(sleeper))
            continue;
        uint64_t before = acted;
        sched_yield();
        acted = before + 1;
        np_thread_unclaim(sleeper);
    }
}

static void test_stop_waits_for_claims(void)
{
    static struct crew outside;
    np_thread_attach("stopper");
    sleeping = wake = 0;
    crew_start(&crew, 1, sleep_in_region);
    crew_await(&sleeping, 1);
    crew_start(&outside, 2, claim_from_outside);
    unsigned moved = 0;
    for (unsigned i = 0; i < 300; i++) {
        np_world_stop(NP_STOP_WALK);
        uint64_t before = acted;
        usleep(i % 4 == 0 ? 100 : 1);
        moved += acted != before;
        np_world_start();
        if (i % 16 == 0)
            usleep(200);
    }
    np_store_release(&wake, 1);
    crew_join(&outside);
    crew_join(&crew);
    ok(acted > 0, "unattached threads claim beside stops");
    is_int(moved, 0, "and hold no claim in one");
    np_thread_detach();
}

int main(void)
{
    plan_lazy();
    crew_begin(&hooks);
    test_never_lost();
    test_late_push();
    test_states();
    test_stop_waits_for_claims();
    np_threads_fini();
    return done();
}
