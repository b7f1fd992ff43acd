/* SPDX-License-Identifier: MIT
 *
 * The one file that talks to the operating system about memory, time and waiting. Platform #if
 * lives in os.c only. Sizes are bytes and multiples of the page size unless said otherwise; times
 * are nanoseconds of CLOCK_MONOTONIC. Any thread, attached or not; no locks. errno is preserved.
 */
#ifndef NP_BASE_OS_H
#define NP_BASE_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Address space, readable and zero, whose pages cost nothing until touched. NULL when refused.
 * alignment is a power of two. */
void *np_os_reserve(size_t bytes, size_t alignment);
void np_os_unreserve(void *address, size_t bytes);

/* Gives the pages back at once (MADV_DONTNEED); they read as zero afterwards, and do so too where
 * the system keeps them because the program has locked them. The mapping stays. Readable, writable
 * pages only. */
void np_os_give_back(void *address, size_t bytes);

/* Whole pages that nobody may touch from now on, and that everybody may. Splits the mapping. */
void np_os_close(void *address, size_t bytes);
void np_os_open(void *address, size_t bytes);

/* Asks for huge pages where the system has them: for memory that is read in random order. */
void np_os_prefer_huge(void *address, size_t bytes);

size_t np_os_page_bytes(void);
size_t np_os_resident_bytes(void); /* of this process; 0 when unknown */
unsigned np_os_processors(void);
/* A thread of neap's own: signals are for the program's. errno stays. False: refused. */
bool np_os_start_thread(pthread_t *ret_thread, void *(*routine)(void *), void *arg);
uint64_t np_os_now_ns(void);
int np_os_thread_id(void);
/* What the system calls the calling thread; cut to bytes - 1, "" when unknown. */
void np_os_thread_name(char *ret_name, size_t bytes);
/* What a thread of this process does at the moment, as far as the system tells. */
enum np_os_activity { NP_OS_UNKNOWN, NP_OS_RUNS, NP_OS_SLEEPS, NP_OS_WAITS_FOR_LOCK };
enum np_os_activity np_os_thread_activity(int thread_id);
bool np_os_privileged(void); /* raised privilege: the environment is not to be trusted */

/* Waits while *word == expected, at most timeout_ns (UINT64_MAX: for ever). May return early. */
void np_os_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void np_os_wake_all(const uint32_t *word);
void np_os_wake_one(const uint32_t *word);

#endif
