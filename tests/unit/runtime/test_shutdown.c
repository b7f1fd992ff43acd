/* SPDX-License-Identifier: MIT
 *
 * Shutdown frees what only chains of merge requests lead to: each object of a list belongs to a
 * thread that is gone, so each death asks for the merge of the next. */
#include <neap/neap.h>

#include "tests/tap.h"

struct link {
    struct link *next;
};
NEAP_DEFINE_TYPE(link, (next));

enum { THREADS = 3, LINKS = 500 };
static struct link *made[THREADS][LINKS];

static void *make(void *arg)
{
    struct link **row = arg;
    for (int i = 0; i < LINKS; i++)
        row[i] = neap_new(link);
    return NULL;
}

int main(void)
{
    plan_lazy();
    if (neap_init(NULL) != NEAP_OK)
        bail("neap_init");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (neap_thread_create(&threads[i], "maker", make, made[i]) != NEAP_OK)
            bail("neap_thread_create");
    for (int i = 0; i < THREADS; i++)
        neap_thread_join(threads[i], NULL);
    struct link *head = NULL;
    for (int i = 0; i < LINKS; i++)
        for (int k = 0; k < THREADS; k++) {
            neap_give(&made[k][i]->next, head);
            head = made[k][i];
        }
    neap_release(head);
    is_int(neap_shutdown(NULL), 0, "a list of %d objects of threads that are gone dies at shutdown",
           THREADS * LINKS);
    return done();
}
