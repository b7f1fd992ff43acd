/* SPDX-License-Identifier: MIT
 *
 * Attach and detach: nesting, the slot's number and inheritance, what a refusal leaves behind, and
 * the ways a thread can end. */
#include "tests/unit/threads/crew.h"

static uint32_t attaches, detaches, refuse, work;
static char heap_of_one;

static bool on_attach(struct np_thread *thread)
{
    np_fetch_add_relaxed(&attaches, 1);
    if (np_load_relaxed(&refuse))
        return false;
    if (thread->heap == NULL)
        thread->heap = (struct np_heap *)(void *)&heap_of_one;
    np_tls.heap = thread->heap;
    return true;
}

static void on_detach(struct np_thread *thread)
{
    if (np_thread_state_of(thread) != NP_RUNNING || np_tls.id != thread->id || np_tls.heap == NULL)
        bail("detaching runs attached and RUNNING");
    np_fetch_add_relaxed(&detaches, 1);
}

/* Once: as if somebody had pushed between the hook and the publication. */
static bool on_look(struct np_thread *thread)
{
    (void)thread;
    return np_exchange_acq_rel(&work, 0) != 0;
}

static const struct np_thread_hooks hooks = {
    .attached = on_attach, .detaching = on_detach, .has_work = on_look};

static void test_nesting(void)
{
    is_int(np_tls.id, NEAP_OWNER_NOBODY, "an unattached thread is nobody");
    ok(np_thread_attach("main") == NEAP_OK && np_thread_attach("again") == NEAP_OK, "attach twice");
    struct np_thread *slot = np_tls.thread;
    is_int(attaches, 1, "the hook runs once");
    is_int(np_tls.id, 1, "the first slot is number 1");
    ok(np_thread_at(1) == slot && np_thread_high() == 1, "and is found by number");
    char name[NP_THREAD_NAME_BYTES];
    np_thread_name(slot, name);
    is_str(name, "main", "the slot is named");
    is_int(np_thread_attached_count(), 1, "one is attached");
    np_thread_detach();
    is_int(detaches, 0, "the inner detach does nothing");
    is_int(np_thread_state_of(slot), NP_RUNNING, "and leaves the thread attached");
    np_thread_detach();
    is_int(detaches, 1, "the outer one runs the hook");
    is_int(np_thread_state_of(slot), NP_DETACHED, "and publishes DETACHED");
    ok(np_tls.thread == NULL && np_tls.id == NEAP_OWNER_NOBODY && np_tls.heap == NULL,
       "the thread is nobody again");
    is_int(np_thread_attached_count(), 0, "none is attached");
}

static void test_names(void)
{
    char name[NP_THREAD_NAME_BYTES];
    np_thread_attach("0123456789012345678901234567890123456789");
    np_thread_name(np_tls.thread, name);
    is_str(name, "0123456789012345678901234567890", "a long name is cut at 31 bytes");
    np_thread_detach();
    np_thread_attach(NULL);
    np_thread_name(np_tls.thread, name);
    is_str(name, "", "no name leaves none of the last owner's");
    np_thread_detach();
}

static void test_refusal(void)
{
    refuse = 1;
    is_int(np_thread_attach("refused"), NEAP_ENOMEM, "a refused attach says out of memory");
    ok(np_tls.thread == NULL && np_tls.id == NEAP_OWNER_NOBODY, "and leaves the thread unattached");
    refuse = 0;
    np_thread_attach("main");
    is_int(np_tls.id, 1, "its slot is free again");
    np_thread_detach();
}

static void test_second_look(void)
{
    detaches = 0;
    np_thread_attach("main");
    work = 1;
    np_thread_detach();
    is_int(detaches, 2, "work that came before DETACHED was published is done by the leaver");
    is_int(np_thread_state_of(np_thread_at(1)), NP_DETACHED, "who is gone afterwards");
}

/* ---- ways to end ---- */

static pthread_key_t foreign_key;
static uint32_t seen_attached, seen_status;

/* Another library's destructor, which uses the runtime in each of its rounds. */
static void foreign_destructor(void *value)
{
    uintptr_t round = (uintptr_t)value;
    if (np_tls.id != NEAP_OWNER_NOBODY)
        np_fetch_add_relaxed(&seen_attached, 1);
    else
        seen_status = (uint32_t)np_thread_attach("too late");
    if (round < NP_EXIT_ROUNDS)
        pthread_setspecific(foreign_key, (void *)(round + 1));
}

