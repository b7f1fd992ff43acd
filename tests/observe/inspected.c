/* SPDX-License-Identifier: MIT
 *
 * A heap that is known, and a place to stop at, for test_gdb.py. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include <neap/neap.h>

struct leaf {
    long value;
};
NEAP_DEFINE_TYPE(leaf, ());

struct hub {
    struct leaf *left, *right;
    struct leaf *many[2];
    struct neap_list *all;
    struct neap_string *name;
};
NEAP_DEFINE_TYPE(hub, (left, right, many, NEAP_ATOMIC(all), name));

struct giant {
    struct hub *hub;
    char bytes[5000];
};
NEAP_DEFINE_TYPE(giant, (hub));

static struct hub *hub;
static struct leaf *leaf;
static struct giant *giant;
static bool is_waiting, is_over;

void stand_still(void);
__attribute__((noinline)) void stand_still(void)
{
    __asm__ volatile("" ::: "memory");
}

static void *sleeper(void *arg)
{
    (void)arg;
    NEAP_BLOCKING
    {
        __atomic_store_n(&is_waiting, true, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE))
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (neap_init(NULL) != NEAP_OK)
        return 2;
    hub = neap_new(hub), leaf = neap_new(leaf), giant = neap_new(giant);
    neap_set(&hub->left, leaf);
    neap_set(&hub->many[1], leaf);
    neap_give(&hub->right, neap_new(leaf));
    struct neap_list *list = neap_list_new();
    neap_list_append(list, leaf);
    neap_store(&hub->all, list);
    neap_release(list);
    neap_give(&hub->name, neap_string_new("a hub's name", 12));
    neap_set(&giant->hub, hub);
    if (neap_thread_create(&thread, "sleeper", sleeper, NULL) != NEAP_OK)
        return 2;
    while (!__atomic_load_n(&is_waiting, __ATOMIC_ACQUIRE))
        NEAP_BLOCKED(nanosleep(&(struct timespec){0, 1000000}, NULL));
    neap_safepoint();
    if (argc > 1 && argv[1][0] == 'e')
        exit(7); /* without neap_shutdown */
    if (argc > 1)
        abort(); /* for its core file */
    stand_still();
    neap_collect(2);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    neap_thread_join(thread, NULL);
    neap_release(leaf);
    neap_release(hub);
    neap_release(giant);
    return neap_shutdown(NULL) == 0 ? 0 : 1;
}
