/* SPDX-License-Identifier: MIT
 *
 * neap_thread_create where the system has the thread, but there is no memory to attach it: the
 * status says so, nobody runs, and the next thread is made as if nothing had happened. */
#include <neap/neap.h>

#include <semaphore.h>
#include <stdatomic.h>

#include "base/fault.h"
#include "tests/tap.h"

enum { MOST = 400 };

static sem_t gate;
static atomic_int ran;

static void *stay(void *unused)
{
    atomic_fetch_add(&ran, 1);
    (void)NEAP_BLOCKED(sem_wait(&gate));
    return unused;
}

int main(void)
{
    plan_lazy();
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.helper = 0;
    if (sem_init(&gate, 0, 0) != 0 || neap_init(&options) != NEAP_OK)
        bail("neap_init");
    static pthread_t threads[MOST];
    int made = 0, refused = 0, other = 0;
    uint64_t faults;
    unsigned nth = 1; /* that is the thread itself; those after it are its slot's and its heap's */
    do {              /* who was made stays, so that the next needs a slot that never was */
        np_fault_arm(++nth, 0, 0);
        int status = neap_thread_create(&threads[made], "late", stay, NULL);
        faults = np_fault_count();
        np_fault_disarm();
        made += status == NEAP_OK;
        refused += status == NEAP_ENOMEM;
        other += status != NEAP_OK && status != NEAP_ENOMEM;
    } while (faults > 0 && nth < MOST);
    ok(refused > 0 && other == 0, "of %u threads %d could not be attached, and it was said",
       nth - 1, refused);
    is_int(faults, 0, "the last was refused nothing");
    for (int i = 0; i < made; i++)
        sem_post(&gate);
    for (int i = 0; i < made; i++)
        if (neap_thread_join(threads[i], NULL) != NEAP_OK)
            bail("neap_thread_join");
    is_int(atomic_load(&ran), made, "who was refused did not run");
    is_int(neap_shutdown(NULL), 0, "nothing is alive at the end");
    return done();
}
