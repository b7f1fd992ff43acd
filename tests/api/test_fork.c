/* SPDX-License-Identifier: MIT
 *
 * fork beside threads that allocate, share, collect and block: the child has one thread and a
 * runtime that works. */
#include <neap/neap.h>

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

#if defined(__SANITIZE_THREAD__)
enum {
    CHILD_THREADS = 0
}; /* ThreadSanitizer refuses threads in the child of a process that had several */
#else
enum { CHILD_THREADS = 2 };
#endif
enum { FORKS = HARNESS_SLOW ? 12 : 60, FORKS_UNATTACHED = HARNESS_SLOW ? 3 : 10, WORKERS = 4 };

struct node {
    struct node *next, *shared;
};
NEAP_DEFINE_TYPE(node, (next, NEAP_ATOMIC(shared)));

static struct node *hub;
static atomic_bool end;

static void churn(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        struct node *a = neap_new(node), *b = neap_new(node);
        neap_set(&a->next, b);
        neap_set(&b->next, a);
        neap_store(&hub->shared, a);
        neap_release(a);
        neap_release(b);
        neap_release(neap_load(&hub->shared));
        neap_free(neap_alloc(i % 2000));
        if (i % 16 == 0)
            neap_safepoint();
        if (i % 256 == 0)
            (void)neap_collect((int)(i / 256 % 3));
        if (i % 64 == 0)
            (void)NEAP_BLOCKED(usleep(1));
    }
}

static void *child_thread(void *arg)
{
    churn(300);
    return arg;
}

/* The child's whole life; 0 if all went well. */
static int in_child(void)
{
    churn(300);
    if (neap_collect(2) < 0)
        return 2;
    for (int i = 0; i < CHILD_THREADS; i++) {
        pthread_t thread;
        if (neap_thread_create(&thread, "grandchild", child_thread, NULL) != NEAP_OK)
            return 3;
        if (neap_thread_join(thread, NULL) != NEAP_OK)
            return 4;
    }
    struct neap_stats stats;
    neap_stats_get(&stats);
    return stats.threads <= 2 ? 0 : 5; /* itself and the helper */
}

static void work(void *arg, unsigned index)
{
    (void)arg;
    if (index < WORKERS) {
        while (!atomic_load(&end))
            churn(100);
        return;
    }
    int failed = 0;
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(in_child());
        int status = -1;
        if (pid < 0 || NEAP_BLOCKED(waitpid(pid, &status, 0)) != pid || status != 0) {
            diag("fork %d: status %#x", i, (unsigned)status);
            failed++;
        }
    }
    is_int(failed, 0, "%d children of an attached thread each worked", FORKS);
    atomic_store(&end, true);
}

static void *fork_unattached(void *arg)
{
    int *failed = arg;
    for (int i = 0; i < FORKS_UNATTACHED; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (neap_thread_attach("child") != NEAP_OK)
                _exit(1);
            _exit(in_child());
        }
        int status = -1;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            diag("fork %d: status %#x", i, (unsigned)status);
            (*failed)++;
        }
    }
    return NULL;
}

int main(void)
{
    plan_lazy();
    harness_begin();
    hub = neap_new(node);
    harness_run(WORKERS + 1, work, NULL);
    pthread_t thread;
    int failed = 0;
    if (pthread_create(&thread, NULL, fork_unattached, &failed) != 0)
        bail("pthread_create");
    is_int(neap_thread_join(thread, NULL), NEAP_OK, "a thread that is not attached may fork");
    is_int(failed, 0, "its children attach and work");
    neap_release(hub);
    return harness_end();
}
