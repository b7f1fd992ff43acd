/* SPDX-License-Identifier: MIT
 *
 * Linux. Memory is reserved readable and writable without a charge (MAP_NORESERVE), so a region is
 * one mapping for its whole life: nothing is ever split by mprotect or a partial munmap, but the
 * few pages of alloc/sample.c. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fault.h"

#ifndef MADV_DONTNEED_LOCKED /* headers older than Linux 5.18 */
#    define MADV_DONTNEED_LOCKED 24
#endif

void *np_os_reserve(size_t bytes, size_t alignment)
{
    int saved = errno;
    size_t page = np_os_page_bytes(), extra = alignment > page ? alignment - page : 0, total;
    void *result = NULL;
    if (!np_fault() && !__builtin_add_overflow(bytes, extra, &total)) {
        char *start = mmap(NULL, total, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (start != MAP_FAILED) {
            uintptr_t address = (uintptr_t)start;
            uintptr_t aligned =
                (address + extra) & ~(uintptr_t)(alignment > page ? alignment - 1 : 0);
            if (aligned > address)
                munmap(start, aligned - address);
            size_t tail = address + total - (aligned + bytes);
            if (tail > 0)
                munmap((void *)(aligned + bytes), tail);
            result = (void *)aligned;
        }
    }
    errno = saved;
    return result;
}

void np_os_unreserve(void *address, size_t bytes)
{
    int saved = errno;
    munmap(address, bytes);
    errno = saved;
}

void np_os_give_back(void *address, size_t bytes)
{
    int saved = errno;
    if (madvise(address, bytes, MADV_DONTNEED) != 0) {
        /* The memory is locked (mlockall). Kernels before 5.18 refuse the other advice too, and
         * emulators (qemu-user) accept what they do not know and do nothing. */
        memset(address, 0, bytes);
        (void)madvise(address, bytes, MADV_DONTNEED_LOCKED);
    }
    errno = saved;
}

static void protect(void *address, size_t bytes, int protection)
{
    int saved = errno;
    np_check(mprotect(address, bytes, protection) == 0, "the system refuses to change %zu bytes",
             bytes);
    errno = saved;
}

void np_os_close(void *address, size_t bytes)
{
    protect(address, bytes, PROT_NONE);
}

void np_os_open(void *address, size_t bytes)
{
    protect(address, bytes, PROT_READ | PROT_WRITE);
}

void np_os_prefer_huge(void *address, size_t bytes)
{
    int saved = errno;
    madvise(address, bytes, MADV_HUGEPAGE); /* a wish: without it everything works the same */
    errno = saved;
}

size_t np_os_page_bytes(void)
{
    static size_t page_bytes;
    size_t known =
        __atomic_load_n(&page_bytes, __ATOMIC_RELAXED); /* any thread writes the same value */
    if (known == 0) {
        known = (size_t)sysconf(_SC_PAGESIZE);
        __atomic_store_n(&page_bytes, known, __ATOMIC_RELAXED);
    }
    return known;
}

size_t np_os_resident_bytes(void)
{
    int saved = errno;
    size_t pages = 0, field = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        char text[128];
        ssize_t length = read(fd, text, sizeof text);
        close(fd);
        for (ssize_t i = 0; i < length && field < 2; i++) {
            if (text[i] == ' ')
                field++;
            else if (field == 1 && text[i] >= '0' && text[i] <= '9')
                pages = pages * 10 + (size_t)(text[i] - '0');
        }
    }
    errno = saved;
    return pages * np_os_page_bytes();
}

bool np_os_start_thread(pthread_t *ret_thread, void *(*routine)(void *), void *arg)
{
    int saved = errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = !np_fault() && pthread_create(ret_thread, NULL, routine, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return started;
}

unsigned np_os_processors(void)
{
    cpu_set_t set;
    int saved = errno, count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    errno = saved;
    return count > 0 ? (unsigned)count : 1;
}

uint64_t np_os_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int np_os_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

void np_os_thread_name(char *ret_name, size_t bytes)
{
    char name[16] = ""; /* PR_GET_NAME writes no more */
    int saved = errno;
    if (prctl(PR_GET_NAME, name) != 0)
        name[0] = '\0';
    errno = saved;
    snprintf(ret_name, bytes, "%s", name);
}

static bool read_task_file(int thread_id, const char *name, char *text, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", thread_id, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t length = read(file, text, bytes - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

enum np_os_activity np_os_thread_activity(int thread_id)
{
    char text[512];
    int saved = errno;
    enum np_os_activity activity = NP_OS_UNKNOWN;
    if (read_task_file(thread_id, "syscall", text, sizeof text)) {
        activity = strncmp(text, "running", 7) == 0 ? NP_OS_RUNS
                   : atoi(text) == SYS_futex        ? NP_OS_WAITS_FOR_LOCK
                                                    : NP_OS_SLEEPS;
    } else if (read_task_file(thread_id, "stat", text, sizeof text)) {
        const char *state = strrchr(text, ')'); /* the name before it may hold anything */
        if (state != NULL && state[1] == ' ')
            activity = state[2] == 'R' ? NP_OS_RUNS : state[2] == 'S' ? NP_OS_SLEEPS : activity;
    }
    errno = saved;
    return activity;
}

bool np_os_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

void np_os_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    int saved = errno;
    struct timespec limit = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns == UINT64_MAX ? NULL : &limit,
            NULL, 0);
    errno = saved;
}

static void wake(const uint32_t *word, int32_t most)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
    errno = saved;
}

void np_os_wake_all(const uint32_t *word)
{
    wake(word, INT32_MAX);
}

void np_os_wake_one(const uint32_t *word)
{
    wake(word, 1);
}
