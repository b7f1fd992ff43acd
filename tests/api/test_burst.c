/* SPDX-License-Identifier: MIT
 *
 * After a burst of blocks the memory goes back while the program does nothing: no call of neap's,
 * no blocking region. After one of objects, while it waits. bench/alloc.c has the first with 2 GiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <neap/neap.h>

#include "tests/harness.h"

enum { BLOCKS = 300000, WAIT_MS = 30000, SLACK_KIB = 12288, SLACK_MAPS = 32 };

struct thing {
    char text[100];
};
NEAP_DEFINE_TYPE(thing, ());

static unsigned long lines_of(const char *path)
{
    unsigned long lines = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bail("%s cannot be opened", path);
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static unsigned long resident_kib(void)
{
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &size, &pages) != 2)
        bail("/proc/self/statm cannot be read");
    fclose(file);
    return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

/* Mixed blocks, some 100 MiB, freed in another order than they were made. Returns what is resident
 * at the most. */
static unsigned long burst_of_blocks(void)
{
    void **blocks = malloc(BLOCKS * sizeof *blocks);
    if (blocks == NULL)
        bail("no memory");
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = i % 500 == 0 ? 20000 : 16 + i * 37 % 497;
        blocks[i] = neap_alloc(bytes);
        memset(blocks[i], 1, bytes);
    }
    unsigned long most_kib = resident_kib();
    for (size_t i = 0; i < BLOCKS; i++)
        neap_free(blocks[i * 7 % BLOCKS]); /* 7 and the number have no common factor */
    free(blocks);
    return most_kib;
}

static unsigned long burst_of_objects(void)
{
    struct thing **things = malloc(BLOCKS * sizeof *things);
    if (things == NULL)
        bail("no memory");
    for (size_t i = 0; i < BLOCKS; i++)
        if ((things[i] = neap_new(thing)) != NULL)
            memset(things[i]->text, 1, sizeof things[i]->text);
    unsigned long most_kib = resident_kib();
    for (size_t i = 0; i < BLOCKS; i++)
        neap_release(things[i * 7 % BLOCKS]);
    free(things);
    return most_kib;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static void check_back(unsigned long before_kib, unsigned long most_kib, const char *what)
{
    (void)before_kib, (void)most_kib, (void)what;
    skip(2, "the sanitizer's shadow is resident too");
}
#else
static void check_back(unsigned long before_kib, unsigned long most_kib, const char *what)
{
    unsigned long later_kib;
    unsigned waited_ms = 0;
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
        skip(2, "Valgrind's shadow is resident too");
        return;
    }
    ok(most_kib > before_kib + 30000, "%s make %lu KiB resident", what, most_kib - before_kib);
    while ((later_kib = resident_kib()) > before_kib + SLACK_KIB && waited_ms < WAIT_MS) {
        usleep(10000);
        waited_ms += 10;
    }
    diag("after %u ms of sleep all but %ld KiB are back", waited_ms,
         (long)later_kib - (long)before_kib);
    ok(later_kib <= before_kib + SLACK_KIB, "while the program sleeps, they go back");
}
#endif

int main(void)
{
    plan(7);
    harness_begin();
    unsigned long before_kib = resident_kib(), maps = lines_of("/proc/self/maps");
    check_back(before_kib, burst_of_blocks(), "blocks");
    /* An object's memory waits for threads that run without polling: it is in a blocking region. */
    unsigned long most_kib = burst_of_objects();
    NEAP_BLOCKING
    {
        check_back(before_kib, most_kib, "objects");
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)maps;
    skip(2, "the sanitizer takes mappings of its own");
#else
    unsigned long after = lines_of("/proc/self/maps");
    ok(after <= maps + SLACK_MAPS, "in %ld mappings more than before", (long)after - (long)maps);
    (void)burst_of_blocks();
    (void)burst_of_objects();
    ok(lines_of("/proc/self/maps") <= maps + SLACK_MAPS, "more bursts do not add to them");
#endif
    return harness_end();
}