static void *just_return(void *arg)
{
    np_thread_attach("returns");
    return arg;
}

static void *leave_nested(void *arg)
{
    np_thread_attach("nested");
    np_thread_attach("nested");
    np_thread_attach("nested");
    pthread_exit(arg);
}

static uint32_t sleeping;

static void *sleep_inside(void *arg)
{
    np_thread_attach("cancelled");
    np_blocking_enter(np_tls.thread);
    np_blocking_enter(np_tls.thread);
    np_store_release(&sleeping, 1);
    for (;;)
        pause();
    return arg;
}

static void *with_foreign_key(void *arg)
{
    np_thread_attach("foreign");
    pthread_setspecific(foreign_key, (void *)1);
    return arg;
}

static void expect_end(void *(*run)(void *), bool cancel, const char *what)
{
    pthread_t thread;
    detaches = 0;
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        bail("pthread_create failed");
    if (cancel) {
        crew_await(&sleeping, 1);
        pthread_cancel(thread);
    }
    pthread_join(thread, NULL);
    is_int(detaches, 1, "%s: detached once", what);
    is_int(np_thread_attached_count(), 0, "%s: not counted any more", what);
}

static void test_ends(void)
{
    expect_end(just_return, false, "return");
    expect_end(leave_nested, false, "pthread_exit, attached three times");
    expect_end(sleep_inside, true, "cancelled in a blocking region");
    if (pthread_key_create(&foreign_key, foreign_destructor) != 0)
        bail("pthread_key_create failed");
    seen_status = 77;
    expect_end(with_foreign_key, false, "with another key");
    is_int(seen_attached, NP_EXIT_ROUNDS - 1,
           "other destructors find the thread attached until the last round");
    is_int((int)seen_status, NEAP_ESTATE, "an attach after that is refused");
}

/* ---- many ---- */

enum { MANY = 600 };
static struct crew crew;
static uint32_t inside, leave;
static uint8_t taken[MANY + 2];

static void be_one_of_many(unsigned index)
{
    (void)index;
    if (np_thread_attach("many") != NEAP_OK)
        return;
    if (np_tls.id <= MANY)
        np_fetch_add_relaxed(&taken[np_tls.id], 1);
    np_fetch_add_acq_rel(&inside, 1);
    np_blocking_enter(np_tls.thread);
    crew_await(&leave, 1);
    np_blocking_leave(np_tls.thread);
    np_thread_detach();
}

static void test_many(void)
{
    crew_start(&crew, MANY, be_one_of_many);
    ok(crew_await(&inside, MANY), "%d threads are attached at once", MANY);
    is_int(np_thread_attached_count(), MANY, "and counted");
    unsigned wrong = 0;
    for (unsigned id = 1; id <= MANY; id++)
        wrong += taken[id] != 1 || np_thread_at((uint16_t)id)->id != id;
    is_int(wrong, 0, "each number belongs to one of them");
    np_store_release(&leave, 1);
    crew_join(&crew);
    is_int(np_thread_attached_count(), 0, "all are gone");
    is_int(np_thread_high(), MANY, "no slot was made beyond the most at once");
}

static void test_reuse(void)
{
    np_thread_attach("main");
    uint16_t id = np_tls.id;
    struct np_heap *heap = np_tls.thread->heap;
    np_thread_detach();
    np_thread_attach("main");
    is_int(np_tls.id, id, "the slot freed last is used next");
    ok(np_tls.thread->heap == heap && heap != NULL, "its heap is inherited");
    np_thread_detach();
}

int main(void)
{
    plan_lazy();
    crew_begin(&hooks);
    test_nesting();
    test_names();
    test_refusal();
    test_second_look();
    test_ends();
    test_many();
    test_reuse();
    np_threads_fini();
    is_int(np_threads_init(&hooks), 0, "the floor can be started again");
    is_int(np_thread_attach("main"), NEAP_OK, "and attached to");
    is_int(np_thread_high(), 1, "from its first slot on");
    np_thread_detach();
    np_threads_fini();
    return done();
}
