/* SPDX-License-Identifier: MIT
 *
 * Option safepoint_warn_ms: a thread that neither polls nor blocks is named on standard error, with
 * the place of its last poll; without the option nothing is printed. */
#include <neap/neap.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

static int ready, finish;

static void *forget_to_poll(void *arg)
{
    neap_safepoint();
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 2000 && !__atomic_load_n(&finish, __ATOMIC_ACQUIRE); i++)
        usleep(100);
    return arg;
}

/* What a collection beside such a thread prints. */
static void catch_output(uint64_t warn_ms, char *text, size_t bytes)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.safepoint_warn_ms = warn_ms;
    options.helper = 0;
    int ends[2], saved = dup(STDERR_FILENO);
    if (saved < 0 || pipe(ends) != 0 || neap_init(&options) != NEAP_OK)
        bail("cannot begin");
    dup2(ends[1], STDERR_FILENO);
    pthread_t thread;
    ready = finish = 0;
    if (neap_thread_create(&thread, "forgetful", forget_to_poll, NULL) != NEAP_OK)
        bail("no thread");
    NEAP_BLOCKING
    {
        while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
            usleep(100);
    }
    neap_collect(0);
    __atomic_store_n(&finish, 1, __ATOMIC_RELEASE);
    neap_thread_join(thread, NULL);
    neap_shutdown(NULL);
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t length = read(ends[0], text, bytes - 1);
    text[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    close(saved);
}

int main(void)
{
    static char text[4096];
    plan(4);
    unsetenv("NEAP_OPTIONS");
    catch_output(20, text, sizeof text);
    ok(strstr(text, "thread \"forgetful\"") != NULL, "the thread is named");
    ok(strstr(text, "addr2line") != NULL && strstr(text, "test_watchdog") != NULL,
       "with the place of its last poll in this program");
    ok(strstr(text, "NEAP_BLOCKED") != NULL, "and the remedy");
    diag("%s", text);
    catch_output(0, text, sizeof text);
    is_str(text, "", "without the option nothing is printed");
    return done();
}
