/* SPDX-License-Identifier: MIT
 *
 * The registry's last slot is number NEAP_OWNER_LAST. Beyond it attaching fails, and nothing else
 * does: stops, handshakes and clocks go over a full table, and a slot that is left is taken again.
 *
 * One thread plays all of them: it attaches, blocks, and forgets who it is. */
#include <errno.h>

#include "tests/unit/threads/crew.h"

static const struct neap_thread_local nobody = {.id = NEAP_OWNER_NOBODY,
                                                .poll = &np_poll_of_nobody};
static struct neap_thread_local main_self;
static uint32_t answered;

/* Attaches once more, blocks and leaves the slot to itself. Its number; 0: refused. */
static uint32_t attach_another(int *ret_status)
{
    np_tls = nobody;
    *ret_status = np_thread_attach("one of many");
    uint32_t id = 0;
    if (*ret_status == NEAP_OK) {
        id = np_tls.id;
        np_blocking_enter(np_tls.thread);
    }
    np_tls = main_self;
    return id;
}

static void detach_another(uint32_t id)
{
    np_tls = nobody;
    np_tls.thread = np_thread_at((uint16_t)id);
    np_tls.attached = 1;
    np_blocking_leave(np_tls.thread);
    np_thread_detach();
    np_tls = main_self;
}

static void answer(struct np_thread *thread, void *arg)
{
    (void)arg;
    answered += thread->id != 0;
}

int main(void)
{
    plan_lazy();
    crew_begin(NULL);
    np_thread_attach("main");
    main_self = np_tls;
    uint32_t wrong = 0;
    int status = NEAP_OK;
    for (uint32_t id = 2; id <= NEAP_OWNER_LAST; id++)
        wrong += attach_another(&status) != id || status != NEAP_OK;
    is_int(wrong, 0, "every slot up to %d is given once", NEAP_OWNER_LAST);
    is_int(np_thread_attached_count(), NEAP_OWNER_LAST, "and all are attached");
    for (int i = 0; i < 3; i++) {
        errno = E2BIG;
        is_int(attach_another(&status), 0, "the next is refused");
        is_int(status, NEAP_ENOMEM, "with NEAP_ENOMEM");
        is_int(errno, E2BIG, "and errno as it was");
    }
    is_int(np_thread_attached_count(), NEAP_OWNER_LAST, "a refusal leaves nothing behind");
    np_world_stop(NP_STOP_COLLECT);
    is_int(np_thread_state_of(np_thread_at(NEAP_OWNER_LAST)), NP_BLOCKING, "the world stops");
    np_world_start();
    np_handshake(answer, NULL);
    is_int(answered, NEAP_OWNER_LAST, "a handshake asks every slot");
    ok(np_clock_passed(NP_CLOCK_PEEK, np_clock_tag(NP_CLOCK_PEEK) - 1), "the clocks go on");
    detach_another(NEAP_OWNER_LAST);
    is_int(attach_another(&status), NEAP_OWNER_LAST, "a slot that was left is taken again");
    for (uint32_t id = 2; id <= NEAP_OWNER_LAST; id++)
        detach_another(id);
    is_int(np_thread_attached_count(), 1, "all but one have left");
    np_thread_detach();
    np_threads_fini();
    return done();
}
