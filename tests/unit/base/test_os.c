/* SPDX-License-Identifier: MIT
 *
 * The OS file keeps its word: alignment, zero pages, pages given back, time that goes forward,
 * waiters that wake. */
#include "base/os.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomics.h"
#include "tests/tap.h"

enum { MIB = 1 << 20 };

static uint32_t word;
static uint32_t woken;

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static void *wait_for_word(void *arg)
{
    (void)arg;
    while (np_load_acquire(&word) == 0)
        np_os_wait(&word, 0, UINT64_MAX);
    np_fetch_add_relaxed(&woken, 1);
    return NULL;
}

static void test_memory(void)
{
    size_t page = np_os_page_bytes();
    is_int(page, sysconf(_SC_PAGESIZE), "the page size is the system's");
    for (size_t alignment = page; alignment <= (size_t)64 * MIB; alignment *= 8) {
        unsigned char *memory = np_os_reserve(4 * MIB, alignment);
        ok(memory != NULL && (uintptr_t)memory % alignment == 0, "reserved, aligned to %zu",
           alignment);
        ok(all_zero(memory, 4 * MIB), "it reads as zero");
        memory[0] = memory[page] = memory[4 * MIB - 1] = 1;
        np_os_give_back(memory, page);
        ok(all_zero(memory, page) && memory[page] == 1,
           "what is given back is zero, the rest stays");
        np_os_unreserve(memory, 4 * MIB);
    }
    unsigned char *locked = np_os_reserve(page, page);
    memset(locked, 1, page);
    if (mlock(locked, page) == 0) {
        np_os_give_back(locked, page);
        ok(all_zero(locked, page), "locked pages that are given back are zero too");
    } else {
        skip(1, "mlock: %s", strerror(errno));
    }
    np_os_unreserve(locked, page);
    errno = 77;
    void *far_too_much = np_os_reserve((size_t)1 << 60, page);
    ok(far_too_much == NULL, "an impossible reservation is refused");
    is_int(errno, 77, "and errno is as it was");
}

static void test_facts(void)
{
    size_t before = np_os_resident_bytes();
    ok(before > 0, "the process has resident memory");
    unsigned char *memory = np_os_reserve((size_t)32 * MIB, np_os_page_bytes());
    for (size_t i = 0; i < (size_t)32 * MIB; i += np_os_page_bytes())
        memory[i] = 1;
    ok(np_os_resident_bytes() >= before + (size_t)16 * MIB, "and more after touching 32 MiB");
    np_os_unreserve(memory, (size_t)32 * MIB);
    ok(np_os_processors() >= 1, "there is a processor");
    is_int(np_os_thread_id(), getpid(), "the first thread's id is the process's");
    char name[5];
    pthread_setname_np(pthread_self(), "tester");
    np_os_thread_name(name, sizeof name);
    is_str(name, "test", "the system's name of a thread, cut to what is given");
    ok(!np_os_privileged(), "a test runs without raised privilege");
}

static void test_time_and_waiting(void)
{
    uint64_t begin = np_os_now_ns(), last = begin;
    bool forward = true;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = np_os_now_ns();
        forward = forward && now >= last;
        last = now;
    }
    ok(forward, "time goes forward");
    np_os_wait(&word, 1, UINT64_MAX);
    pass("no wait for a word that has changed already");
    np_os_wait(&word, 0, 1000000);
    ok(np_os_now_ns() > begin, "a wait with a limit ends");

    enum { WAITERS = 4 };
    pthread_t threads[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        if (pthread_create(&threads[i], NULL, wait_for_word, NULL) != 0)
            bail("pthread_create");
    usleep(10000);
    np_store_release(&word, 1);
    np_os_wake_all(&word);
    for (int i = 0; i < WAITERS; i++)
        pthread_join(threads[i], NULL);
    is_int(woken, WAITERS, "all waiters wake");
}

int main(void)
{
    plan_lazy();
    test_memory();
    test_facts();
    test_time_and_waiting();
    return done();
}
